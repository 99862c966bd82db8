"""Length and bad sound: `python -m evaluation.ats_long --data ../shared/data [--hours 2]`.

Where the encoder's windows lie must not be seen: speech after silence of several lengths, and long speech by windows
that overlap, are compared in the inner-lip gap, as shares of its range. Then memory and seconds for hours of speech.
"""

import argparse
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

from export import augment
from freetalk_blender.core import audio, performance, speech
from freetalk_blender.core.ats import CONTEXT

RATE = 50
#: Seconds of silence put before the same speech.
SHIFTS = (0.5, 3.3, 7.1, 12.9)


def gap(samples: np.ndarray, rate: int = audio.SPEECH_RATE) -> np.ndarray:
    """Inner-lip gap (T,) at 50 Hz, canonical units."""
    moved = performance.perform(samples, rate, fps=RATE, device="cpu").displacement
    return moved[:, 62, 1] - moved[:, 66, 1]


def placement(samples: np.ndarray) -> float:
    """Root mean square change of the gap, as a share of its range, when the speech begins later in the window."""
    whole = gap(samples)
    changes = []
    for seconds in SHIFTS:
        frames = round(seconds * RATE)
        later = gap(np.concatenate([np.zeros(frames * speech.HOP, np.float32), samples]))[frames:]
        length = min(len(whole), len(later)) - 5
        changes.append((whole[:length] - later[:length]) ** 2)
    return float(np.sqrt(np.mean(np.concatenate(changes))) / np.ptp(whole))


def alone(samples: np.ndarray, odd: bool) -> np.ndarray:
    """The gap by every other window of the encoder, each counting in full where it overlaps the others."""
    half = speech._WINDOW - speech._OVERLAP

    def hard(start: int, stop: int, frames: int) -> np.ndarray:
        return np.full(stop - start, float((start // half) % 2 == odd), np.float32)

    performance.clear_cache()
    with mock.patch.object(speech, "_fade", hard):
        curve = gap(samples)
    performance.clear_cache()
    return curve


@dataclass(frozen=True)
class Seam:
    """Shares of the gap's range: how much two windows that overlap differ (root mean square); the steps from frame to
    frame where they cross-fade, by each of the two alone, and how far one goes beyond both (99.9th percentiles; the
    last, the largest)."""

    difference: float
    faded: float
    alone: float
    beyond: float


def seam(samples: np.ndarray) -> Seam:
    """Long speech where the encoder's windows cross-fade, away from where a window alone begins or ends."""
    blended, even, odd = gap(samples), alone(samples, False), alone(samples, True)
    inside = np.zeros(len(blended) - 1, bool)
    for start, stop in list(speech.windows(len(blended) - 1 + 2 * speech._MARGIN))[1:]:
        first = start - speech._MARGIN
        inside[first + CONTEXT : min(first + speech._OVERLAP, stop - speech._MARGIN) - CONTEXT] = True
    reach = np.ptp(blended)
    steps, *others = (np.diff(curve)[inside] / reach for curve in (blended, even, odd))
    beyond = np.maximum(steps - np.maximum(*others), np.minimum(*others) - steps)
    return Seam(
        difference=float(np.sqrt(np.mean((even - odd)[:-1][inside] ** 2)) / reach),
        faded=float(np.percentile(np.abs(steps), 99.9)),
        alone=float(np.percentile(np.abs(np.concatenate(others)), 99.9)),
        beyond=float(beyond.max()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge the ATS on long, loud, coarse and foreign sound.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/")
    parser.add_argument("--hours", type=float, default=2.0)
    arguments = parser.parse_args()
    files = sorted((arguments.data / "speech" / "dc_tts_voice").glob("*.flac"))[:12]
    voice = np.concatenate([audio.load(file)[0] for file in files])
    print(f"window placement: the gap changes by {100 * placement(voice[: 12 * 16000]):.2f} % of its range (rms)")
    met = seam(voice)
    print(f"two windows that overlap: the gap differs by {100 * met.difference:.2f} % of its range (rms); steepest "
          f"frame where they cross-fade {100 * met.faded:.1f} %, by either alone {100 * met.alone:.1f} %; at most "
          f"{100 * met.beyond:.2f} % steeper than in both")  # fmt: skip
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
    main()
