"""How skin tells the jaw's bone: `python -m export.jaw_motion --data ../shared/data [--write]`.

The jaw carries lower teeth and tongue; muscles draw the skin of the chin about beside it. Ridge regression of what
ICT-FaceKit's jaw does, in its own style and, with less weight, in others, on the motion of landmarks around it, each
face in a mirror too. Prints errors on identities that it was not fitted to, beside those of the chin's own skin; with
--write it is fitted and written first.
"""

from pathlib import Path

import numpy as np

from export import command, ict, scanning, stm_data
from freetalk_blender.core import atomic, frame
from freetalk_blender.core.landmarks import MIRRORED
from freetalk_blender.core.mouth import jaw

OUTPUT = Path(jaw.__file__).with_name("jaw_motion.npy")
#: The shapes that move the bone; the one that says which teeth are lower, by how far they go with it (mm).
JAW, OPEN, FAR = ("jawForward", "jawLeft", "jawOpen", "jawRight"), "jawOpen", 5.0
#: Identities of each style and random expressions of each; the first seeds of those to fit and to test.
IDENTITIES, TESTED, FRAMES, FIT, TEST = 80, 40, 150, 0, 9000
#: How strong other styles are, and their weight; how small the regression's weights are kept (mm²).
STRENGTH, WEIGHT, RIDGE = 1.0, 0.3, 1.0


def samples(model: ict.IctModel, seed: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """(T,68,3) landmark motion of one identity in random expressions, and (T,3) that of its jaw's bone at the chin; mm.

    In another style the bone goes where the skin of the chin goes when the jaw alone moves, as much further as here.
    """
    rng = np.random.default_rng([31, seed])
    face = model.face(scanning.identity(rng, model))
    marks = model.landmark_vertices
    canonical = frame.canonical_frame(face[marks])
    points = canonical.to_canonical(face.astype(float)) * frame.EYE_DISTANCE_MM
    offsets = model.offsets(np.eye(len(model.expression_names)))
    offsets = canonical.vectors_to_canonical(offsets.astype(float)) * frame.EYE_DISTANCE_MM
    shapes = offsets[:, marks]
    if strength:
        there, here = ((array / frame.EYE_DISTANCE_MM).astype(np.float32) for array in (points[marks], shapes))
        shapes = stm_data.style(there, here, strength, rng) * frame.EYE_DISTANCE_MM
    teeth = np.arange(*ict.PARTS["teeth"])
    lower = teeth[np.linalg.norm(offsets[model.index(OPEN), teeth], axis=1) > FAR]
    chin = list(jaw.CHIN)
    turn = jaw.hinged(points[lower], points[marks[chin]].mean(0)).reshape(-1, 3)
    bone = np.zeros((len(shapes), 3))
    for shape in map(model.index, JAW):
        true = np.linalg.lstsq(turn, offsets[shape, lower].ravel())[0]
        skin, drawn = offsets[shape, marks[chin]].mean(0), shapes[shape, chin].mean(0)
        bone[shape] = drawn * np.linalg.norm(true) / np.linalg.norm(skin) if strength else true
    weights = stm_data.random_weights(rng, FRAMES, len(shapes), model.index(OPEN))
    return np.einsum("te,elc->tlc", weights, shapes), weights @ bone


def many(model: ict.IctModel, first: int, count: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """`samples` of many identities."""
    motion, bone = zip(*(samples(model, first + number, strength) for number in range(count)), strict=True)
    return np.concatenate(motion), np.concatenate(bone)


def fitted(model: ict.IctModel) -> np.ndarray:
    """(C,3,3) as `jaw.told`."""
    size = 3 * len(jaw.TELLING)
    squares, products = np.zeros((size, size)), np.zeros((size, 3))
    for strength, weight in ((0.0, 1.0), (STRENGTH, WEIGHT)):
        motion, bone = many(model, FIT + int(100 * strength), IDENTITIES, strength)
        for across, order in (([1, 1, 1], slice(None)), ([-1, 1, 1], MIRRORED)):
            rows = (motion[:, order] * across)[:, jaw.TELLING].reshape(-1, size)
            squares += weight * rows.T @ rows / len(rows)
            products += weight * rows.T @ (bone * across) / len(rows)
    found = np.linalg.solve(squares + 2 * RIDGE * np.eye(size), products)
    return found.reshape(-1, 3, 3).transpose(0, 2, 1)


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--write", action="store_true", help="fit it anew and write core/mouth/jaw_motion.npy")
    given = parser.parse_args()
    model = ict.load(given.data)
    if given.write:
        with atomic.output(OUTPUT) as partial:
            np.save(partial, fitted(model).astype(np.float32))
        jaw.told.cache_clear()
    print("| mm off, mean / 95th percentile | the chin's skin | what landmarks tell |\n|---|---|---|")
    for name, strength in (("own style", 0.0), ("other styles", STRENGTH)):
        motion, bone = many(model, TEST + int(100 * strength), TESTED, strength)
        cells = []
        for answer in (motion[:, jaw.CHIN].mean(1), jaw.motion(motion)):
            off = np.linalg.norm(answer - bone, axis=1)
            cells.append(f"{off.mean():.2f} / {np.percentile(off, 95):.2f}")
        print(f"| {name} (it moves by {np.linalg.norm(bone, axis=1).mean():.1f}) | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    command.run(main)
