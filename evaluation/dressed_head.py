"""A head with lashes, brows, beard and glasses: `python -m evaluation.dressed_head --data ../shared/data -o HEAD.obj`.

ICT-FaceKit's model with what it has behind its lips and lids, and what it has not, made here: each hair a strip that
stands on the skin, as artists model them, the glasses in one piece before it. All are loose parts of one mesh.
"""

from pathlib import Path

import numpy as np

from export import command, dressing, ict, scanning
from freetalk_blender.core import atomic
from freetalk_blender.core.frame import frame_in_mm
from freetalk_blender.core.surface import mesh, raster

#: Name -> colour.
COLOURS = {
    "skin": (0.8, 0.6, 0.5),
    "mouth": (0.6, 0.2, 0.2),
    "teeth": (0.9, 0.9, 0.85),
    "eyes": (0.9, 0.9, 0.9),
    "hair": (0.1, 0.06, 0.03),
    "glasses": (0.2, 0.2, 0.3),
}
#: Parts of the registered model -> name; the others are skin.
OF_MODEL = {"mouth_socket": "mouth", "gums_tongue": "mouth", "teeth": "teeth", "eyeballs": "eyes"}
#: Hairs: of the beard, of the brows, of each lid; how long and how wide (mm).
BEARD, BROWS, LASHES = 700, 300, 26
LENGTHS = {"beard": (9.0, 1.2), "brow": (6.0, 0.8), "upper lash": (8.0, 0.4), "lower lash": (5.0, 0.4)}
#: Landmarks along the lids, from corner to corner.
UPPER, LOWER = ([36, 37, 38, 39], [42, 43, 44, 45]), ([36, 41, 40, 39], [42, 47, 46, 45])

Surface = tuple[np.ndarray, np.ndarray]


def hair(root: np.ndarray, along: np.ndarray, kind: str) -> Surface:
    """A strip from its root (3,) in a direction, which sinks towards its tip; mm."""
    long, wide = LENGTHS[kind]
    along = along / np.linalg.norm(along)
    side = np.cross(along, [0, 0, 1.0]) + [1e-6, 0, 0]
    share = np.linspace(0, 1, 4)[:, None]
    spine = root + long * (share * along - [0, 0.4 if kind == "beard" else 0, 0] * share**2)
    half = side / np.linalg.norm(side) * wide / 2
    quads = [(i, i + 4, i + 5, i + 1) for i in range(3)]
    return np.concatenate([spine - half, spine + half]), np.array(
        [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    )


def beard(skin: np.ndarray, normals: np.ndarray, marks: np.ndarray, rng: np.random.Generator) -> list[Surface]:
    """On the skin (V,3) below the nose, around the lips; landmarks (68,3); mm."""
    low, high = marks[8, 1] - 12, marks[33, 1] - 4
    there = (skin[:, 1] > low) & (skin[:, 1] < high) & (skin[:, 2] > -25) & (normals[:, 2] > -0.1)
    there &= np.linalg.norm(skin[:, None] - marks[48:60], axis=2).min(1) > 6
    lips = (skin[:, 1] < marks[51, 1] + 2) & (skin[:, 1] > marks[57, 1] - 2)
    there &= ~(lips & (np.abs(skin[:, 0]) < marks[54, 0]))
    rows = rng.choice(np.flatnonzero(there), BEARD)
    return [hair(skin[row], normals[row] + [0, -0.8, 0] + rng.normal(0, 0.2, 3), "beard") for row in rows]


def brows(skin: np.ndarray, normals: np.ndarray, marks: np.ndarray, rng: np.random.Generator) -> list[Surface]:
    """On the skin (V,3) along the brows, outward; mm."""
    there = np.linalg.norm(skin[:, None] - marks[17:27], axis=2).min(1) < 5
    rows = rng.choice(np.flatnonzero(there), BROWS)
    return [hair(skin[row], normals[row] / 2 + [0.6 * np.sign(skin[row, 0]), 0.2, 0], "brow") for row in rows]


def lashes(marks: np.ndarray) -> list[Surface]:
    """On the edges of both eyes' lids; mm."""
    found = []
    for lids, rise, kind in ((UPPER, 0.45, "upper lash"), (LOWER, -0.45, "lower lash")):
        for edge in lids:
            at = np.linspace(0.25, 2.75, LASHES)
            roots = np.stack([np.interp(at, range(4), axis) for axis in marks[edge].T], 1)
            found += [hair(root, np.array([0, rise, 0.9]), kind) for root in roots]
    return found


def dressed(model: ict.IctModel, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(V,3) vertices, mm, and the triangles of each of COLOURS."""
    rng = np.random.default_rng([8, seed])
    face = model.face(scanning.identity(rng, model))
    scan = scanning.parts(model, face, "head", mouth=True, teeth=True)
    frame = frame_in_mm(face[model.landmark_vertices])
    points, marks = frame.to_canonical(scan.vertices), frame.to_canonical(face[model.landmark_vertices])
    registered = scan.carry.indices[scan.triangles[:, 0]]
    name = np.full(len(scan.triangles), "skin", object)
    for part, its in OF_MODEL.items():
        name[(registered >= ict.PARTS[part][0]) & (registered < ict.PARTS[part][1])] = its
    normals = raster.vertex_normals(points, scan.triangles)
    skin = scan.carry.indices < ict.SKIN
    grown = [make(points[skin], normals[skin], marks, rng) for make in (beard, brows)]
    hairs = mesh.together([*grown[0], *grown[1], *lashes(marks)])
    spectacles = dressing.glasses(face[model.landmark_vertices], rng)
    spectacles = frame.to_canonical(spectacles[0]), spectacles[1]
    vertices, triangles = mesh.together([(points, scan.triangles), hairs, spectacles])
    name = np.concatenate([name, ["hair"] * len(hairs[1]), ["glasses"] * len(spectacles[1])])
    return vertices, {colour: triangles[name == colour] for colour in COLOURS}


def write(path: Path, vertices: np.ndarray, faces: dict[str, np.ndarray]) -> None:
    """An OBJ, and its materials beside it."""
    materials = [f"newmtl {name}\nKd {r} {g} {b}\n" for name, (r, g, b) in COLOURS.items()]
    path.with_suffix(".mtl").write_text("".join(materials))
    lines = [
        f"mtllib {path.with_suffix('.mtl').name}",
        *("v {:.4f} {:.4f} {:.4f}".format(*point) for point in vertices),
    ]
    for name, triangles in faces.items():
        lines += [f"usemtl {name}", *("f {} {} {}".format(*corners) for corners in triangles + 1)]
    with atomic.output(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=2)
    arguments = parser.parse_args()
    write(arguments.output, *dressed(ict.load(arguments.data), arguments.seed))


if __name__ == "__main__":
    command.run(main)
