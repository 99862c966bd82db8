"""How a performance's head moves beside a real talker's who reads the same words.

    python -m evaluation.head_motion --data ../shared/data [--clips 150]

Prints, about each axis and in degrees: standard deviation within a clip of 3 s, speed (rms, below 3 Hz), and how far
the head is lower a fifth of a second after an accent than half a second before. The talker's turns are the best fit of
his tracked rigid landmarks, whose depth is a guess of the tracker: roll is the surest, pitch and yaw are rough.
"""

import numpy as np
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation

from export import command, grid
from freetalk_blender.core import frame
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.voice import audio, performance
from freetalk_blender.core.voice.style import Style

FPS = 25
_SLOW = butter(2, 3.0, fs=FPS, output="sos")
#: Frames from an accent to where the head is compared.
_BEFORE, _AFTER = round(-0.5 * FPS), round(0.2 * FPS)


def turns(faces: np.ndarray) -> np.ndarray:
    """Landmarks (T,68,3), x right, y up, z to the viewer -> turns (T,3) about the canonical axes (degrees)."""
    average = frame.mean_landmarks()[frame.RIGID]
    fits = [frame.align(average, face[frame.RIGID]).rotation for face in faces]
    return np.degrees(Rotation.from_matrix(np.array(fits)).as_rotvec())


def told(curves: list[np.ndarray], accents: list[np.ndarray]) -> str:
    """A line of the table: clips' turns (T,3), degrees, and their accents (A,2)."""
    slow = [sosfiltfilt(_SLOW, curve - curve.mean(0), axis=0) for curve in curves]
    spread = np.sqrt(np.mean([curve.var(0) for curve in slow], 0))
    speed = np.sqrt(np.mean([((np.diff(curve, axis=0) * FPS) ** 2).mean(0) for curve in slow], 0))
    nods = [
        curve[at + _AFTER, 0] - curve[at + _BEFORE, 0]
        for curve, said in zip(slow, accents, strict=True)
        for at in np.rint(said[:, 0] * FPS).astype(int)
        if at + _BEFORE >= 0 and at + _AFTER < len(curve)
    ]
    values = " / ".join(f"{value:.2f}" for value in spread), " / ".join(f"{value:.1f}" for value in speed)
    return f"{values[0]} | {values[1]} | {np.mean(nods):.2f} ± {np.std(nods) / np.sqrt(len(nods)):.2f}"


def main() -> None:
    parser = command.parser(__doc__, "grid_s1/")
    parser.add_argument("--clips", type=whole_number(1), default=150)
    arguments = parser.parse_args()
    names, tracked = grid.read_landmarks(arguments.data)
    chosen = np.random.default_rng(0).permutation(len(names))[: arguments.clips]
    real, ours, accents = [], [], []
    for row in chosen:
        samples, rate = audio.load(arguments.data / "grid_s1" / "audio" / f"{names[row]}.flac")
        take = performance.perform(samples, rate, fps=FPS, style=Style(head=1.0), seed=int(row))
        accents.append(performance.hear(audio.resample(audio.mono(samples), rate)).accents)
        real.append(turns(tracked[row] * [1, -1, -1]))
        ours.append(np.degrees(take.turns[: len(tracked[row]), :3]).astype(float))
    print("head | sd, pitch / yaw / roll (degrees) | speed (degrees a second) | lower after an accent (degrees)")
    print(f"real talker | {told(real, accents)}\nperformance | {told(ours, accents)}")


if __name__ == "__main__":
    command.run(main)
