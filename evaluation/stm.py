"""STM against the classical methods: `python -m evaluation.stm --data ../shared/data`.

Prints Markdown tables, all rows of a table from the same frames of the same faces.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from evaluation import stm_baselines, stm_faces, stm_metrics
from evaluation.stm_faces import Case
from evaluation.stm_metrics import Scores
from export import command
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.binding import interpolant, stm

#: Column of a table -> key of `Scores.row`.
COLUMNS = {
    "front mm": "front",
    "95th percentile mm": "p95",
    "lips mm": "lips",
    "eyelids mm": "lids",
    "LVE mm²": "LVE",
    "MVE mm": "MVE",
    "normals °": "normal",
    "stretch": "stretch",
    "resting skin, max mm": "resting",
    "ears, skull, clothes, max mm": "still",
}
#: Where biharmonic's error on a unit is below this (mm), the unit's share is printed but not judged.
FLOOR = 0.1
OURS, ALONE, BASELINE = "**FreeTalk STM**", "interpolant, no network", "biharmonic"
Deform = Callable[[Case], np.ndarray]
#: Title and cases of each table of a group.
Tables = Iterator[tuple[str, Iterable[Case]]]


def _classical(method: stm_baselines.Method) -> Deform:
    def deform(case: Case) -> np.ndarray:
        weights = method(case.vertices, case.triangles, case.landmark_vertices).astype(np.float32)
        return np.einsum("vk,tkc->tvc", weights, case.motion, optimize=True)

    return deform


def _uncut(method: stm_baselines.Method) -> Deform:
    """A classical method on the scan as it is, lips grown together; what the cut has made stays where it was."""

    def deform(case: Case) -> np.ndarray:
        scan = case.scanned
        if scan is None:
            raise ValueError(f"{case.name}: its lips were never fused.")
        weights = method(scan.vertices, scan.triangles, scan.landmark_vertices).astype(np.float32)
        weights = np.concatenate([weights, np.zeros((1, weights.shape[1]), np.float32)])[scan.source]
        return np.einsum("vk,tkc->tvc", weights, case.motion, optimize=True)

    return deform


def ours(case: Case) -> np.ndarray:
    """bind and displace, as the add-on does."""
    binding = case.binding or stm.bind(case.vertices, case.triangles, case.landmark_vertices, device="cpu")
    return binding.displace(case.motion)


def interpolant_alone(case: Case) -> np.ndarray:
    """What `bind` starts from: no network."""
    smooth = interpolant.interpolant(case.vertices, case.triangles, case.landmark_vertices)
    result = np.zeros_like(case.truth)
    result[:, smooth.vertices] = np.einsum("vk,tkc->tvc", smooth.weights, case.motion, optimize=True)
    return result


METHODS: dict[str, Deform] = {
    **{name: _classical(method) for name, method in stm_baselines.METHODS.items()},
    ALONE: interpolant_alone,
    OURS: ours,
}
#: On fused lips also what classical methods make of the scan as it is, without the cut that ours begins with.
UNCUT: dict[str, Deform] = {
    f"{name}, uncut": _uncut(stm_baselines.METHODS[name]) for name in ("harmonic", BASELINE, f"{BASELINE}, back held")
}


def evaluate(cases: Iterable[Case], methods: dict[str, Deform]) -> tuple[dict[str, Scores], tuple[str, ...]]:
    """Scores of every method over all frames of all cases, and the frames' names."""
    parts: dict[str, list[Scores]] = {name: [] for name in methods}
    frames: list[str] = []
    for case in cases:
        where = stm_metrics.regions(case.vertices, case.triangles, case.landmark_vertices)
        frames += case.frames
        for name, deform in methods.items():
            parts[name].append(stm_metrics.scores(deform(case), case.truth, case.vertices, where, case.real))
    return {name: stm_metrics.joined(part) for name, part in parts.items()}, tuple(frames)


def table(title: str, found: dict[str, Scores]) -> str:
    """A Markdown table of one row per method."""
    lines = [f"**{title}**", "", "| method | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    for name, score in found.items():
        row = score.row()
        lines.append(f"| {name} | " + " | ".join(f"{row[key]:.3f}" for key in COLUMNS.values()) + " |")
    return "\n".join(lines) + "\n"


def by_region(found: dict[str, Scores]) -> str:
    """Mean / 95th percentile (mm) / share of the true motion, for every region and method."""
    names = list(found)
    lines = ["| region | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for rows in zip(*(score.regions() for score in found.values()), strict=True):
        cells = " | ".join(f"{mean:.3f} / {p95:.2f} / {share:.0%}" for _, mean, p95, share in rows)
        lines.append(f"| {rows[0][0]} | {cells} |")
    return "\n".join(lines) + "\n"


def by_share(mine: Scores, other: Scores, name: str) -> str:
    """How much lower our errors are than those of another method of that name."""
    a, b = mine.row(), other.row()
    return f"Lower than {name}: " + ", ".join(f"{k} {1 - a[k] / b[k]:.0%}" for k in ("front", "lips", "lids", "LVE"))


def by_frame(mine: Scores, other: Scores, name: str, frames: tuple[str, ...]) -> str:
    """Front, lips and lids of each expression: ours / the other method's, of that name, the worst ratio of the front
    first; then what is more than a tenth worse."""
    names, regions = np.array(frames), ("front", "lips", "eyelids")
    rows, worse = [], []
    for unit in dict.fromkeys(frames):
        at = names == unit
        pairs = [(float(mine.of(r)[at].mean()), float(other.of(r)[at].mean())) for r in regions]
        rows.append((pairs[0][0] / max(pairs[0][1], 1e-3), unit, pairs))
        for region, (a, b) in zip(regions, pairs, strict=True):
            if a > 1.1 * b:
                worse.append((b >= FLOOR, f"{unit} {region} {a:.3f} / {b:.3f}"))
    lines = [f"| expression | front | lips | eyelids | front, ours : {name} |", "|---|---|---|---|---|"]
    for ratio, unit, pairs in sorted(rows, reverse=True):
        cells = " | ".join(f"{a:.3f} / {b:.3f}" for a, b in pairs)
        lines.append(f"| {unit} | {cells} | {ratio:.2f} |")
    for judged, title in ((True, f"{FLOOR} mm or more"), (False, "less")):
        listed = "; ".join(text for kind, text in worse if kind == judged) or "none"
        lines += ["", f"More than 10 % worse than {name}, where its error is {title}: {listed}."]
    return "\n".join(lines) + "\n"


def _ict(data: Path, identities: int, shapes: int) -> Tables:
    yield "ICT-FaceKit, identities never trained on, re-meshed", stm_faces.ict_cases(data, identities)


def _ict_misplaced(data: Path, identities: int, shapes: int) -> Tables:
    title = "ICT-FaceKit, each landmark bound 1 mm (sd per axis) beside its place"
    yield title, stm_faces.ict_cases(data, identities, misplaced=True)


def _makehuman(title: str, variant: str = "") -> Callable[[Path, int, int], Tables]:
    def tables(data: Path, identities: int, shapes: int) -> Tables:
        yield title, stm_faces.makehuman_cases(data, shapes, variant)

    return tables


def _fused(data: Path, identities: int, shapes: int) -> Tables:
    cases = list(stm_faces.makehuman_cases(data, shapes, "fused"))
    without = [replace(case, real=case.real & ~case.strays) for case in cases if case.strays is not None]
    strays = sum(int(case.strays.sum()) for case in cases if case.strays is not None)
    yield "MakeHuman, fused", cases
    yield f"MakeHuman, fused, without {strays} vertices that the cut gave to the other lip", without


TABLES = {
    "ict": _ict,
    "makehuman": _makehuman("MakeHuman expression units, validation only"),
    "ict-misplaced": _ict_misplaced,
    **{variant: _makehuman(f"MakeHuman, {variant}", variant) for variant in ("coarse", "rough", "misplaced")},
    "fused": _fused,
}


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/ and makehuman/")
    parser.add_argument("--identities", type=whole_number(1), default=10, help="ICT identities of the test")
    parser.add_argument("--shapes", type=whole_number(1), default=3, help="MakeHuman face shapes of each group")
    parser.add_argument("--units", action="store_true", help="also print every expression unit")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES), help="these tables")
    arguments = parser.parse_args()
    for name in arguments.only:
        for title, cases in TABLES[name](arguments.data, arguments.identities, arguments.shapes):
            found, frames = evaluate(cases, METHODS | UNCUT if name == "fused" else METHODS)
            print(table(title, found))
            print(by_region({method: found[method] for method in (BASELINE, ALONE, OURS)}))
            for other in filter(found.__contains__, (BASELINE, f"{BASELINE}, uncut")):
                print(by_share(found[OURS], found[other], other), flush=True)
                if arguments.units:
                    print(by_frame(found[OURS], found[other], other, frames), flush=True)


if __name__ == "__main__":
    command.run(main)
