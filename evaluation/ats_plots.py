"""Pictures of predicted curves over tracked lips. Needs matplotlib."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def plot_curves(
    real: dict[str, np.ndarray], predicted: dict[str, dict[str, np.ndarray]], rate: float, title: str, axes: np.ndarray
) -> None:
    """One row of axes: real curves in black, each method's in colour, all from their own rest (10th percentile)."""
    for axis, (name, truth) in zip(axes, real.items(), strict=True):
        axis.plot(np.arange(len(truth)) / rate, truth - np.percentile(truth, 10), "k", linewidth=2, label="tracked")
        for method, curves in predicted.items():
            curve = curves[name]
            axis.plot(np.arange(len(curve)) / rate, curve - np.percentile(curve, 10), linewidth=1, label=method)
        axis.set_title(f"{title}: {name}", fontsize=8)
        axis.tick_params(labelsize=6)


def save(
    rows: list[tuple[str, dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]], rate: float, path: Path
) -> None:
    """rows of (title, real curves, method -> curves) as one PNG."""
    figure, axes = plt.subplots(len(rows), len(rows[0][1]), figsize=(15, 2.4 * len(rows)), squeeze=False)
    for row, (title, real, predicted) in zip(axes, rows, strict=True):
        plot_curves(real, predicted, rate, title, row)
    axes[0, 0].legend(fontsize=6)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=70)
    plt.close(figure)
