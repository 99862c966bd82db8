"""One real talker's lips (GRID, talker 1) as 68-point, 3-D, identity-free displacement of the average face at 50 Hz.

`python -m export.grid --data ../shared/data` prints how well ICT-FaceKit's shapes explain the tracked lips.

Source of the recordings: Cooke, Barker, Cunningham & Shao 2006, "An audio-visual corpus for speech perception and
automatic speech recognition" (CC-BY 4.0, Zenodo record 3625687).
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import savgol_filter

from export import articulation, command, ict
from freetalk_blender.core import frame
from freetalk_blender.core.landmarks import LIPS, aperture
from freetalk_blender.core.voice.speech import FEATURE_RATE

VIDEO_RATE = 25
#: The talker's lips are closed where their gap is under this, in eye distances, and no word is spoken.
_CLOSED_GAP = 0.018
#: Lips that open further than this before the first word or after the last are breath, not speech (seconds).
BREATH = 0.3


@dataclass(frozen=True)
class Clip:
    """One sentence: name; displacement (T,68,3) of the average face at 50 Hz; speech (T,) bool; its sound file."""

    name: str
    displacement: np.ndarray
    speech: np.ndarray
    audio: Path


def canonical(pixels: np.ndarray) -> np.ndarray:
    """Tracked landmarks (T,68,3), pixels, y down, z away -> canonical axes, head pose and size removed.

    The pose is the similarity of the rigid landmarks to their own mean, its size that of the whole clip, its rotation
    and place smoothed over 7 frames (a head does not turn as fast as lips) by a symmetric, so lag-free, filter.
    """
    points = pixels.astype(float) * np.array([1.0, -1.0, -1.0])
    mean = frame.mean_landmarks()[frame.RIGID]
    rigid = points[:, frame.RIGID]
    for _ in range(3):
        aligned = np.stack([frame.align(mean, x).to_canonical(x) for x in rigid])
        mean = aligned.mean(0)
    poses = [frame.align(mean, x) for x in rigid]
    scale = float(np.median([pose.scale for pose in poses]))
    rotations = _smooth(np.stack([pose.rotation for pose in poses]))
    u, _, vt = np.linalg.svd(rotations)
    rotations = u @ vt
    centres = _smooth(rigid.mean(1))
    local = np.einsum("tij,tni->tnj", rotations, points - centres[:, None]) / scale
    unit = np.linalg.norm(local[:, 45] - local[:, 36], axis=-1)
    return local / np.median(unit)


def _smooth(values: np.ndarray) -> np.ndarray:
    return savgol_filter(values, 7, 2, axis=0)


def gap(points: np.ndarray) -> np.ndarray:
    """(T,68,3) -> (T,) distance of the inner lips' middles (landmarks 62 and 66)."""
    return np.linalg.norm(points[..., 62, :] - points[..., 66, :], axis=-1)


def spoken(words: list[tuple[float, float, str]], times: np.ndarray) -> np.ndarray:
    """(T,) True between the start of the first word and the end of the last."""
    return (times >= words[0][0]) & (times < words[-1][1])


def read_words(data: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Clip -> [(start s, end s, word)], without its silences."""
    words: dict[str, list[tuple[float, float, str]]] = {}
    with open(Path(data) / "grid_s1" / "words.csv", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["word"] not in ("sil", "sp"):
                words.setdefault(row["clip"], []).append((float(row["start_s"]), float(row["end_s"]), row["word"]))
    return words


def read_landmarks(data: Path) -> tuple[list[str], np.ndarray]:
    """Names and tracked landmarks (N,75,68,3) in pixels."""
    with np.load(Path(data) / "grid_s1" / "landmarks.npz") as arrays:
        return [str(name) for name in arrays["names"]], arrays["landmarks"].astype(np.float32) * float(arrays["scale"])


def _rest(faces: np.ndarray, quiet: np.ndarray) -> np.ndarray:
    """(68,3) the talker's face with closed lips, from a clip's quiet frames; NaN where the lips are never at rest."""
    frames = faces[quiet & (gap(faces) < _CLOSED_GAP)]
    return frames.mean(0) if len(frames) >= 3 else np.full((68, 3), np.nan)


def _breathless(weights: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """(T,K) weights faded to rest where the nearest word is further than a third of a second."""
    index = np.flatnonzero(speech)
    away = np.maximum(index[0] - np.arange(len(speech)), np.arange(len(speech)) - index[-1]) / VIDEO_RATE
    return weights * np.clip((BREATH - away) / 0.12 + 1.0, 0.0, 1.0)[:, None]


def _to_50_hz(weights: np.ndarray) -> np.ndarray:
    """(T,K) at 25 Hz -> (2T,K) at 50 Hz, cubic, within [0, 1]."""
    times = np.arange(len(weights)) / VIDEO_RATE
    fine = np.minimum(np.arange(2 * len(weights)) / FEATURE_RATE, times[-1])
    return np.clip(CubicSpline(times, weights)(fine), 0.0, 1.0)


def load(data: Path, report: bool = False) -> tuple[list[Clip], np.ndarray]:
    """(clips, weights (N, T, K) of articulation.SPEECH_CONTROLS at 50 Hz), breath outside the sentence removed."""
    names, pixels = read_landmarks(data)
    words = read_words(data)
    model = ict.load(data)
    shapes = articulation.basis(model, articulation.SPEECH_CONTROLS)
    faces = np.stack([canonical(clip) for clip in pixels])
    times = np.arange(faces.shape[1]) / VIDEO_RATE
    speech = np.stack([spoken(words[name], times) for name in names])
    rests = np.stack([_rest(face, ~talking) for face, talking in zip(faces, speech, strict=True)])
    common = np.nanmean(rests, axis=0)
    rests = np.where(np.isnan(rests), common, rests)
    displacement = articulation.symmetric(faces - rests[:, None])
    flat = articulation.fit(displacement.reshape(-1, 68, 3), shapes)
    weights = flat.reshape(*displacement.shape[:2], -1)
    if report:
        _report(displacement, np.einsum("ntk,kld->ntld", weights, shapes), weights, speech)
    fine = np.stack([_to_50_hz(_breathless(w, talking)) for w, talking in zip(weights, speech, strict=True)])
    clips = [
        Clip(name, np.tensordot(w, shapes, 1), np.repeat(talking, 2), Path(data) / "grid_s1" / "audio" / f"{name}.flac")
        for name, w, talking in zip(names, fine, speech, strict=True)
    ]
    return clips, fine


def _report(real: np.ndarray, fitted: np.ndarray, weights: np.ndarray, speech: np.ndarray) -> None:
    error = frame.EYE_DISTANCE_MM * np.linalg.norm((real - fitted)[..., :2], axis=-1)[speech]
    moved = frame.EYE_DISTANCE_MM * np.linalg.norm(real[..., :2], axis=-1)[speech]
    for name, points in (("lips", LIPS), ("lower contour", articulation.JAW)):
        print(f"{name}: moved {moved[:, points].mean():.2f} mm, fit error {error[:, points].mean():.2f} mm (frontal)")
    opening = [aperture(x) for x in (real, fitted)]
    print(f"inner-lip gap: r {np.corrcoef(opening[0].ravel(), opening[1].ravel())[0, 1]:.3f}, "
          f"error {frame.EYE_DISTANCE_MM * np.abs(opening[0] - opening[1]).mean():.2f} mm")  # fmt: skip
    for name, mean, top in sorted(
        zip(
            articulation.SPEECH_CONTROLS,
            weights[speech].mean(0),
            np.percentile(weights[speech], 99, axis=0),
            strict=True,
        ),
        key=lambda row: -row[1],
    ):
        print(f"  {name:18s} mean {mean:.3f}  99th percentile {top:.2f}")


def main() -> None:
    parser = command.parser(__doc__, "grid_s1/ and ict_facekit/")
    clips, _ = load(parser.parse_args().data, report=True)
    print(f"{len(clips)} clips, {sum(len(clip.speech) for clip in clips) / FEATURE_RATE / 60:.1f} minutes")


if __name__ == "__main__":
    command.run(main)
