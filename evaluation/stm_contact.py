"""Do closures close and lids meet on other faces? `python -m evaluation.stm_contact --data ../shared/data`

ICT-FaceKit identities that training never saw, with lips made thin or thick, with the mouth or the eyes of the neutral
face open or half shut, perform what the average face performs with its lips shut (pressed, puckered, smiling, "m" on an
open jaw) and blink, through `prepare` and `deform` as in the add-on. Measured on the moved surface, not at the
landmarks: columns of 2 mm along the middle 80 % of the mouth, and the lids at their landmarks. Millimetres of a face
whose outer eye corners are 90 mm apart. "displacement as it is" is the same motion without retargeting and contact.
"""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from evaluation.mouth import lips
from export import command, ict, scanning, stm_data
from freetalk_blender.core import frame
from freetalk_blender.core.face import prepare
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, LID_PAIRS, gaps
from freetalk_blender.core.movement import deform
from freetalk_blender.core.surface import raster

#: Frames in which the average face's lips are shut: ICT shapes and weights.
SHUT = {
    "rest": {},
    "press": {"mouthPress_L": 1.0, "mouthPress_R": 1.0},
    "pucker": {"mouthPucker": 0.8},
    "smile": {"mouthSmile_L": 0.8, "mouthSmile_R": 0.8},
    "m": {"jawOpen": 0.3, "mouthClose": 0.3},
}
BLINK = {"eyeBlink_L": 1.0, "eyeBlink_R": 1.0}
#: Facing lip vertices are compared where they lie this near in plan (mm).
_OVER = 1.5
HEADER = (
    "| neutral face | lips at rest: gap mm | shut: gap mm, mean / 95 % of columns below | shut: crossing mm "
    "| blink: lids apart mm, mean / worst | as it is: gap mm | as it is: crossing mm | as it is: lids mm |"
)


def thicker(vertices: np.ndarray, landmarks: np.ndarray, factor: float) -> np.ndarray:
    """The face (N,3) with lips `factor` as high; landmarks (68,3). The line where the lips meet stays."""
    middle = landmarks[60:68].mean(0)
    width = landmarks[54, 0] - landmarks[48, 0]
    line = np.interp(vertices[:, 0], landmarks[[60, 61, 62, 63, 64], 0], landmarks[[60, 61, 62, 63, 64], 1])
    away = (vertices - middle) / [0.55 * width, 0.35 * width, 0.6 * width]
    share = np.exp(-((away**2).sum(1) ** 2))
    moved = vertices.copy()
    moved[:, 1] += (factor - 1) * share * (vertices[:, 1] - line)
    return moved


def faces(model: ict.IctModel) -> Iterator[tuple[str, np.ndarray]]:
    """Names and vertices (N,3) of neutral faces."""
    for k, seed in enumerate(stm_data.TEST[:2]):
        face = model.face(scanning.identity(np.random.default_rng([96, seed]), model))
        yield f"identity {k + 1}", face
        landmarks = face[model.landmark_vertices]
        yield f"identity {k + 1}, thin lips (x 0.6)", thicker(face, landmarks, 0.6)
        yield f"identity {k + 1}, thick lips (x 1.5)", thicker(face, landmarks, 1.5)
        for name, shapes in {
            "mouth ajar": {"jawOpen": 0.1},
            "mouth open": {"jawOpen": 0.25},
            "eyes half shut": {"eyeBlink_L": 0.5, "eyeBlink_R": 0.5},
            "eyes wide": {"eyeWide_L": 1.0, "eyeWide_R": 1.0},
        }.items():
            yield f"identity {k + 1}, {name}", face + model.offsets(model.weights(shapes))[0]


def columns(
    vertices: np.ndarray, triangles: np.ndarray, side: np.ndarray, corners: np.ndarray
) -> tuple[np.ndarray, float]:
    """Gap of each column of a mouth, and the deepest crossing (mm).

    vertices (V,3) canonical mm; side (V,): +1 upper lip, -1 lower; corners (2,): x of the mouth's corners.
    """
    up = raster.vertex_normals(vertices, triangles)[:, 1]
    upper, lower = np.flatnonzero((side > 0) & (up < -0.2)), np.flatnonzero((side < 0) & (up > 0.2))
    distance, near = cKDTree(vertices[lower][:, [0, 2]]).query(vertices[upper][:, [0, 2]], 3)
    share = 1 / np.maximum(distance, 1e-3) ** 2
    under = (share * vertices[lower, 1][near]).sum(1) / share.sum(1)
    over = distance[:, 0] < _OVER
    clear, x = (vertices[upper, 1] - under)[over], vertices[upper[over], 0]
    inset = 0.1 * (corners[1] - corners[0])
    middles = np.arange(corners[0] + inset, corners[1] - inset, 1.0)
    inside = [np.abs(x - middle) < 1 for middle in middles]
    gap = np.array([max(clear[near].min(), 0.0) for near in inside if near.any()])
    return gap, float(max(-clear[np.any(inside, 0)].min(), 0.0))


def lids(points: np.ndarray) -> tuple[float, float]:
    """Mean and largest distance (mm) of the lids' landmark pairs along y; points (68,3) canonical mm."""
    apart = np.abs(gaps(points, LID_PAIRS))
    return float(apart.mean()), float(apart.max())


def row(model: ict.IctModel, name: str, neutral: np.ndarray, motion: np.ndarray, side: np.ndarray) -> str:
    """A row of the table; motion (T,68,3): the frames of SHUT, then the blink."""
    scan = scanning.parts(model, neutral, "head", eyeballs=False, mouth=True)
    handles = scan.owner[model.landmark_vertices]
    face = prepare(scan.vertices, scan.triangles, handles)
    labels = side[scan.carry.indices]

    def moved(frames: np.ndarray) -> np.ndarray:
        return face.frame.to_canonical(scan.vertices + frames) * frame.EYE_DISTANCE_MM

    at_rest = moved(np.zeros((1, 1, 3)))[0]
    corners = at_rest[handles[[60, 64]], 0]
    own = moved(deform(face, motion))
    raw = moved(deform(face, face.frame.vectors_to_mesh(motion), space="mesh"))
    rest, _ = columns(at_rest, scan.triangles, labels, corners)
    cells = [name, f"{rest.mean():.2f}"]
    for points in (own, raw):
        found = [columns(v, scan.triangles, labels, corners) for v in points[:-1]]
        gap = np.concatenate([g for g, _ in found])
        apart = lids(points[-1][handles])
        cells += [f"{gap.mean():.2f} / {np.percentile(gap, 95):.2f}", f"{max(c for _, c in found):.2f}"]
        cells += [f"{apart[0]:.2f} / {apart[1]:.2f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    model = ict.load(parser.parse_args().data)
    motion = model.landmark_motion(model.weights(*SHUT.values(), BLINK))
    average = frame.mean_landmarks() + motion
    parted = gaps(average[:-1], INNER_LIP_PAIRS) * frame.EYE_DISTANCE_MM
    shown = ", ".join(f"{name} {gap.mean():.2f}" for name, gap in zip(SHUT, parted, strict=True))
    print(f"The average face's own gap at its inner-lip landmarks, mm: {shown}\n\n{HEADER}\n|" + "---|" * 8)
    side = lips(model)
    for name, neutral in faces(model):
        print(row(model, name, neutral, motion, side), flush=True)


if __name__ == "__main__":
    command.run(main)
