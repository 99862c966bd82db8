"""Length and bad sound: `python -m evaluation.ats_long --data ../shared/data [--hours 2]`.

Where the encoder's windows lie must not be seen. The inner-lip gap in long speech by people whom training never heard
is compared with the same gap where every window begins elsewhere, with what single windows say, and with speech after
silence of several lengths, all as shares of its range. Then memory and seconds for hours of speech.
"""

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from unittest import mock

import numpy as np

from evaluation.ats import unheard_readers
from export import augment, command
from freetalk_blender.core.landmarks import aperture
from freetalk_blender.core.voice import audio, performance, speech

#: How many people's clips make long speech.
PEOPLE = 8
#: Seconds of silence put before the same speech.
SHIFTS = (0.5, 3.3, 7.1, 12.9)


def gap(samples: np.ndarray, rate: int = audio.SPEECH_RATE) -> np.ndarray:
    """Inner-lip gap (T,) at 50 Hz, canonical units."""
    return aperture(performance.perform(samples, rate, fps=speech.FEATURE_RATE, device="cpu").displacement)


def placement(samples: np.ndarray) -> float:
    """Root mean square change of the gap, as a share of its range, when the speech begins later in the window."""
    whole = gap(samples)
    changes = []
    for seconds in SHIFTS:
        frames = round(seconds * speech.FEATURE_RATE)
        later = gap(np.concatenate([np.zeros(frames * speech.HOP, np.float32), samples]))[frames:]
        length = min(len(whole), len(later)) - 5
        changes.append((whole[:length] - later[:length]) ** 2)
    return float(np.sqrt(np.mean(np.concatenate(changes))) / np.ptp(whole))


def placed(samples: np.ndarray, early: int, step: int) -> np.ndarray:
    """The gap by windows that begin `step` frames apart, the first of them `early` frames before the sound."""

    def other(frames: int) -> Iterator[tuple[int, int]]:
        start = -early
        while start + speech.WINDOW < frames:
            yield max(start, 0), start + speech.WINDOW
            start += step
        yield max(start, 0), frames

    performance.clear_cache()
    with mock.patch.object(speech, "windows", other):
        curve = gap(samples)
    performance.clear_cache()
    return curve


@dataclass(frozen=True)
class Seam:
    """Shares of the gap's range. moved: root mean square change where all windows begin elsewhere; single: of the gap
    from what one window alone says. Steps from frame to frame (99.9th percentiles) of the gap and of single windows,
    and how far one goes beyond those of every single window (the largest)."""

    moved: float
    single: float
    step: float
    single_step: float
    beyond: float


def seam(samples: np.ndarray, step: int) -> Seam:
    """Long speech by windows `step` frames apart, where as many of them cross-fade as ever do."""
    inner = slice(speech.WINDOW, -speech.WINDOW)
    curves = np.stack([placed(samples, early, step)[inner] for early in (0, step // 3, 2 * step // 3)])
    singles = [placed(samples, early, speech.WINDOW)[inner] for early in range(0, speech.WINDOW, step)]
    reach = np.ptp(curves[0])
    steps, others = np.diff(curves[0]) / reach, np.diff(singles) / reach
    beyond = np.maximum(steps - others.max(0), others.min(0) - steps)
    return Seam(
        moved=_rms(np.stack([one - other for one, other in combinations(curves, 2)])) / reach,
        single=_rms(singles - curves[0]) / reach,
        step=float(np.percentile(np.abs(steps), 99.9)),
        single_step=float(np.percentile(np.abs(others), 99.9)),
        beyond=float(beyond.max()),
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def people(data: Path) -> np.ndarray:
    """Some of LibriSpeech's voices that training never heard, one after another, each at the same level."""
    sounds = [audio.load(file)[0] for file in unheard_readers(data)[:PEOPLE]]
    return np.concatenate([sound * speech.gain(sound) for sound in sounds])


def main() -> None:
    parser = command.parser(__doc__, "speech/")
    parser.add_argument("--hours", type=float, default=2.0)
    arguments = parser.parse_args()
    files = command.files(arguments.data / "speech" / "dc_tts_voice", "*.flac")[:12]
    voice = np.concatenate([audio.load(file)[0] for file in files])
    unheard = people(arguments.data)
    print(f"{len(unheard) / audio.SPEECH_RATE:.0f} s by voices never heard")
    for step in (speech.WINDOW // 2, speech.STEP):
        met = seam(unheard, step)
        print(f"a window every {step / speech.FEATURE_RATE:g} s: where all begin elsewhere, the gap changes by "
              f"{100 * met.moved:.2f} % of its range (rms); it is {100 * met.single:.2f} % from a window alone; "
              f"steepest frame {100 * met.step:.1f} %, by a window alone {100 * met.single_step:.1f} %; at most "
              f"{100 * met.beyond:.2f} % steeper than by all of them", flush=True)  # fmt: skip
    print(f"after silence the gap changes by {100 * placement(voice[: 12 * 16000]):.2f} % (rms)", flush=True)
    clean = gap(voice[: 12 * 16000])
    random = np.random.default_rng(0)
    sounds = {
        "8-bit": np.rint(np.clip(voice, -1, 1) * 127 + 128).astype(np.uint8),
        "shouted (clipped at a tenth of its peak)": np.clip(voice, *(np.abs(voice).max() * np.array([-0.1, 0.1]))),
        "noise at -15 dB": voice + augment.noise(len(voice), random).astype(np.float32) * voice.std() * 10**-0.75,
    }
    for name, sound in sounds.items():
        curve = gap(sound[: 12 * 16000])[: len(clean)]
        print(f"{name}: r {np.corrcoef(curve, clean[: len(curve)])[0, 1]:.3f} with the clean curve")
    length = int(arguments.hours * 3600 * audio.SPEECH_RATE)
    long = np.resize(voice, length)
    began = time.process_time()
    performance.perform(long, audio.SPEECH_RATE, fps=30, device="cpu")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{arguments.hours:g} h: {time.process_time() - began:.0f} CPU-seconds, peak {peak:.2f} GiB "
          f"({4 * length / 2**30:.2f} GiB of it the sound as given)")  # fmt: skip


if __name__ == "__main__":
    command.run(main)
