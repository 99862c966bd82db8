"""ATS on disturbed speech, against the phones: `python -m evaluation.ats_disturbed --aligned FILE`.

Readers that training never heard (LibriSpeech; the file comes from `python -m export.aligned`), judged as in
evaluation/ats_phones.py: as they are, whispering, on a telephone, in rooms, under babble, and as giants and dwarfs.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from evaluation.ats import table
from evaluation.ats_phones import Spoken, groups, judge, lips, over, readers
from export import aligned, augment, command
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.voice import audio
from freetalk_blender.core.voice.audio import SPEECH_RATE

#: Window and step (samples) and order of the linear prediction that makes a whisper; below this nothing is left (Hz).
_WINDOW, _STEP, _ORDER, _LOW = 480, 160, 20, 700
#: How many readers babble.
_BABBLING = 6


def whispered(samples: np.ndarray) -> np.ndarray:
    """The voice's resonances, excited by noise alone: linear prediction (Makhoul 1975), without the low tones that a
    whisper lacks."""
    window, random = np.hanning(_WINDOW), np.random.default_rng(1)
    noise = random.standard_normal(len(samples) + _WINDOW)
    padded, result = np.pad(samples, (0, _WINDOW)), np.zeros(len(samples) + _WINDOW)
    for start in range(0, len(samples), _STEP):
        part = slice(start, start + _WINDOW)
        frame = padded[part] * window
        lags = np.correlate(frame, frame, "full")[_WINDOW - 1 : _WINDOW + _ORDER]
        lags[0] = lags[0] * 1.001 + 1e-9
        predictor = solve_toeplitz(lags[:-1], lags[1:])
        breath = lfilter([1.0], np.r_[1.0, -predictor], noise[part] * window)
        result[part] += breath * np.sqrt((frame**2).sum() / ((breath**2).sum() + 1e-12))
    return lfilter(*butter(1, _LOW, "high", fs=SPEECH_RATE), result[: len(samples)])


def telephoned(samples: np.ndarray) -> np.ndarray:
    """300 to 3,400 Hz."""
    return sosfilt(butter(6, [300, 3400], "band", fs=SPEECH_RATE, output="sos"), samples)


def in_a_room(samples: np.ndarray, seconds: float) -> np.ndarray:
    """With a tail of noise that is as loud as the direct sound and falls by 60 dB in so many seconds."""
    times = np.arange(int(seconds * SPEECH_RATE)) / SPEECH_RATE
    tail = np.random.default_rng(2).standard_normal(len(times)) * 10 ** (-3 * times / seconds)
    return fftconvolve(samples, np.r_[1.0, tail / np.linalg.norm(tail)])[: len(samples)]


def under_babble(samples: np.ndarray, others: list[np.ndarray], decibel: float) -> np.ndarray:
    """Over several others who talk at once, together so many dB lower."""
    voices = [np.resize(np.roll(other, 7000 * k), len(samples)) / other.std() for k, other in enumerate(others)]
    return over(samples, np.sum(voices, 0), decibel)


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--aligned", type=Path, required=True, help="file of aligned recordings")
    parser.add_argument("--limit", type=whole_number(1), default=1000, help="recordings to judge")
    arguments = parser.parse_args()
    people = readers(groups(aligned.read(arguments.aligned), arguments.limit))
    others = [audio.load(reader.path)[0] for reader in people[:_BABBLING]]
    #: What becomes of the sound, and how many times faster it is then.
    disturbances: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
        "as it is": (np.asarray, 1.0),
        "whispered": (whispered, 1.0),
        "on a telephone": (telephoned, 1.0),
        "in a room, 0.6 s": (partial(in_a_room, seconds=0.6), 1.0),
        "in a church, 2 s": (partial(in_a_room, seconds=2.0), 1.0),
        "babble, 10 dB lower": (partial(under_babble, others=others, decibel=10), 1.0),
        "babble, 5 dB lower": (partial(under_babble, others=others, decibel=5), 1.0),
        "1.6 times higher and faster": (partial(augment.change_voice, factor=1.6), 1.6),
        "0.65 times": (partial(augment.change_voice, factor=0.65), 0.65),
    }
    rows = {}
    for name, (disturb, faster) in disturbances.items():
        takes = []
        for reader in people:
            sound = disturb(audio.load(reader.path)[0].astype(np.float64)).astype(np.float32)
            phones = [replace(p, start=p.start / faster, end=p.end / faster) for p in reader.phones]
            takes.append(Spoken(reader.voice, phones, *lips(sound)))
        rows[name] = judge(takes)
    print(table(f"{len(people)} recordings of readers never heard", rows))


if __name__ == "__main__":
    command.run(main)
