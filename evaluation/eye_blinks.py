"""What a blink leaves of an eye: `python -m evaluation.eye_blinks --data DATA [-o PICTURE.png] [--skin PICTURE.png]`.

The average ICT-FaceKit head and identities that no training saw, without their eyeballs, get balls (`eyeballs=True`)
and blink as the average face does, through `prepare` and `shape_keys`. Seen from the front: how much of the ball shows
with open eyes and in the blink (mm² and the tallest slit, mm, of a face whose outer eye corners are 90 mm apart), with
the lids' correction and without it, and how deep skin cuts into a ball. The picture shows each eye open, blinking and
blinking from below, and looking down, up and aside in ARKit's shapes at full weight. The second table is of the same
heads as photogrammetry leaves them, eyeballs and lids one skin: how much skin shows its back in a blink half, three
quarters and wholly shut, and how far lids that are half shut drag what they leave bare of the eye, which moves on no
face (mean mm). Its picture has an iris painted on that skin: open, and in each of these parts without the correction
and with it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from evaluation import stm_contact
from export import command, fusing, ict, remeshing, scanning, stm_data
from freetalk_blender.core import arkit, face, frame, movement
from freetalk_blender.core.eyes import eye_state, eyeballs
from freetalk_blender.core.eyes.lids import LOWER_EDGE, UPPER_EDGE, edge
from freetalk_blender.core.mouth.opened_mouth import IRIS, PUPIL, SCLERA
from freetalk_blender.core.surface import raster

#: The picture of one eye: half its side (mm) and its pixels; the tilt of the third view, degrees.
HALF, SIZE, TILT = 20.0, 400, 35.0
#: Parts of a blink, and vertices of a scan, in the second table.
PARTS, VERTICES = (0.5, 0.75, 1.0), 12_000
#: This share of an eye's opening, from the lower lid, is bare in a blink half shut.
BARE = 0.4
COLOURS = {SCLERA: (1.0, 0.97, 0.94), IRIS: (0.4, 0.3, 0.2), PUPIL: (0.05, 0.05, 0.05)}


def heads(model: ict.IctModel) -> Iterator[tuple[str, np.ndarray]]:
    """Names and vertices (N,3)."""
    yield "average", model.neutral
    for number, seed in enumerate(stm_data.TEST[:3], 1):
        yield f"identity {number}", model.face(scanning.identity(np.random.default_rng([96, seed]), model))


def around(points: np.ndarray, triangles: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(F,) which triangles (F,3) of points (V,3), mm, lie around the centre of an eye."""
    return (np.abs(points - centre) < [HALF, HALF, 2 * HALF]).all(1)[triangles].all(1)


def photograph(
    points: np.ndarray, triangles: np.ndarray, centre: np.ndarray, tilt: float = 0.0
) -> tuple[np.ndarray, raster.Image, np.ndarray]:
    """Which triangles (F,) lie around the centre of an eye, what is seen of these, and the picture (S,S,3), uncoloured;
    points (V,3), mm; tilt: degrees."""
    inside = around(points, triangles, centre)
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    turned = ((points - centre) / HALF @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])).astype(np.float32)
    image = raster.render(turned, triangles[inside], SIZE)
    picture = raster.shade(image, raster.vertex_normals(turned, triangles[inside]), triangles[inside])
    return inside, image, picture.astype(float)


def view(points: np.ndarray, triangles: np.ndarray, part: np.ndarray, centre: np.ndarray, tilt: float = 0.0) -> tuple:
    """(S,S) part that is seen, -1 where none is, and the picture (S,S,3) uint8; points (V,3), mm."""
    inside, image, picture = photograph(points, triangles, centre, tilt)
    seen = np.full(image.triangle.shape, -1)
    seen[image.seen] = part[inside][image.triangle[image.seen]]
    return seen, coloured(picture, seen)


def coloured(picture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(S,S,3) uint8 the picture (S,S,3) in the colour of the part (S,S) that is seen."""
    for which, colour in COLOURS.items():
        picture[seen == which] *= colour
    return picture.astype(np.uint8)


def rows(model: ict.IctModel, name: str, neutral: np.ndarray, motion: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A row of the table and the pictures of each eye; motion (1,68,3): the blink."""
    scan = scanning.parts(model, neutral, "head", eyeballs=False, mouth=True)
    handles = scan.owner[model.landmark_vertices]
    bound = face.prepare(scan.vertices, scan.triangles, handles, eyeballs=True)
    opened, mm = bound.opened, frame.EYE_DISTANCE_MM

    def blink(one: face.Face) -> np.ndarray:
        keys = movement.shape_keys(one, np.concatenate([0 * motion, motion]))
        return mm * bound.frame.to_canonical(opened.vertices + np.tensordot(keys.weights, keys.shapes, 1)[1])

    gazes = arkit.shape_keys(bound, 0 * motion)

    def looks(side: str) -> Iterator[np.ndarray]:
        for what in ("Down", "Up", "Out"):
            shape = gazes.shapes[arkit.NAMES.index(f"eyeLook{what}{side.capitalize()}")]
            yield mm * bound.frame.to_canonical(opened.vertices + shape.astype(float))

    rest = mm * bound.frame.to_canonical(opened.vertices.astype(float))
    shut, raw = blink(bound), blink(replace(bound, eyelids=None))
    (balls,) = bound.eyelids.parts
    at, radius = (np.array([ball[part] for ball in balls.balls])[balls.ball] for part in (0, 1))
    step = 2 * HALF / SIZE
    for side, eye in zip(("right", "left"), eye_state.EYES, strict=True):
        centre, cells, pictures = shut[handles[eye]].mean(0), [name, side], []
        for points in (rest, raw, shut):
            seen, picture = view(points, opened.triangles, opened.part, centre)
            ball = np.isin(seen, list(COLOURS))
            deep = radius - np.linalg.norm(points[balls.vertices] - at, axis=1)
            mine = np.linalg.norm(at - centre, axis=1) < HALF
            cells += [f"{ball.sum() * step**2:.1f}", f"{ball.sum(0).max() * step:.1f}", f"{deep[mine].max():.1f}"]
            pictures.append(picture)
        below = view(shut, opened.triangles, opened.part, centre, TILT)[1]
        looking = [view(points, opened.triangles, opened.part, rest[handles[eye]].mean(0))[1] for points in looks(side)]
        yield "| " + " | ".join(cells) + " |", np.concatenate([pictures[0], pictures[2], below, *looking], 1)


def backs(points: np.ndarray, triangles: np.ndarray, centre: np.ndarray) -> float:
    """mm² around an eye in which skin (V,3), mm, shows its back to the front."""
    near = triangles[around(points, triangles, centre)]
    seen = raster.render(((points - centre) / HALF).astype(np.float32), near, SIZE)
    a, b, c = points[near].transpose(1, 0, 2)
    away = np.cross(b - a, c - a)[:, 2] < 0
    return float(away[seen.triangle[seen.seen]].sum() * (2 * HALF / SIZE) ** 2)


def scanned(model: ict.IctModel, neutral: np.ndarray, motion: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each eye a table (2,T+1), without and with correction: `backs` in each of motion (T,68,3), and how far bare
    skin moves in the first (mm); and its pictures."""
    rng, mm = np.random.default_rng(95), frame.EYE_DISTANCE_MM
    scan = remeshing.remesh(fusing.fuse(scanning.parts(model, neutral, "head"), rng), VERTICES, rng, "quadric")
    bound = face.prepare(scan.vertices, scan.triangles, neutral[model.landmark_vertices], inner_mouth="none")
    rest = mm * bound.frame.to_canonical(scan.vertices.astype(float))
    raw, held = (
        mm * bound.frame.to_canonical(scan.vertices + movement.deform(one, motion).astype(float))
        for one in (replace(bound, eyelids=None), bound)
    )
    for eye in eye_state.EYES:
        centre = mm * bound.neutral[eye].mean(0)
        iris = bare(bound, rest, centre)
        dragged = [
            np.linalg.norm((moved[0] - rest)[iris], axis=1).mean() if len(iris) else np.nan for moved in (raw, held)
        ]
        table = [[backs(points, scan.triangles, centre) for points in moved] for moved in (raw, held)]
        shown = [painted(points, rest, scan.triangles, mm * bound.neutral[eye]) for points in (rest, *raw, *held)]
        yield np.column_stack([table, dragged]), np.concatenate(shown, 1)


def painted(points: np.ndarray, rest: np.ndarray, triangles: np.ndarray, lids: np.ndarray) -> np.ndarray:
    """(S,S,3) uint8 an eye of skin (V,3), mm, with an iris and a pupil painted on it where it lies at rest (V,3).

    lids (6,3): its landmarks at rest.
    """
    centre = lids.mean(0)
    inside, image, picture = photograph(points, triangles, centre)
    place = image.interpolate(rest.astype(np.float32), triangles[inside])[image.seen]
    eye = (place[:, 1] < edge(place, lids[UPPER_EDGE])[1]) & (place[:, 1] > edge(place, lids[LOWER_EDGE])[1])
    away = np.linalg.norm((place - centre)[:, :2], axis=1)
    kind = np.where(away < eyeballs.PUPIL_RADIUS, PUPIL, np.where(away < eyeballs.IRIS_RADIUS, IRIS, SCLERA))
    seen = np.full(image.triangle.shape, -1)
    seen[image.seen] = np.where(eye, kind, -1)
    return coloured(picture, seen)


def bare(bound: face.Face, rest: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(n,) vertices (of rest (V,3), mm) of the eye around a centre that lids which are half shut do not reach.

    None where the eye was not told for one skin with its lids.
    """
    rows = [part.vertices[part.inside[part.height < BARE * part.opening]] for part in bound.eyelids.parts]
    return np.concatenate([row[np.linalg.norm(rest[row] - centre, axis=1) < HALF] for row in rows])


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("-o", "--output", type=Path, help="picture of the eyes with balls")
    parser.add_argument("--skin", type=Path, help="picture of those that are one skin with their lids")
    arguments = parser.parse_args()
    model = ict.load(arguments.data)
    motion = model.landmark_motion(model.weights(stm_contact.BLINK))
    columns = [
        f"{state}: {what}" for state in ("open", "uncorrected blink", "blink") for what in ("mm²", "mm", "cut mm")
    ]
    print("| head | eye | " + " | ".join(columns) + " |\n|" + "---|" * 11)
    pictures = []
    for name, neutral in heads(model):
        for line, picture in rows(model, name, neutral, motion):
            print(line, flush=True)
            pictures.append(picture)
    columns = [f"{part:g} shut: mm²" for part in PARTS] + [f"{PARTS[0]:g} shut: iris dragged mm"]
    print("\n| head | eye | " + " | ".join(f"{column} uncorrected / corrected" for column in columns) + " |")
    print("|" + "---|" * (2 + len(columns)))
    parts = np.concatenate([part * motion for part in PARTS])
    skins = []
    for name, neutral in heads(model):
        for side, (table, picture) in zip(("right", "left"), scanned(model, neutral, parts), strict=True):
            cells = " | ".join("-" if np.isnan(a) else f"{a:.1f} / {b:.1f}" for a, b in table.T)
            print(f"| {name} | {side} | {cells} |", flush=True)
            skins.append(picture)
    for path, rows_of in ((arguments.output, pictures), (arguments.skin, skins)):
        if path:
            raster.write_png(path, np.concatenate(rows_of[::2], 0)[::2, ::2])


if __name__ == "__main__":
    command.run(main)
