"""The tongue on open speech, against the phones: `python -m evaluation.tongue --aligned FILE ...`.

The files are those of `evaluation.ats_phones`; only voices that training never heard count. Beside the network, in the
same run, what can be told without one: from how far apart and how wide our lips are (`by_lips`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.ats import table
from evaluation.ats_phones import CLOSE, MIDDLE, OPEN, groups, mean, within
from export import aligned, command, tongue_postures
from export.phones import Phone
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, gaps
from freetalk_blender.core.ramp import smooth_step
from freetalk_blender.core.voice import audio, performance
from freetalk_blender.core.voice.speech import FEATURE_RATE
from freetalk_blender.core.voice.tongue import CHANNELS

RIDGE, TEETH, BACK = ("T", "D", "N", "L"), ("TH", "DH"), ("K", "G", "NG")
#: Phones in which the tip lies low.
LOW = (*OPEN, *MIDDLE, *CLOSE, *BACK)
#: What counts as there, and as on the way (shares of the whole way); alignment is no finer than this (s).
THERE, HALF, SLACK = 0.8, 0.5, 0.02


@dataclass(frozen=True)
class Said:
    """One recording at 50 Hz: its phones, tongue (T,3) and targets (T,3), and the tip (T,) as the lips tell it."""

    phones: list[Phone]
    tongue: np.ndarray
    targets: np.ndarray
    by_lips: np.ndarray

    def at(self, curve: np.ndarray, names: tuple[str, ...], slack: float = 0.0) -> list[np.ndarray]:
        """The curve's frames within each phone of these names whose middle lies within the curve."""
        inside = [
            p for p in self.phones if p.name in names and round((p.start + p.end) / 2 * FEATURE_RATE) < len(curve)
        ]
        return [within(curve, phone, slack) for phone in inside]


def by_lips(take: performance.Performance) -> np.ndarray:
    """(T,) a raised tip where lips are a little apart and not rounded, as t, d, n, l are spoken."""
    moved = take.neutral + take.displacement
    gap = gaps(moved, INNER_LIP_PAIRS).mean(1) * EYE_DISTANCE_MM
    width = np.linalg.norm(moved[:, 64] - moved[:, 60], axis=1) / np.linalg.norm(take.neutral[64] - take.neutral[60])
    return smooth_step((gap - 0.8) / 1.2) * (1 - smooth_step((gap - 4.0) / 4.0)) * smooth_step((width - 0.86) / 0.1)


def said(recording: aligned.Aligned) -> Said:
    """Our tongue on one recording."""
    samples, rate = audio.load(recording.path)
    take = performance.perform(samples, rate, fps=FEATURE_RATE, device="cpu")
    targets = tongue_postures.targets(recording.phones, len(take.tongue))
    return Said(recording.phones, take.tongue, targets, by_lips(take))


def judge(takes: list[Said]) -> dict[str, float]:
    """Checks over all phones of the takes; see the names. Low: vowels and k, g, ng, in their middles."""

    def reached(curves: list[np.ndarray], names: tuple[str, ...], there: float = THERE) -> float:
        return mean([x.max() >= there for s, c in zip(takes, curves, strict=True) for x in s.at(c, names, SLACK)])

    def raised(curves: list[np.ndarray], names: tuple[str, ...]) -> float:
        return mean([x[len(x) // 2] >= HALF for s, c in zip(takes, curves, strict=True) for x in s.at(c, names)])

    up, out, body = ([take.tongue[:, i] for take in takes] for i in range(len(CHANNELS)))
    lips = [take.by_lips for take in takes]
    ours, wanted = (np.concatenate([getattr(take, name) for take in takes]) for name in ("tongue", "targets"))
    heights = {
        name: float(np.mean([x.mean() for s, c in zip(takes, body, strict=True) for x in s.at(c, kind)]))
        for name, kind in {"IY": ("IY",), "AA, AE": ("AA", "AE")}.items()
    }
    return {
        "t d n l": len([x for take in takes for x in take.at(take.by_lips, RIDGE)]),
        "tip at the ridge": reached(up, RIDGE),
        "by the lips": reached(lips, RIDGE),
        "tip up where low": raised(up, LOW),
        "by the lips, where low": raised(lips, LOW),
        "th": len([x for take in takes for x in take.at(take.by_lips, TEETH)]),
        "tip at the teeth": reached(out, TEETH, HALF),
        "tip out elsewhere": raised(out, (*LOW, *RIDGE)),
        "body in IY": heights["IY"],
        "in AA, AE": heights["AA, AE"],
        **{f"r {name}": correlation(ours[:, i], wanted[:, i]) for i, name in enumerate(CHANNELS)},
    }


def correlation(ours: np.ndarray, wanted: np.ndarray) -> float:
    """r of two curves, nan where nothing is wanted."""
    return float(np.corrcoef(ours, wanted)[0, 1]) if wanted.any() else float("nan")


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--aligned", type=Path, nargs="+", required=True, help="files of aligned recordings")
    parser.add_argument("--limit", type=whole_number(1), default=40, help="recordings to judge in each group")
    arguments = parser.parse_args()
    found = groups([r for file in arguments.aligned for r in aligned.read(file)], arguments.limit)
    print(table("voices never heard", {title: judge([said(one) for one in found[title]]) for title in found}))


if __name__ == "__main__":
    command.run(main)
