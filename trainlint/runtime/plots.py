"""Curves, drawn with matplotlib: without its global state, and only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainlint.runtime.experiments import Curve


def draw(curves: Mapping[str, Curve], path: Path) -> None:
    """Draw curves below each other, x on a logarithmic scale, with their marks as lines, to a file in the format of its
    suffix.

    Raises ImportError without matplotlib, ValueError for a format that it does not know, and OSError.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4 * len(curves)), layout="constrained")
    for row, (title, curve) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(len(curves), 1, row)
        axes.plot(curve.x, curve.y, color="#4477aa")
        for number, (name, x) in enumerate(curve.marks.items()):
            color = ("#ee6677", "#228833", "#aa3377")[number % 3]
            axes.axvline(x, linestyle="--", color=color, label=f"{name}: {x:.2g}")
        axes.set(title=title, xlabel=curve.x_label, ylabel=curve.y_label, xscale="log")
        axes.grid(alpha=0.3)
        if curve.marks:
            axes.legend()
    figure.savefig(path)
