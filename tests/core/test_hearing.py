"""What is heard of a voice before it is performed, and how long that is remembered."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from freetalk_blender.core import models
from freetalk_blender.core.errors import ModelError
from freetalk_blender.core.voice import ats, audio, performance, prosody, speech, tongue

RATE = audio.SPEECH_RATE


@pytest.fixture
def heard_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Networks that answer at once, and nothing that was heard before; the level of each sound that they hear."""
    asked = list[float]()

    def surrounded(samples: np.ndarray, _: str) -> np.ndarray:
        asked.append(samples.max())
        return np.zeros((38 * len(samples) // 100, speech.FEATURES), np.float32)

    monkeypatch.setattr(speech, "surrounded", surrounded)
    monkeypatch.setattr(speech, "silence", lambda _: np.zeros(speech.FEATURES, np.float32))
    monkeypatch.setattr(ats, "events", lambda *_, **__: np.zeros((10, 4), np.float32))
    monkeypatch.setattr(prosody, "accents", lambda *_: np.zeros((0, 2), np.float32))
    monkeypatch.setattr(tongue, "predict", lambda *_, **__: np.zeros((10, 3), np.float32))
    kept = performance._cache_bytes
    performance.clear_cache()
    yield asked
    performance.limit_cache(kept)
    performance.clear_cache()


def test_of_what_was_heard_that_which_was_asked_for_longest_ago_is_forgotten(heard_at_once: list[float]) -> None:
    many = performance._CACHE_ENTRIES
    sounds = [np.full(100, level, np.float32) for level in range(1, many + 2)]
    for sound in (*sounds[:many], sounds[0], sounds[many], sounds[0]):
        performance.hear(sound, "cpu")
    one = performance.cache_size() // many
    assert heard_at_once == [sound[0] for sound in sounds] and one == 38 * speech.FEATURES * 4
    performance.hear(sounds[1], "cpu")
    assert heard_at_once[-1] == sounds[1][0], "it made room for the last one"
    performance.limit_cache(2 * one + 1)
    assert performance.cache_size() == 2 * one
    performance.hear(np.ones(1000, np.float32), "cpu")
    assert performance.cache_size() == 2 * one, "what has no room takes nobody else's"


def test_jobs_previews_and_the_panel_share_what_was_heard(heard_at_once: list[float]) -> None:
    sounds = [np.full(100, level, np.float32) for level in range(2 * performance._CACHE_ENTRIES)]
    end, interval = time.monotonic() + 1, sys.getswitchinterval()

    def again(work: Callable[[int], object]) -> None:
        turn = 0
        while time.monotonic() < end:
            work(turn)
            turn += 1

    works = [
        lambda turn: performance.hear(sounds[turn % len(sounds)], "cpu"),
        lambda turn: performance.hear(sounds[turn % (len(sounds) // 2)], "cpu"),
        lambda _: performance.cache_size(),
        lambda turn: turn % 50 or performance.clear_cache(),
    ]
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(works)) as pool:
            for done in [pool.submit(again, work) for work in works]:
                done.result()
    finally:
        sys.setswitchinterval(interval)


def test_other_networks_hear_anew(tmp_path: Path) -> None:
    performance.hear(np.zeros(RATE, np.float32), "cpu")
    models.configure(folder=tmp_path)
    try:
        with pytest.raises(ModelError, match="is missing"):
            performance.hear(np.zeros(RATE, np.float32), "cpu")
    finally:
        models.configure()


@pytest.mark.parametrize("sound", ["silence", "noise", "speech at once"])
def test_what_sounds_from_the_start_or_never_has_no_silence_before_it(spoken: np.ndarray, sound: str) -> None:
    sounds = {
        "silence": np.zeros(RATE),
        "noise": np.random.default_rng(0).normal(0, 0.01, RATE),
        "speech at once": spoken[round(0.3 * RATE) :],
    }
    assert speech.lead(sounds[sound].astype(np.float32)) == 0


@pytest.mark.parametrize(("seconds", "seeds"), [(0.3, (17, 18, 31)), (0.6, (22, 25, 39))])
def test_a_noise_from_the_first_sample_on_is_no_speech(seconds: float, seeds: tuple[int, ...]) -> None:
    """After silence it sounds like a consonant: some of these were taken for one, for 40 to 180 ms."""
    for seed in seeds:
        noise = np.random.default_rng(seed).normal(0, 0.01, int(seconds * RATE)).astype(np.float32)
        assert performance.hear(noise, "cpu").speech.max() < 0.5, seed
