"""How cut lips move, against lips that were open from the start: `python -m evaluation.mouth_motion --data DATA`.

The same ICT-FaceKit identities (nothing here is trained) once with their own open lips and once with the lips fused,
re-meshed alike. Both follow the true landmark motion of random expressions; the lips' vertices are judged by the true
motion of the surface that they come from. Printed per kind (mm of a face of eye distance 90 mm): mean lip error of the
open mesh, of the cut one, and their ratio.

Then 1,000 random frames of the average face, half of them with closed lips, are performed on each cut face. How deep
the lips lie in each other is measured on their skin (lip_crossing.py), wherever it has slid to: the deepest vertex, how
deep the scan's own lips lie in each other at rest, the most by which a vertex lies deeper than at rest, the share of
frames in which that is more than 0.3 mm, and all of it without the correction. In closed frames: the gap of the cut's
two rims, and that between the lips within a millimetre of each place along the mouth, since lips that have slid touch
in front of the rims or behind them; and how many triangles of the skin around the mouth's corners are turned over, in
the mean of all frames. At last what the correction costs a frame, beside `deform` without it; the same for
the lips that were open from the start.
"""

import time
from dataclasses import dataclass

import numpy as np

from evaluation import lip_crossing, mouth
from export import command, ict, remeshing, scanner, scanning
from freetalk_blender.core import face as faces
from freetalk_blender.core import movement
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, gaps
from freetalk_blender.core.lip_contact import contact as lips
from freetalk_blender.core.surface.rows import renumbered

#: Kinds of fused lips of evaluation.mouth that are judged, at their numbers of vertices.
KINDS = ("welded, 10k", "scanned, 10k", "welded, 50k")
#: Frames in which the error of the lips is measured, and frames performed.
JUDGED, PERFORMED = 40, 1000
#: Frames in which cost is measured, and how often.
TIMED, RUNS = 200, 3
#: How deep a lip may lie in the other, and how far from it where it is closed (mm).
DEEP, AJAR = 0.3, 0.2
#: How far along the mouth lips are looked at beside a point of the rims (mm), and how many points next to the corners
#: are left out.
BESIDE, ENDS = 1.0, 4
#: Skin this near to a corner of the mouth is asked for triangles that turn over (mm).
CORNER = 9.0
#: What shapes lips without opening them.
KEEP_CLOSED = (
    "mouthPress_L", "mouthPress_R", "mouthPucker", "mouthSmile_L", "mouthSmile_R", "mouthFrown_L", "mouthFrown_R",
    "mouthDimple_L", "mouthDimple_R", "mouthLeft", "mouthRight", "mouthShrugUpper", "mouthRollLower", "mouthRollUpper",
)  # fmt: skip


def expressions(model: ict.IctModel, frames: int, rng: np.random.Generator) -> np.ndarray:
    """(T,V,3) displacement of random expressions, cm: a few shapes at a time, the mouth's more often."""
    weights = np.zeros((frames, len(model.expression_names)))
    about = [k for k, name in enumerate(model.expression_names) if name.startswith(("mouth", "jaw"))]
    for row in weights:
        row[rng.choice(about, 4, replace=False)] = rng.uniform(0, 0.6, 4)
        row[model.index("jawOpen")] = rng.uniform(0, 0.6)
    return model.offsets(weights)


def lip_error(
    scan: scanning.Scan, side: np.ndarray, truth: mouth.Truth, landmarks: np.ndarray, offsets: np.ndarray, *, cut: bool
) -> float:
    """Mean error (mm) of the lips' vertices when the scan follows the true landmarks' motion."""
    bound = faces.prepare(scan.vertices, scan.triangles, truth.landmarks, open_mouth=cut, inner_mouth="none")
    found = movement.deform(bound, offsets[:, landmarks], space="mesh")
    surface = scan.triangles if bound.opened is None else bound.opened.triangles
    judged = np.intersect1d(np.flatnonzero(side), surface)
    wanted = np.stack([scan.carry[judged] @ offset for offset in offsets])
    return float(np.linalg.norm(found[:, judged] - wanted, axis=2).mean() / truth.mm)


def performance(model: ict.IctModel, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(T,68,3) canonical motion of the average face's landmarks, and (T,) bool: the lips are closed in it.

    Closed lips are shaped by what keeps them closed: the jaw opens as far as the lips make up for it.
    """
    closed = np.arange(frames) % 2 == 0
    weights = np.zeros((frames, len(model.expression_names)))
    for name in KEEP_CLOSED:
        weights[:, model.index(name)] = rng.uniform(0, 0.6, frames) * (rng.random(frames) < 0.3)
    jaw = rng.uniform(0, 0.4, frames)
    weights[:, model.index("jawOpen")] = weights[:, model.index("mouthClose")] = jaw
    offsets = np.where(closed[:, None, None], model.offsets(weights), expressions(model, frames, rng))
    marks = model.landmark_vertices
    offsets = offsets[:, marks]
    scale = np.linalg.norm(model.neutral[marks[36]] - model.neutral[marks[45]])
    rest = model.neutral[marks]
    gap = gaps(rest + offsets, INNER_LIP_PAIRS) - gaps(rest, INNER_LIP_PAIRS)
    closed &= gap.max(1) < 0.002 * scale
    return (offsets / scale).astype(np.float32), closed


@dataclass(frozen=True)
class Lips:
    """The lips of a cut face in T frames, canonical mm. place (T,N,3): their vertices; clear (T,N): how far each lies
    from the other lip, negative inside it; still (N,): the same at rest; rim (T,R): height between the two rims, and
    line (T,R): x of its points."""

    place: np.ndarray
    clear: np.ndarray
    still: np.ndarray
    rim: np.ndarray
    line: np.ndarray

    def crossing(self) -> dict[str, float]:
        """mm and % of frames."""
        beyond = np.minimum(self.still, 0) - self.clear
        return {
            "deepest": float(-self.clear.min()),
            "beyond rest": float(beyond.max()),
            "deep %": 100 * float((beyond > DEEP).any(1).mean()),
        }

    def gaps(self, frames: np.ndarray) -> np.ndarray:
        """(n,) mm between the lips beside each point of the rims, in some frames (k,)."""
        found = []
        for frame in frames:
            inside = np.abs(self.place[frame, :, 0] - self.line[frame][:, None]) < BESIDE
            skin = np.where(inside, self.clear[frame], np.inf).min(1)
            found.append(np.maximum(np.minimum(self.rim[frame], skin), 0))
        return np.concatenate(found)


def lips_in(bound: faces.Face, frames: np.ndarray) -> Lips:
    """frames (T,V,3): displacement of a cut face's skin, mesh units."""
    opened = bound.opened
    triangles = opened.skin_triangles[(opened.side[opened.skin_triangles] != 0).any(1)]
    used, triangles = renumbered(triangles, opened.skin_count)
    side = opened.side[used]
    edge = np.flatnonzero(np.isin(used, np.concatenate([opened.upper_rim[1:-1], opened.lower_rim[1:-1]])))

    def moved(rows: np.ndarray) -> np.ndarray:
        rest = bound.frame.to_canonical(opened.skin_vertices[rows].astype(float))
        return EYE_DISTANCE_MM * (rest + bound.frame.vectors_to_canonical(frames[:, rows].astype(float)))

    place, rest = moved(used), EYE_DISTANCE_MM * bound.frame.to_canonical(opened.skin_vertices[used].astype(float))
    clear = np.array([lip_crossing.lip_clearance(frame, triangles, side, edge) for frame in place])
    upper, lower = moved(opened.upper_rim[ENDS:-ENDS]), moved(opened.lower_rim[ENDS:-ENDS])
    still = lip_crossing.lip_clearance(rest, triangles, side, edge)
    return Lips(place, clear, still, upper[..., 1] - lower[..., 1], upper[..., 0])


def turned_over(bound: faces.Face, frames: np.ndarray) -> float:
    """How many triangles of the skin around the mouth's corners face away from where they do at rest, in the mean of
    frames (T,V,3): displacement of a cut face's skin, mesh units."""
    rest = bound.opened.skin_vertices.astype(float)
    triangles = bound.opened.skin_triangles
    middle = EYE_DISTANCE_MM * bound.frame.to_canonical(rest[triangles].mean(1))
    corners = EYE_DISTANCE_MM * bound.neutral[[48, 54]]
    near = triangles[(np.linalg.norm(middle[:, None] - corners, axis=2) < CORNER).any(1)]

    def normals(places: np.ndarray) -> np.ndarray:
        a, b, c = np.moveaxis(places[near], 1, 0)
        return np.cross(b - a, c - a)

    still = normals(rest)
    return float(np.mean([((normals(rest + frame) * still).sum(1) < 0).sum() for frame in frames]))


def contact(bound: faces.Face, motion: np.ndarray, closed: np.ndarray) -> dict[str, float]:
    """What becomes of the lips of a cut face in a performance; mm, %, and triangles a frame."""
    own = movement.landmark_motion(bound, motion)
    dense = bound.mesh.to_caller(bound.binding.displace(own))
    before = lips_in(bound, dense)
    met = dense.copy()
    bound.contact.correct(met, lips.closed(own, bound.neutral))
    after = lips_in(bound, met)
    gap = after.gaps(np.flatnonzero(closed))
    return {
        **after.crossing(),
        "at rest": float(-after.still.min()),
        **{f"uncorrected {name}": value for name, value in before.crossing().items()},
        "closed rims": float(after.rim[closed].mean()),
        "closed": float(gap.mean()),
        "closed max": float(gap.max()),
        "ajar %": 100 * float((gap > AJAR).mean()),
        "turned over": turned_over(bound, met),
    }


def cost(bound: faces.Face, motion: np.ndarray) -> dict[str, float]:
    """Milliseconds a frame by the clock, the least of RUNS: of moving every vertex, and of the correction; NaN where no
    lips face each other."""
    own = movement.landmark_motion(bound, motion[:TIMED])
    shut = lips.closed(own, bound.neutral)
    took = np.full((RUNS, 2), np.nan)
    for run in took:
        start = time.perf_counter()
        dense = bound.mesh.to_caller(bound.binding.displace(own))
        run[0] = time.perf_counter() - start
        if bound.contact is not None:
            start = time.perf_counter()
            bound.contact.correct(dense, shut)
            run[1] = time.perf_counter() - start
    deform, correction = 1000 * took.min(0) / len(own)
    return {"deform ms": float(deform), "correction ms": float(correction)}


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--faces", type=whole_number(1), default=5)
    parser.add_argument("--frames", type=whole_number(1), default=PERFORMED, help="random frames performed on each")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kinds", nargs="+", choices=mouth.KINDS, default=list(KINDS))
    arguments = parser.parse_args()
    model = ict.load(arguments.data)
    origin = mouth.lips(model)
    for kind in arguments.kinds:
        rows = []
        for number in range(arguments.faces):
            rng = np.random.default_rng([arguments.seed, number])
            truth, marks = mouth.truth(model, rng, origin), model.landmark_vertices
            offsets = expressions(model, JUDGED, rng)
            scan, _, side = mouth.fused(model, truth, kind, rng)
            whole = scanning.parts(model, truth.vertices, "face", eyeballs=False)
            whole = scanner.rough(remeshing.remesh(whole, mouth.KINDS[kind][1], rng), rng)
            errors = (
                lip_error(whole, np.rint(whole.carry @ truth.side), truth, marks, offsets, cut=False),
                lip_error(scan, side, truth, marks, offsets, cut=True),
            )
            bound = faces.prepare(scan.vertices, scan.triangles, truth.landmarks, inner_mouth="none")
            apart = faces.prepare(whole.vertices, whole.triangles, truth.landmarks, open_mouth=False)
            if bound.opened is None or not bound.opened.is_cut:
                print(f"    {kind}, face {number}, was not cut. {' '.join(bound.notes)}", flush=True)
                continue
            take, closed = performance(model, arguments.frames, rng)
            rows.append(
                {"open": errors[0], "cut": errors[1]}
                | contact(bound, take, closed)
                | cost(bound, take)
                | {f"{name}, open": value for name, value in cost(apart, take).items()}
            )
        mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        worst = {name: max(row[name] for row in rows) for name in ("deepest", "beyond rest", "closed max")}
        ratio = mean["cut"] / mean["open"]
        print(f"{kind}: " + ", ".join(f"{k} {v:.2f}" for k, v in ({"ratio": ratio} | mean | worst).items()), flush=True)


if __name__ == "__main__":
    command.run(main)
