"""One sentence in every emotion on a scan, to be watched: faces, lips, and curves against the phones.

    python -m evaluation.ats_pictures --scan FILE [--landmarks FILE] -o FOLDER [--sound FILE --text "WORDS"]

Writes FOLDER/ats_NAME.png for neutral and the seven emotions (`Take`: faces and lips in the middles of phones, from in
front and turned, over the curves of mouth, brows and lids with the phones beneath), and FOLDER/ats_emotions.png: every
emotion in a row of faces, small. Needs matplotlib and PocketSphinx (`.venv-train`).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

from evaluation.stm_pictures import behind_skin, picture
from export import command
from export.phones import SILENCE, Aligner, Phone
from freetalk_blender.core import face, landmarks, movement
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.surface import raster, scan_file
from freetalk_blender.core.voice import audio, performance
from freetalk_blender.core.voice.emotion import EMOTIONS
from freetalk_blender.core.voice.speech import FEATURE_RATE

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SPEECH = Path(__file__).resolve().parents[1] / "examples" / "speech.flac"
TEXT = (
    "Bob and Mary put five blue plums by the pool, "
    "and a farmer's mother moved them to the barn before the moon came up."
)
#: Faces of a contact sheet, and of the row in which an emotion stands beside the others.
FACES, FEW = 14, 8
#: Pixels of a face, and the part of it (rows, columns, shares) that shows the lips.
SIZE, LIPS = 260, (slice(0.55, 0.85), slice(0.3, 0.7))
#: Curves: name -> (landmarks above or left, landmarks below or right, axis), mm; where a side has none, the
#: other's own way.
CURVES = {
    "inner-lip gap": ((61, 62, 63), (67, 66, 65), 1),
    "mouth width": ((54,), (48,), 0),
    "jaw down": ((), (8,), 1),
    "corners up": ((48, 54), (), 1),
    "inner brows up": ((21, 22), (), 1),
    "outer brows up": ((17, 18, 25, 26), (), 1),
    "lids apart": ((37, 38, 43, 44), (41, 40, 47, 46), 1),
}


@dataclass(frozen=True)
class Take:
    """One emotion on one scan: landmark motion (T,68,3) of the average face, canonical units, at 50 Hz; frames (N,)
    that are shown; faces (N,3,H,W,3) uint8: from in front, turned, the lips."""

    emotion: str
    motion: np.ndarray
    frames: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class Actor:
    """A scan that is bound: how it is moved, and what is drawn."""

    bound: face.Face
    vertices: np.ndarray
    triangles: np.ndarray
    inside: np.ndarray

    @classmethod
    def read(cls, scan: Path, points: Path | None) -> "Actor":
        vertices, triangles = scan_file.read(scan)
        bound = face.prepare(vertices, triangles, landmarks.read(points) if points else None)
        if bound.opened is None:
            return cls(bound, vertices, triangles, np.zeros(len(vertices), bool))
        opened = bound.opened
        return cls(bound, opened.vertices, opened.triangles, behind_skin(opened))

    def shown(self, motion: np.ndarray) -> np.ndarray:
        """motion (N,68,3), canonical units of the average face -> (N,3,H,W,3) pictures."""
        keys = movement.shape_keys(self.bound, motion)
        moved = self.vertices + np.tensordot(keys.weights, keys.shapes, 1)
        return np.stack([self._views(self.bound.frame.to_canonical(one)) for one in moved])

    def _views(self, points: np.ndarray) -> np.ndarray:
        front, turned = (picture(points, self.triangles, SIZE, angle, dark=self.inside) for angle in (0.0, 40.0))
        near = picture(points, self.triangles, 3 * SIZE, dark=self.inside)
        rows, columns = (slice(round(3 * SIZE * s.start), round(3 * SIZE * s.stop)) for s in LIPS)
        lips = np.full_like(front, 255)
        close = near[rows, columns][:SIZE, :SIZE]
        lips[: close.shape[0], : close.shape[1]] = close
        return np.stack([front, turned, lips])


def spread_out(phones: list[Phone], count: int) -> np.ndarray:
    """(count,) frames: rest before the first phone, then middles of phones evenly through the sentence."""
    spoken = [phone for phone in phones if phone.name != SILENCE]
    chosen = [spoken[i] for i in np.linspace(0, len(spoken) - 1, count - 1).round().astype(int)]
    middles = [round((phone.start + phone.end) / 2 * FEATURE_RATE) for phone in chosen]
    return np.array([max(0, round((spoken[0].start - 0.2) * FEATURE_RATE)), *middles])


def curve(motion: np.ndarray, name: str) -> np.ndarray:
    """(T,) mm by which one of CURVES differs from rest."""
    over, under, axis = CURVES[name]
    sides = [motion[:, side, axis].mean(1) if side else np.zeros(len(motion)) for side in (over, under)]
    return EYE_DISTANCE_MM * (sides[0] - sides[1])


def draw_curves(axes: np.ndarray, take: Take, neutral: np.ndarray, phones: list[Phone]) -> None:
    """CURVES of the take in colour over the neutral ones in grey, the phones named beneath, the frames shown dashed."""
    clock = np.arange(len(take.motion)) / FEATURE_RATE
    for axis, name in zip(axes, CURVES, strict=True):
        axis.axhline(0.0, color="0.85", linewidth=0.8)
        axis.plot(clock, curve(neutral, name), color="0.6", linewidth=0.8)
        axis.plot(clock, curve(take.motion, name), linewidth=1.2)
        for frame_ in take.frames:
            axis.axvline(frame_ / FEATURE_RATE, color="0.8", linewidth=0.6, linestyle=":")
        for phone in phones:
            if phone.name in ("P", "B", "M"):
                axis.axvspan(phone.start, phone.end, color="tab:red", alpha=0.15, linewidth=0)
            elif phone.name in ("F", "V"):
                axis.axvspan(phone.start, phone.end, color="tab:orange", alpha=0.15, linewidth=0)
        axis.set_ylabel(f"{name}\n(mm)", fontsize=7)
        axis.tick_params(labelsize=6)
        axis.set_xlim(0, clock[-1])
    for phone in phones:
        if phone.name != SILENCE:
            middle = (phone.start + phone.end) / 2
            axes[-1].annotate(
                phone.name, (middle, 0), xycoords=("data", "axes fraction"), xytext=(0, -14),
                textcoords="offset points", ha="center", va="top", rotation=90, fontsize=6,
            )  # fmt: skip


def sheet(take: Take, neutral: np.ndarray, phones: list[Phone], path: Path) -> None:
    """Faces over curves as one PNG."""
    rows = np.concatenate([np.concatenate(list(take.faces[:, view]), 1) for view in range(take.faces.shape[1])])
    figure = plt.figure(figsize=(22, 5.2 + 1.1 * len(CURVES)))
    grid = figure.add_gridspec(1 + len(CURVES), 1, height_ratios=[4.4, *[1.0] * len(CURVES)], hspace=0.12)
    top = figure.add_subplot(grid[0])
    top.imshow(rows)
    top.set_axis_off()
    width = take.faces.shape[3]
    for number, frame_ in enumerate(take.frames):
        said = [p.name for p in phones if p.start <= frame_ / FEATURE_RATE < p.end]
        top.text((number + 0.5) * width, -6, f"{frame_ / FEATURE_RATE:.2f} s {''.join(said)}", ha="center", fontsize=8)
    draw_curves(np.array([figure.add_subplot(grid[1 + i]) for i in range(len(CURVES))]), take, neutral, phones)
    figure.suptitle(f"{take.emotion} (grey: neutral; red: P B M, orange: F V)", fontsize=11, y=0.93)
    figure.savefig(path, dpi=70, bbox_inches="tight")
    plt.close(figure)


def overview(takes: list[Take]) -> np.ndarray:
    """(H,W,3) every emotion in a row of FEW faces at half their size, in the order of `takes`."""
    rows = []
    for take in takes:
        chosen = np.linspace(0, len(take.faces) - 1, FEW).round().astype(int)
        row = np.concatenate(list(take.faces[chosen, 0]), 1).astype(np.float32)
        rows.append(row.reshape(row.shape[0] // 2, 2, row.shape[1] // 2, 2, 3).mean((1, 3)))
    return np.concatenate(rows).round().astype(np.uint8)


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--scan", type=Path, required=True)
    parser.add_argument("--landmarks", type=Path, help="the scan's landmarks; else they are detected")
    parser.add_argument("--sound", type=Path, default=SPEECH)
    parser.add_argument("--text", default=TEXT, help="what the sound says")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the pictures")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    samples, rate = audio.load(arguments.sound)
    with tempfile.TemporaryDirectory() as folder:
        phones = Aligner(Path(folder)).align(samples, arguments.text)
    if phones is None:
        parser.error("the sound does not say the text")
    actor = Actor.read(arguments.scan, arguments.landmarks)
    frames = spread_out(phones, FACES)
    takes = []
    for emotion in EMOTIONS:
        motion = performance.perform(samples, rate, {emotion: 1.0}, FEATURE_RATE, device="cpu").displacement
        takes.append(Take(emotion, motion, frames, actor.shown(motion[frames])))
        sheet(takes[-1], takes[0].motion, phones, arguments.output / f"ats_{emotion}.png")
        print(emotion, flush=True)
    raster.write_png(arguments.output / "ats_emotions.png", overview(takes))


if __name__ == "__main__":
    command.run(main)
