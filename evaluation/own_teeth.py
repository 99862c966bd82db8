"""Teeth, gums and tongue that a mesh has: `python -m evaluation.own_teeth --data ../shared/data`.

Identities of ICT-FaceKit that were never trained on, whole heads with what the model has behind its lips, go through
`prepare` and `deform`; printed is how far off these parts are where they truly move and where they truly rest.
"""

import argparse
from pathlib import Path

import numpy as np

from export import ict, scanning, stm_data
from freetalk_blender.core import movement
from freetalk_blender.core.face import prepare

#: What is done with the face: name -> strength of ICT-FaceKit's shapes.
MOTIONS = {
    "jaw open": {"jawOpen": 1.0},
    "jaw a third open": {"jawOpen": 0.3},
    "smile": {"mouthSmile_L": 1.0, "mouthSmile_R": 1.0},
}
#: What truly moves by less than this (mm) when the jaw opens is of the upper jaw.
_RESTS = 5.0


def errors(model: ict.IctModel, seed: int) -> dict[str, np.ndarray]:
    """Part -> (M,2) mean error and mean true motion (mm) in each of MOTIONS, of one identity."""
    face = model.face(scanning.identity(np.random.default_rng([99, seed]), model))
    parts = scanning.part_mask(model, "head", mouth=True, teeth=True)
    scan = scanning.select(scanning.registered(face, model.triangles), parts)
    weights = np.zeros((len(MOTIONS), len(model.expression_names)), np.float32)
    for row, shapes in zip(weights, MOTIONS.values(), strict=True):
        row[[model.expression_names.index(name) for name in shapes]] = list(shapes.values())
    offsets = model.offsets(weights)
    truth = scan.transfer(offsets)
    bound = prepare(scan.vertices, scan.triangles, face[model.landmark_vertices], device="cpu")
    found = movement.deform(bound, offsets[:, model.landmark_vertices], "mesh")
    mm = 1 / bound.frame.units_per_mm
    off, moves = (np.linalg.norm(values, axis=2) * mm for values in (found - truth, truth))
    registered = scan.carry.indices
    answer = {}
    for name in ("teeth", "gums_tongue"):
        here = (registered >= ict.PARTS[name][0]) & (registered < ict.PARTS[name][1])
        for which, some in (("lower", here & (moves[0] > _RESTS)), ("upper", here & (moves[0] <= _RESTS))):
            answer[f"{which} {name.replace('_', ' and ')}"] = np.stack(
                [off[:, some].mean(1), moves[:, some].mean(1)], 1
            )
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ict_facekit/")
    parser.add_argument("--identities", type=int, default=8)
    arguments = parser.parse_args()
    model = ict.load(arguments.data)
    found = [errors(model, seed) for seed in stm_data.TEST[: arguments.identities]]
    print("| mm off (moves truly) | " + " | ".join(MOTIONS) + " |\n|---|" + "---|" * len(MOTIONS))
    for part in found[0]:
        mean = np.mean([one[part] for one in found], 0)
        print(f"| {part} | " + " | ".join(f"{off:.1f} ({moves:.1f})" for off, moves in mean) + " |")


if __name__ == "__main__":
    main()
