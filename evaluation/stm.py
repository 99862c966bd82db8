"""STM against the classical methods: `python -m evaluation.stm --data ../shared/data`.

Prints Markdown tables, all rows of a table from the same frames of the same faces.
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from evaluation import stm_baselines, stm_faces, stm_metrics
from evaluation.stm_faces import Case
from evaluation.stm_metrics import Scores
from freetalk_blender.core import interpolant, stm

COLUMNS = ("front", "p95", "lips", "lids", "LVE", "far")
HEADER = "| method | front mm | 95th percentile mm | lips mm | eyelids mm | LVE mm² | at rest, max mm |"
Deform = Callable[[Case], np.ndarray]


def _classical(method: stm_baselines.Method) -> Deform:
    def deform(case: Case) -> np.ndarray:
        weights = method(case.vertices, case.triangles, case.landmark_vertices).astype(np.float32)
        return np.einsum("vk,tkc->tvc", weights, case.motion, optimize=True)

    return deform


def ours(case: Case) -> np.ndarray:
    """bind and displace, as the add-on does."""
    return stm.bind(case.vertices, case.triangles, case.landmark_vertices, device="cpu").displace(case.motion)


def interpolant_alone(case: Case) -> np.ndarray:
    """What `bind` starts from: no network."""
    smooth = interpolant.interpolant(case.vertices, case.triangles, case.landmark_vertices)
    result = np.zeros_like(case.truth)
    result[:, smooth.vertices] = np.einsum("vk,tkc->tvc", smooth.weights, case.motion, optimize=True)
    return result


METHODS: dict[str, Deform] = {
    **{name: _classical(method) for name, method in stm_baselines.METHODS.items()},
    "interpolant, no network": interpolant_alone,
    "**FreeTalk STM**": ours,
}


def evaluate(cases: Iterable[Case], methods: dict[str, Deform]) -> tuple[dict[str, Scores], tuple[str, ...]]:
    """Scores of every method over all frames of all cases, and the frames' names."""
    parts: dict[str, list[Scores]] = {name: [] for name in methods}
    frames: list[str] = []
    for case in cases:
        where = stm_metrics.regions(case.vertices, case.triangles, case.landmark_vertices)
        frames += case.frames
        for name, deform in methods.items():
            parts[name].append(stm_metrics.scores(deform(case), case.truth, where, case.real))
    return {name: stm_metrics.joined(part) for name, part in parts.items()}, tuple(frames)


def table(title: str, found: dict[str, Scores]) -> str:
    """A Markdown table of one row per method."""
    lines = [f"**{title}**", "", HEADER, "|---|" + "---|" * len(COLUMNS)]
    for name, score in found.items():
        row = score.row()
        lines.append(f"| {name} | " + " | ".join(f"{row[column]:.3f}" for column in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def by_frame(mine: Scores, other: Scores, frames: tuple[str, ...]) -> str:
    """Front, lips and lids of each expression: ours / biharmonic, the worst ratio of the front first."""
    names = np.array(frames)
    rows = []
    for name in dict.fromkeys(frames):
        at = names == name
        pairs = [(getattr(mine, f)[at].mean(), getattr(other, f)[at].mean()) for f in ("front", "lips", "lids")]
        rows.append((pairs[0][0] / max(pairs[0][1], 1e-3), name, pairs))
    lines = ["| expression | front | lips | eyelids | front, ours : biharmonic |", "|---|---|---|---|---|"]
    for ratio, name, pairs in sorted(rows, reverse=True):
        cells = " | ".join(f"{a:.3f} / {b:.3f}" for a, b in pairs)
        lines.append(f"| {name} | {cells} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ict_facekit/ and makehuman/")
    parser.add_argument("--identities", type=int, default=10, help="ICT identities of the test")
    parser.add_argument("--shapes", type=int, default=3, help="MakeHuman face shapes of each group")
    parser.add_argument("--units", action="store_true", help="also print every expression unit")
    parser.add_argument("--variants", action="store_true", help="also MakeHuman decimated, roughened and misplaced")
    arguments = parser.parse_args()
    data = arguments.data
    sets = [
        ("ICT-FaceKit, identities never trained on, re-meshed", stm_faces.ict_cases(data, arguments.identities)),
        ("MakeHuman expression units, validation only", stm_faces.makehuman_cases(data, arguments.shapes)),
    ]
    for variant in ("coarse", "rough", "misplaced") if arguments.variants else ():
        sets.append((f"MakeHuman, {variant}", stm_faces.makehuman_cases(data, 1, variant)))
    for title, cases in sets:
        found, frames = evaluate(cases, METHODS)
        print(table(title, found))
        if arguments.units:
            print(by_frame(found["**FreeTalk STM**"], found["biharmonic"], frames))


if __name__ == "__main__":
    main()
