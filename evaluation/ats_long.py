"""Length and bad sound: `python -m evaluation.ats_long --data ../shared/data [--hours 2]`.

Where the encoder's windows lie must not be seen: speech after silence of several lengths, and long speech around the
cross-fades, are compared in the inner-lip gap, as shares of its range. Then memory and seconds for hours of speech.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from export import augment
from freetalk_blender.core import audio, performance, speech

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


def seam(samples: np.ndarray) -> tuple[float, float]:
    """The steepest step of the gap near cross-fades and elsewhere, as shares of its range (99.9th percentiles)."""
    curve = gap(samples)
    near = np.zeros(len(curve) - 1, bool)
    for start, _ in list(speech.windows(len(curve) + 50))[1:]:
        near[max(0, start - 25) : start + 175] = True
    steps = np.abs(np.diff(curve)) / np.ptp(curve)
    return float(np.percentile(steps[near], 99.9)), float(np.percentile(steps[~near], 99.9))


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge the ATS on long, loud, coarse and foreign sound.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/")
    parser.add_argument("--hours", type=float, default=2.0)
    arguments = parser.parse_args()
    files = sorted((arguments.data / "speech" / "dc_tts_voice").glob("*.flac"))[:12]
    voice = np.concatenate([audio.load(file)[0] for file in files])
    print(f"window placement: the gap changes by {100 * placement(voice[: 12 * 16000]):.2f} % of its range (rms)")
    near, elsewhere = seam(voice)
    print(f"steepest frame near cross-fades {100 * near:.1f} % of the range, elsewhere {100 * elsewhere:.1f} %")
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
