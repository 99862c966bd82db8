"""How far lips part on a scan whose landmarks were found: `python -m evaluation.mouth_opening --data ../shared/data`.

The sample's sentence is performed on ICT-FaceKit identities (nothing here is trained): with fused lips, which are cut
apart, and with lips that were modelled apart, at rest a little or far open. Printed for frames in which the performance
parts the average face's lips by so many mm: mean distance between the lips in the middle of the mouth, over the faces
of a kind, and what one face differs from another (standard deviation). "landmarks": with the gaps of the landmarks in
place of those of the surface (core/retarget.py). mm of a face of eye distance 90 mm. `--scan FILE ...` asks scans.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from evaluation import mouth
from evaluation.stm_contact import thicker
from export import command, ict, scanning
from freetalk_blender.core import face, perform
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, gaps
from freetalk_blender.core.lip_contact import contact
from freetalk_blender.core.retarget import retarget, with_true_gaps
from freetalk_blender.core.surface import scan_file
from freetalk_blender.core.voice import audio

SENTENCE = Path(__file__).parents[1] / "examples/speech.flac"
#: Frames are told apart by how far the performance parts the lips (mm).
EDGES = (-np.inf, 0.2, 1, 2, 3, 4, 6, np.inf)
#: Kinds of fused lips of evaluation.mouth.
FUSED = ("welded, 10k", "scanned, 10k", "overhung, 12k", "pressed, 12k", "full, 12k")
#: Lips that were modelled apart: how far their jaw is open, as share of ICT-FaceKit's, and how thick they are.
APART = {
    "apart": (0.0, 1.0),
    "apart, thin": (0.0, 0.6),
    "apart, thick": (0.0, 1.5),
    "ajar": (0.05, 1.0),
    "open": (0.3, 1.0),
}


def scans(model: ict.IctModel, kind: str, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Vertices and triangles of `count` random faces of a kind."""
    origin = mouth.lips(model)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        if kind in FUSED:
            scan = mouth.fused(model, mouth.truth(model, rng, origin, kind), kind, rng)[0]
        else:
            jaw, thickness = APART[kind]
            vertices = model.face(scanning.identity(rng, model)) + model.offsets(model.weights({"jawOpen": jaw}))[0]
            vertices = thicker(vertices, vertices[model.landmark_vertices], thickness)
            scan = scanning.parts(model, vertices, "head", eyeballs=False, mouth=True)
        yield scan.vertices, scan.triangles


def parted(bound: face.Face, take: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """(T,) mm between the lips in the middle of the mouth; take (T,68,3) of the average face, canonical."""
    motion = retarget(take, neutral)
    dense = bound.mesh.to_caller(bound.binding.displace(motion))
    lips = bound.contact
    assert lips is not None
    lips.correct(dense, contact.closed(motion, neutral))
    return lips.apart(dense[:, lips.vertices], neutral[[62, 66], 0].mean(keepdims=True) * EYE_DISTANCE_MM)[:, 0]


def row(vertices: np.ndarray, triangles: np.ndarray, take: np.ndarray, bins: np.ndarray) -> np.ndarray | None:
    """(2,B) mean distance in each bin of frames, with the surface's gaps and with the landmarks'; bins (T,)."""
    try:
        bound = face.prepare(vertices, triangles, inner_mouth="none")
    except FreeTalkError as refusal:
        print(f"    {refusal}")
        return None
    if bound.contact is None:
        print("    no lips that face each other")
        return None
    marks = with_true_gaps(bound.frame.to_canonical(bound.landmarks.astype(float)))
    both = [parted(bound, take, neutral) for neutral in (bound.neutral, marks)]
    return np.array([[one[bins == which].mean() for which in np.unique(bins)] for one in both])


def show(name: str, values: np.ndarray) -> None:
    print(f"{name:26}" + "".join(f"{value:7.2f}" for value in values), flush=True)


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--faces", type=whole_number(1), default=8)
    parser.add_argument("--seed", type=int, default=51)
    parser.add_argument("--kinds", nargs="+", choices=[*mouth.KINDS, *APART], default=[*FUSED, *APART])
    parser.add_argument("--scan", type=Path, nargs="*", default=[], help="scans to ask instead")
    given = parser.parse_args()
    take = perform(*audio.load(SENTENCE), {}, fps=30).displacement
    wanted = gaps(take, INNER_LIP_PAIRS).mean(1) * EYE_DISTANCE_MM
    bins = np.digitize(wanted, EDGES)
    show("performed", np.array([wanted[bins == which].mean() for which in np.unique(bins)]))
    for path in given.scan:
        found = row(*scan_file.read(path), take, bins)
        if found is not None:
            show(path.stem, found[0])
            show("    landmarks", found[1])
    if given.scan:
        return
    model = ict.load(given.data)
    for kind in given.kinds:
        rows = [row(*scan, take, bins) for scan in scans(model, kind, given.faces, given.seed)]
        found = np.array([one for one in rows if one is not None])
        for which, name in enumerate((f"{kind} ({len(found)})", "    landmarks")):
            show(name, found[:, which].mean(0))
            show("    ±", found[:, which].std(0))


if __name__ == "__main__":
    command.run(main)
