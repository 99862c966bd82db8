"""How well the mouth is opened, against the truth: `python -m evaluation.mouth --data ../shared/data`.

Random ICT-FaceKit identities (nothing here is trained) get their lips fused, are re-meshed and roughened, and are
opened again with noisy landmarks. Three ways to fuse: "welded" at the contour of the inner lips; "sealed" across the
opening behind the lips; "scanned", Poisson reconstruction of what cameras see; the last kinds are whole heads scanned
with mouths that are hard to cut (MOUTHS). The registered face knows which lip every point of the fused surface came
from, and the true lip line is the border between the two on that surface.

Printed per kind of mesh (mm of a face of eye distance 90 mm): how far the seam lies from the true lip line (mean over
the seam and the faces, the worst face's mean, the 95th percentile) and the line from the seam, the share of lip
vertices put on the wrong lip, their number on a face and how far the farthest lies from the seam, the corners' error
along x, the seam's mean step, and the seconds taken. Vertices on the web that Poisson reconstruction spans between the
lips, no nearer to one of them than to the other by WEB, belong to neither (`export/fusing.py`, `on_web`).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from export import command, fusing, ict, remeshing, scanner, scanning
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.mouth import fused_mouth, lip_line
from freetalk_blender.core.surface import mesh
from freetalk_blender.core.surface.edges import edges_of
from freetalk_blender.core.surface.rows import renumbered

#: name -> (how the lips are fused, vertices after re-meshing, part of the head).
KINDS = {
    "welded, 1k": ("weld", 1_000, "mask"),
    "welded, 10k": ("weld", 10_000, "face"),
    "welded, 50k": ("weld", 50_000, "face"),
    "sealed, 10k": ("seal", 10_000, "face"),
    "scanned, 10k": ("scan", 10_000, "face"),
    "scanned, 50k": ("scan", 50_000, "face"),
    "overhung, 12k": ("scan", 12_000, "head"),
    "pressed, 12k": ("scan", 12_000, "head"),
    "full, 12k": ("scan", 12_000, "head"),
}
#: Ranges of the expression weights that are part of the neutral face of the last kinds: a jaw that lies back, so that
#: the upper lip overhangs the lower one; lips pressed together; lips rolled out.
MOUTHS = {
    "overhung": {"jawForward": (-1.5, -0.5), "mouthRollLower": (0.0, 0.5), "mouthShrugUpper": (-0.3, 0.3)},
    "pressed": {
        "mouthPress_L": (0.4, 1.2),
        "mouthPress_R": (0.4, 1.2),
        "mouthRollLower": (0.0, 0.5),
        "mouthRollUpper": (0.0, 0.5),
    },
    "full": {
        "mouthFunnel": (0.0, 0.25),
        "mouthPucker": (0.0, 0.3),
        "mouthRollLower": (-0.6, -0.1),
        "mouthRollUpper": (-0.6, -0.1),
    },
}
#: Three times the noise of the points that "scanned" faces are reconstructed from, and by how much longer the way along
#: the face is than twice the straight one where two places are two lips (mm).
WEB, ROUND = 0.3, 5.0
#: Landmarks along the inner upper and lower lip, corner to corner.
CONTOURS = [60, 61, 62, 63, 64], [60, 67, 66, 65, 64]
#: Root-mean-square distance of the given landmarks from the true ones (mm).
NOISE = (0.0, 1.0, 2.0)


@dataclass(frozen=True)
class Truth:
    """A registered face, its landmarks (68,3), (N,) +1 upper lip, -1 lower lip, 0 neither, and a millimetre in cm."""

    vertices: np.ndarray
    landmarks: np.ndarray
    side: np.ndarray
    mm: float


def contour(model: ict.IctModel, through: list[int]) -> np.ndarray:
    """Vertices of the shortest path along the average face's edges through landmarks."""
    edges, _ = edges_of(model.triangles)
    skin = (edges < ict.SKIN).all(1)
    length = np.linalg.norm(model.neutral[edges[skin, 0]] - model.neutral[edges[skin, 1]], axis=1)
    graph = sparse.coo_matrix((length, tuple(edges[skin].T)), (len(model.neutral),) * 2).tocsr()
    path = [model.landmark_vertices[through[0]]]
    for start, end in pairwise(through):
        before = dijkstra(graph, False, model.landmark_vertices[start], return_predecessors=True)[1]
        leg = [model.landmark_vertices[end]]
        while leg[-1] != model.landmark_vertices[start]:
            leg.append(before[leg[-1]])
        path += leg[::-1][1:]
    return np.array(path)


def lips(model: ict.IctModel) -> np.ndarray:
    """(N,) +1 upper lip, -1 lower lip, 0 neither: skin in front of the corners, by the side of the lip opening."""
    upper, lower = (contour(model, marks) for marks in CONTOURS)
    curve = model.neutral[np.concatenate([upper, lower])]
    near = cKDTree(curve).query(model.neutral)[0] < 1.0
    corner = model.neutral[model.landmark_vertices[[60, 64]], 0]
    near &= (model.neutral[:, 0] > corner[0] + 0.3) & (model.neutral[:, 0] < corner[1] - 0.3)
    near[ict.SKIN :] = False
    # The lips of the neutral model do not touch: its own surface distance tells them apart.
    edges, _ = edges_of(model.triangles)
    inside = near[edges].all(1)
    graph = sparse.coo_matrix((np.ones(inside.sum()), tuple(edges[inside].T)), (len(near),) * 2)
    label = sparse.csgraph.connected_components(graph, False)[1]
    return np.where(near & (label == label[model.landmark_vertices[62]]), 1, 0) - np.where(
        near & (label == label[model.landmark_vertices[66]]), 1, 0
    )


def truth(model: ict.IctModel, rng: np.random.Generator, side: np.ndarray, kind: str = "") -> Truth:
    """A random identity, with the mouth of a kind."""
    vertices = model.face(rng.normal(size=len(model.identity)) * 0.8)
    drawn = {name: rng.uniform(*limits) for name, limits in MOUTHS.get(kind.partition(",")[0], {}).items()}
    vertices = vertices + model.offsets(model.weights(drawn))[0]
    landmarks = vertices[model.landmark_vertices]
    return Truth(vertices, landmarks, side, float(np.linalg.norm(landmarks[36] - landmarks[45])) / 90)


def true_line(scan: scanning.Scan, face: Truth) -> np.ndarray:
    """(n,3) points of the lip line on a fused surface: where the harmonic blend of the lips' labels changes sign."""
    lip = scan.carry @ face.side
    known = np.abs(lip) > 0.99
    middle = face.landmarks[48:].mean(0)
    near = np.linalg.norm(scan.vertices - middle, axis=1) < 5
    used, triangles = renumbered(scan.triangles[near[scan.triangles].all(1)], len(scan.vertices))
    # Poisson leaves a bubble between the teeth, which nobody sees: keep to the piece that carries the nose.
    piece = mesh.connected_components(triangles, len(used))
    nose = cKDTree(scan.vertices[used]).query(face.landmarks[33])[1]
    triangles = triangles[piece[triangles[:, 0]] == piece[nose]]
    edges, _ = edges_of(triangles)
    graph = sparse.coo_matrix((np.ones(len(edges)), tuple(edges.T)), (len(used),) * 2).tocsr()
    label = lip_line.settled(graph + graph.T, np.full(len(used), 1e-6), np.sign(lip[used]) * known[used], ~known[used])
    ends = label[edges]
    crossed = edges[ends[:, 0] * ends[:, 1] < 0]
    share = label[crossed[:, 0]] / (label[crossed[:, 0]] - label[crossed[:, 1]])
    start, end = scan.vertices[used][crossed[:, 0]], scan.vertices[used][crossed[:, 1]]
    points = start + share[:, None] * (end - start)
    corners = face.landmarks[[60, 64], 0]
    on_lips = cKDTree(scan.vertices[known]).query(points)[0] < 3 * face.mm
    return points[(points[:, 0] > corners[0] + 0.3) & (points[:, 0] < corners[1] - 0.3) & on_lips]


def _resampled(path: np.ndarray, along: np.ndarray) -> np.ndarray:
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    return np.stack([np.interp(along * length[-1], length, path[:, k]) for k in range(3)], 1)


def welded(scan: scanning.Scan, model: ict.IctModel) -> scanning.Scan:
    """The inner lips' contours made one line, and what lies behind them left out; scan still registered."""
    upper, lower = (contour(model, marks) for marks in CONTOURS)
    loop = np.zeros(len(model.neutral), bool)
    loop[upper] = loop[lower] = True
    free = ~loop[scan.triangles].any(1)
    labels = mesh.connected_components(scan.triangles[free], len(scan.vertices))
    outside = labels == labels[model.landmark_vertices[33]]
    triangles = scan.triangles[(outside | loop)[scan.triangles].all(1) & outside[scan.triangles].any(1)]
    along = [np.linspace(0, 1, len(path)) for path in (upper, lower)]
    partner = upper[np.rint(np.interp(along[1], along[0], np.arange(len(upper)))).astype(int)]
    index = np.arange(len(scan.vertices))
    index[lower] = partner
    vertices = scan.vertices.copy()
    vertices[partner] = (scan.vertices[partner] + scan.vertices[lower]) / 2
    triangles = index[triangles]
    distinct = (np.diff(np.sort(triangles, 1), axis=1) > 0).all(1)
    return scanning.select(scanning.Scan(vertices, triangles, scan.carry), distinct)


def fused(
    model: ict.IctModel, face: Truth, kind: str, rng: np.random.Generator
) -> tuple[scanning.Scan, np.ndarray, np.ndarray]:
    """The face with its lips made one surface, re-meshed; the true lip line (n,3) on it; (V,) which lip each vertex is
    known to come from, 0 on the welded line itself, on a web between the lips and off them."""
    how, count, part = KINDS[kind]
    if how == "weld":
        both = np.concatenate([contour(model, marks) for marks in CONTOURS])
        side = np.where(np.isin(np.arange(len(face.side)), both), 0, face.side)
        outer = model.triangles[scanning.part_mask(model, part, eyeballs=False)]
        scan = welded(scanning.registered(face.vertices, outer), model)
        line = true_line(scan, replace(face, side=side))
    else:
        scan = scanning.parts(model, face.vertices, part, eyeballs=how == "scan")
        scan = fusing.seal(scan, fusing.openings(model)) if how == "seal" else fusing.fuse(scan, rng)
        side, line = face.side, true_line(scan, face)
    scan = scanner.rough(remeshing.remesh(scan, count, rng), rng)
    lip = scan.carry @ side
    piece = mesh.connected_components(scan.triangles, len(scan.vertices))
    known = (np.abs(lip) > 0.99) & (piece == np.bincount(piece).argmax())
    if how == "scan":
        rows = np.flatnonzero(known)
        seen = model.triangles[scanning.part_mask(model, part, eyeballs=True)]
        known[rows[fusing.on_web(scan, rows, face.vertices, seen, ROUND * face.mm, WEB * face.mm)]] = False
    return scan, line, np.where(known, np.sign(lip), 0)


def measure(
    scan: scanning.Scan, line: np.ndarray, side: np.ndarray, face: Truth, noise: float, rng: np.random.Generator
) -> dict[str, float]:
    """The errors of one opened mouth; lengths in mm."""
    landmarks = face.landmarks + rng.normal(size=(68, 3)) * noise * face.mm / np.sqrt(3)
    start = time.perf_counter()
    opened = fused_mouth.open_lips(scan.vertices, scan.triangles, landmarks)
    seconds = time.perf_counter() - start
    seam = opened.vertices[opened.upper_rim]
    dense = _resampled(seam, np.linspace(0, 1, 400))
    inside = (dense[:, 0] > line[:, 0].min()) & (dense[:, 0] < line[:, 0].max())
    distance = cKDTree(line).query(dense[inside])[0] / face.mm
    back = cKDTree(dense).query(line)[0] / face.mm
    wrong = side * opened.side[: len(side)] < 0
    away = cKDTree(dense).query(scan.vertices[wrong])[0] / face.mm
    ends = seam[[0, -1], 0] - face.landmarks[[60, 64], 0]
    step = np.linalg.norm(np.diff(seam, axis=0), axis=1).mean()
    return {
        "seam": distance.mean(),
        "p95": float(np.quantile(distance, 0.95)),
        "line": back.mean(),
        "wrong %": 100 * float(wrong[side != 0].mean()),
        "wrong": float(wrong.sum()),
        "far": float(away.max(initial=0)),
        "corner": float(np.abs(ends).mean() / face.mm),
        "step": float(step / face.mm),
        "s": seconds,
    }


def rows(model: ict.IctModel, kind: str, count: int, seed: int) -> Iterator[tuple[float, dict[str, float]]]:
    """(noise, errors) of `count` random faces of one kind; a refusal is printed."""
    origin = lips(model)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        face = truth(model, rng, origin, kind)
        scan, line, side = fused(model, face, kind, rng)
        for noise in NOISE:
            try:
                yield noise, measure(scan, line, side, face, noise, rng)
            except FreeTalkError as refusal:
                print(f"    {kind}, face {number}, noise {noise}: {refusal}", flush=True)


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--faces", type=whole_number(1), default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    arguments = parser.parse_args()
    model = ict.load(arguments.data)
    names = ("seam", "worst", "p95", "line", "wrong %", "wrong", "far", "corner", "step", "s")
    print(f"{'mesh':16}{'noise':>6}{'faces':>6}" + "".join(f"{name:>9}" for name in names), flush=True)
    for kind in arguments.kinds:
        found = list(rows(model, kind, arguments.faces, arguments.seed))
        for noise in NOISE:
            errors = [error for level, error in found if level == noise]
            if errors:
                mean = {name: float(np.mean([error[name] for error in errors])) for name in errors[0]}
                mean["worst"] = max(error["seam"] for error in errors)
                mean["far"] = max(error["far"] for error in errors)
                values = "".join(f"{mean[name]:9.2f}" for name in names)
                print(f"{kind:16}{noise:6.1f}{len(errors):6}{values}", flush=True)


if __name__ == "__main__":
    command.run(main)
