"""Closures that frames show: `python -m evaluation.ats_frames --data ../shared/data`.

A "p" may shut the lips for one of the network's 50 instants a second, between two frames of a film. Of the closures of
short speech (LibriSpeech and one synthetic voice, the first 20 s of each recording) it is counted how many no frame
shows: at second i / fps, and as `lips.shown` chooses. A closure is shown where a frame that has it within reach has the
lips within .9 mm of shut; closures are times of up to 0.3 s with lips within .2 mm of shut, between open ones.
"""

import numpy as np

from evaluation.ats import recordings, table
from export import command
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, gaps
from freetalk_blender.core.lip_contact.contact import PARTED
from freetalk_blender.core.series import runs
from freetalk_blender.core.voice import audio, lips, performance, speech

_RATES = (12, 24, 25, 30, 60)
_SECONDS, _LONGEST = 20, 0.3


def closures(gap: np.ndarray) -> np.ndarray:
    """(C,2) first and last instant of closures; gap (T,) mm at 50 Hz."""
    edges = runs(gap <= PARTED[0]) - (0, 1)
    short = edges[:, 1] - edges[:, 0] < _LONGEST * speech.FEATURE_RATE
    return edges[short & (edges[:, 0] > 0) & (edges[:, 1] < len(gap) - 1)]


def missed(gap: np.ndarray, found: np.ndarray, times: np.ndarray, fps: float) -> int:
    """How many closures no frame shows that shows second `times` (F,) of gap (T,)."""
    seen = np.interp(times * speech.FEATURE_RATE, np.arange(len(gap)), gap)
    seconds, reach = np.arange(len(times)) / fps, 1 / fps
    first, last = (side[:, None] / speech.FEATURE_RATE for side in found.T)
    near = (seconds > first - reach) & (seconds < last + reach)
    return int((np.where(near, seen, np.inf).min(1) > PARTED[1]).sum())


def main() -> None:
    parser = command.parser(__doc__, "speech/")
    data = parser.parse_args().data
    rows: dict[str, dict[str, float]] = {
        f"{fps} frames a second": {"closures": 0, "at second i / fps": 0, "as shown": 0} for fps in _RATES
    }
    for file in recordings(data):
        samples, rate = audio.load(file)
        motion = performance.perform(samples[: _SECONDS * rate], rate, fps=speech.FEATURE_RATE).displacement
        gap = EYE_DISTANCE_MM * gaps(motion, INNER_LIP_PAIRS).max(1)
        found = closures(gap)
        for fps, row in zip(_RATES, rows.values(), strict=True):
            frames = performance.frame_count(len(motion) - 1, speech.FEATURE_RATE, fps)
            row["closures"] += len(found)
            row["at second i / fps"] += missed(gap, found, np.arange(frames) / fps, fps)
            row["as shown"] += missed(gap, found, lips.shown(motion, speech.FEATURE_RATE, frames, fps), fps)
    print(table("closures that no frame shows", rows))


if __name__ == "__main__":
    command.run(main)
