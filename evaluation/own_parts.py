"""Teeth, gums, tongue and lashes that a mesh has: `python -m evaluation.own_parts --data ../shared/data`.

Identities of ICT-FaceKit that were never trained on, whole heads with what the model has behind its lips, and
MakeHuman's head with its lashes, eyeballs and teeth go through `prepare` and `deform`; printed is how far off these
parts are, where they truly move and where they truly rest.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation import makehuman
from export import command, ict, scanning, stm_data
from freetalk_blender.core import movement
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.face import prepare

#: What is done with ICT-FaceKit's face: name -> strength of its shapes.
MOTIONS = {
    "jaw open": {"jawOpen": 1.0},
    "jaw a third open": {"jawOpen": 0.3},
    "smile": {"mouthSmile_L": 1.0, "mouthSmile_R": 1.0},
}
#: Parts of MakeHuman's, and expression units of both sides.
PARTS = {
    "upper lashes": ("l-eyelashes-2", "r-eyelashes-2"),
    "lower lashes": ("l-eyelashes-1", "r-eyelashes-1"),
    "eyeballs": ("l-eye", "r-eye"),
    "upper teeth": ("upper-teeth",),
    "lower teeth": ("lower-teeth",),
}
UNITS = {
    "eyes shut": ("eye-left-closure", "eye-right-closure"),
    "eyes slit": ("eye-left-slit", "eye-right-slit"),
    "brows up": ("eyebrows-left-up", "eyebrows-right-up"),
    "mouth open": ("mouth-open",),
}
#: What truly moves by less than this (mm) when the jaw opens is of the upper jaw.
_RESTS = 5.0


def of_ict(model: ict.IctModel, seed: int) -> dict[str, np.ndarray]:
    """Part -> (M,2) mean error and mean true motion (mm) in each of MOTIONS, of one identity."""
    face = model.face(scanning.identity(np.random.default_rng([99, seed]), model))
    scan = scanning.parts(model, face, "head", mouth=True, teeth=True)
    offsets = model.offsets(model.weights(*MOTIONS.values()))
    off, moves = _errors(scan, face[model.landmark_vertices], offsets, offsets[:, model.landmark_vertices])
    registered = scan.carry.indices
    answer = {}
    for name in ("teeth", "gums_tongue"):
        here = (registered >= ict.PARTS[name][0]) & (registered < ict.PARTS[name][1])
        for which, some in (("lower", here & (moves[0] > _RESTS)), ("upper", here & (moves[0] <= _RESTS))):
            answer[f"{which} {name.replace('_', ' and ')}"] = _means(off, moves, some)
    return answer


def of_makehuman(data: Path, identity: int) -> dict[str, np.ndarray]:
    """Part -> (M,2) mean error and mean true motion (mm) in each of UNITS, of one face shape."""
    body = makehuman.load(data)
    vertices = makehuman.neutral(data, identity)
    head = makehuman.head(body)
    loose = [body.parts[name] for names in PARTS.values() for name in names]
    triangles = np.concatenate([head, *loose])
    scan = scanning.select(scanning.registered(vertices, triangles), np.ones(len(triangles), bool))
    units = makehuman.expression_units(data, "caucasian", len(vertices))
    offsets = np.stack([sum(units[unit] for unit in both) for both in UNITS.values()])
    marks = body.landmark_vertices
    off, moves = _errors(scan, vertices[marks], offsets, offsets[:, marks])
    registered = scan.carry.indices
    rows = {part: np.isin(registered, np.concatenate([body.parts[name] for name in PARTS[part]])) for part in PARTS}
    return {part: _means(off, moves, some) for part, some in rows.items()}


def _errors(
    scan: scanning.Scan, landmarks: np.ndarray, offsets: np.ndarray, motion: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(M,V) mm that each vertex of a scan is off, and truly moves; offsets (M,N,3) of the registered vertices, motion
    (M,68,3) of the landmarks (68,3), all in the scan's unit."""
    truth = scan.transfer(offsets)
    bound = prepare(scan.vertices, scan.triangles, landmarks, device="cpu")
    found = movement.deform(bound, motion, "mesh")
    off, moves = (np.linalg.norm(values, axis=2) / bound.frame.units_per_mm for values in (found - truth, truth))
    return off, moves


def _means(off: np.ndarray, moves: np.ndarray, some: np.ndarray) -> np.ndarray:
    return np.stack([off[:, some].mean(1), moves[:, some].mean(1)], 1)


def show(found: Sequence[dict[str, np.ndarray]], motions: Sequence[str]) -> None:
    print("| mm off (moves truly) | " + " | ".join(motions) + " |\n|---|" + "---|" * len(motions))
    for part in found[0]:
        mean = np.mean([one[part] for one in found], 0)
        print(f"| {part} | " + " | ".join(f"{off:.1f} ({moves:.1f})" for off, moves in mean) + " |")


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/ and makehuman/")
    parser.add_argument("--identities", type=whole_number(1), default=8)
    parser.add_argument("--shapes", type=whole_number(1), default=3, help="of MakeHuman's face")
    arguments = parser.parse_args()
    model = ict.load(arguments.data)
    show([of_ict(model, seed) for seed in stm_data.TEST[: arguments.identities]], list(MOTIONS))
    print()
    show([of_makehuman(arguments.data, number) for number in range(arguments.shapes)], list(UNITS))


if __name__ == "__main__":
    command.run(main)
