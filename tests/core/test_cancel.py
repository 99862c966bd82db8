"""Long work ends soon after nobody wants it any more, whatever it is doing."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from freetalk_blender.core import cancel, perform, prepare
from freetalk_blender.core import landmarks as landmark_files
from freetalk_blender.core.errors import Cancelled
from freetalk_blender.core.movement import shape_keys
from freetalk_blender.core.surface import scan_file
from freetalk_blender.core.voice import audio
from freetalk_blender.core.voice.performance import clear_cache

#: Processor seconds that may pass without a look at whether the work is still wanted: on two idle cores, ESC ends it
#: within a second on scans twice as large as the sample.
LONGEST = 0.5


def everything(head: Path, sentence: Path) -> None:
    """From a scan and a sentence to shape keys, the landmarks found."""
    vertices, triangles = scan_file.read(head)
    face = prepare(vertices, triangles)
    clear_cache()
    take = perform(*audio.load(sentence), {"happy": 0.6})
    shape_keys(face, take.displacement)


@pytest.fixture(scope="module")
def asked(head: Path, sentence: Path) -> np.ndarray:
    """Processor seconds at the start, at each question whether the work is still wanted, and at the end."""
    everything(head, sentence)  # networks and tables are loaded now
    times = [time.thread_time()]

    def unwanted() -> bool:
        times.append(time.thread_time())
        return False

    with cancel.until(unwanted):
        everything(head, sentence)
    return np.array([*times, time.thread_time()])


def test_the_whole_way_asks_often_whether_it_is_still_wanted(asked: np.ndarray) -> None:
    assert len(asked) > 50 and np.diff(asked).max() < LONGEST


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.95])
def test_what_is_no_longer_wanted_ends_where_it_asks_next(
    head: Path, sentence: Path, asked: np.ndarray, share: float
) -> None:
    """At once; in search of the face; among its views; in binding; in the speech."""
    last, count = 1 + int(share * (len(asked) - 3)), 0

    def unwanted() -> bool:
        nonlocal count
        count += 1
        return count >= last

    with cancel.until(unwanted), pytest.raises(Cancelled):
        everything(head, sentence)
    assert count == last


def test_one_threads_end_is_not_anothers(head: Path, head_landmarks: Path) -> None:
    vertices, triangles = scan_file.read(head)
    points = landmark_files.read(head_landmarks).points
    ended: list[type | None] = []

    def work(unwanted: Callable[[], bool]) -> None:
        try:
            with cancel.until(unwanted):
                prepare(vertices, triangles, points)
            ended.append(None)
        except Cancelled:
            ended.append(Cancelled)

    for unwanted in (lambda: True, lambda: False):
        thread = threading.Thread(target=work, args=(unwanted,))
        thread.start()
        thread.join()
    assert ended == [Cancelled, None]
    cancel.check()
