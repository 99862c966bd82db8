"""Pictures to look at: error heat maps on faces with a known truth, and six expressions on scans.

`python -m evaluation.stm_pictures --data ../shared/data -o FOLDER [--scan FILE ... --landmarks FOLDER]`
"""

from itertools import islice
from pathlib import Path

import numpy as np

from evaluation import stm, stm_faces
from export import command, ict
from freetalk_blender.core import frame, landmarks
from freetalk_blender.core.eyes import lids
from freetalk_blender.core.face import Face, prepare
from freetalk_blender.core.mouth.opened_mouth import SKIN, OpenedMouth
from freetalk_blender.core.movement import landmark_motion
from freetalk_blender.core.surface import raster, scan_file

#: Pixels of a face in a heat map, and of a look.
_HEAT_SIZE, _LOOK_SIZE = 200, 240
#: Error (mm) that is drawn in full red.
FULL_MM = 3.0
ICT_FRAMES = ("jawOpen", "mouthPucker", "mouthSmile_L", "mouthFunnel", "eyeBlink_L", "browOuterUp_L")
MAKEHUMAN_FRAMES = (
    "mouth-open", "mouth-pursing", "mouth-corner-puller", "mouth-protusion", "eye-left-closure", "eyebrows-left-up",
)  # fmt: skip
#: What `looks` shows: name -> ICT shapes and weights, of which only the 68 landmarks' motion is used.
LOOKS = {
    "neutral": {},
    "jawOpen": {"jawOpen": 0.7},
    "pucker": {"mouthPucker": 1.0},
    "smile": {"mouthSmile_L": 1.0, "mouthSmile_R": 1.0},
    "funnel": {"mouthFunnel": 1.0, "jawOpen": 0.2},
    "blink": {"eyeBlink_L": 1.0, "eyeBlink_R": 1.0},
    "brow up": {"browInnerUp_L": 1.0, "browInnerUp_R": 1.0, "browOuterUp_L": 1.0, "browOuterUp_R": 1.0},
}  # fmt: skip


def picture(
    vertices: np.ndarray,
    triangles: np.ndarray,
    size: int,
    turn: float = 0.0,
    error: np.ndarray | None = None,
    dark: np.ndarray | None = None,
) -> np.ndarray:
    """(size,size,3) uint8: a face in canonical units, turned by `turn` degrees; error (V,) mm colours it, dark (V,)
    bool is drawn dark."""
    angle = np.radians(turn)
    about = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    placed = ((vertices - [0, -0.25, -0.4]) @ about.T / 1.05).astype(np.float32)
    inside = (np.abs(placed[triangles][..., :2]) < 1.2).all((1, 2))
    shown = triangles[inside]
    image = raster.render(placed, shown, size)
    light = raster.vertex_normals(placed, triangles) @ np.array([0.35, 0.5, 0.8], np.float32)
    base = np.repeat(np.clip(0.2 + 0.75 * light, 0.08, 1)[:, None], 3, 1)
    if error is not None:
        heat = np.clip(error / FULL_MM, 0, 1)[:, None]
        base = base * (1 - heat) + base * heat * np.array([2.0, 0.15, 0.1])
    if dark is not None:
        base[dark] *= 0.25
    shaded = image.interpolate(np.clip(base, 0, 1).astype(np.float32), shown)
    shaded[~image.seen] = 1
    return (255 * shaded).astype(np.uint8)


def heat_map(case: stm_faces.Case, frames: tuple[str, ...]) -> np.ndarray:
    """Rows: truth, biharmonic, ours; columns: frames. Red is FULL_MM of error or more."""
    at = [case.frames.index(name) for name in frames]
    rows = [[picture(case.vertices + case.truth[k], case.triangles, _HEAT_SIZE) for k in at]]
    for method in (stm.BASELINE, stm.OURS):
        found = stm.METHODS[method](case)
        error = np.linalg.norm(found - case.truth, axis=2) * frame.EYE_DISTANCE_MM * case.real
        rows.append([picture(case.vertices + found[k], case.triangles, _HEAT_SIZE, error=error[k]) for k in at])
    return np.concatenate([np.concatenate(row, 1) for row in rows])


def behind_skin(opened: OpenedMouth) -> np.ndarray:
    """(V,) bool: vertices of an opened face that no triangle of its skin has."""
    behind = np.ones(len(opened.vertices), bool)
    behind[opened.triangles[opened.part == SKIN]] = False
    return behind


def looks(face: Face, vertices: np.ndarray, triangles: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Rows: from in front, turned; columns: LOOKS. As in the scene, with what lies behind lips that were cut."""
    own = landmark_motion(face, motion)
    dense = face.mesh.to_caller(face.binding.displace(own))
    if face.contact:
        face.contact.correct(dense)
    if face.eyelids:
        face.eyelids.correct(dense, lids.closed(own, face.neutral))
    inside = np.zeros(len(vertices), bool)
    if face.opened:
        dense, vertices, triangles = face.opened.carried(dense), face.opened.vertices, face.opened.triangles
        inside = behind_skin(face.opened)
    moved = face.frame.to_canonical(vertices + dense)
    rows = [[picture(points, triangles, _LOOK_SIZE, turn, dark=inside) for points in moved] for turn in (0.0, 40.0)]
    return np.concatenate([np.concatenate(row, 1) for row in rows])


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/ and makehuman/")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--scan", type=Path, nargs="*", default=[], help="scans to show instead")
    parser.add_argument("--landmarks", type=Path, help="folder of the scans' landmark files; others are detected")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    model = ict.load(arguments.data)
    motion = model.landmark_motion(model.weights(*LOOKS.values()))
    for scan in arguments.scan:
        name = scan.stem.lower()
        known = arguments.landmarks / f"{name}.json" if arguments.landmarks else Path()
        vertices, triangles = scan_file.read(scan)
        face = prepare(vertices, triangles, landmarks.read(known) if known.is_file() else None)
        raster.write_png(arguments.output / f"stm_{name}.png", looks(face, vertices, triangles, motion))
    if not arguments.scan:
        (one,) = islice(stm_faces.ict_cases(arguments.data, 1), 1)
        raster.write_png(arguments.output / "stm_error_ict.png", heat_map(one, ICT_FRAMES))
        (one,) = islice(stm_faces.makehuman_cases(arguments.data, 1), 1)
        raster.write_png(arguments.output / "stm_error_makehuman.png", heat_map(one, MAKEHUMAN_FRAMES))


if __name__ == "__main__":
    command.run(main)
