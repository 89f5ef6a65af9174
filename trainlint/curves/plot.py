"""Curves with their findings as a picture: an SVG, or an HTML page that holds it and the findings in words.

Drawn with matplotlib, whose SVG needs no script, no font and nothing from elsewhere.
"""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path

from trainlint.config import UsageError
from trainlint.curves.diagnosis import Diagnosis
from trainlint.curves.names import ACCURACY, LOSS, RATE

_COLOURS = {"error": "#c62828", "warning": "#b26a00", "info": "#1565c0"}


def write_plot(diagnosis: Diagnosis, path: Path) -> None:
    """Write the picture of all runs. Raises UsageError if matplotlib is missing or the file cannot be written."""
    picture = svg(diagnosis)
    text = _page(diagnosis, picture) if path.suffix.lower() == ".html" else picture
    try:
        path.write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from error


def svg(diagnosis: Diagnosis) -> str:
    """One row of panels a run: loss, and accuracy and rate where they were recorded."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("--plot needs matplotlib: pip install 'trainlint[curves]'") from error
    metrics = [m for m in (LOSS, ACCURACY, RATE) if any(next(run.of(m), None) for run in diagnosis.runs)] or [LOSS]
    rows = max(1, len(diagnosis.runs))
    figure = Figure(figsize=(5.2 * len(metrics), 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, len(metrics), squeeze=False)
    for line, run in zip(panels, diagnosis.runs, strict=False):
        for panel, metric in zip(line, metrics, strict=True):
            for series in run.of(metric):
                panel.plot(series.steps, series.values, label=series.name, linewidth=1.2)
            for place, seen in enumerate(s for s in diagnosis.seen if s.run is run and s.series.role.metric == metric):
                colour = _COLOURS[seen.check.severity.value]
                panel.axvline(seen.step, color=colour, linestyle="--", linewidth=1)
                height = 0.97 - 0.09 * (place % 8)
                panel.text(
                    seen.step,
                    height,
                    f" {seen.check.code}",
                    color=colour,
                    va="top",
                    transform=panel.get_xaxis_transform(),
                )
            panel.set_title(f"{run.label or Path(run.filename).name}: {metric}", fontsize=9, parse_math=False)
            if panel.lines:
                panel.legend(fontsize=8)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _page(diagnosis: Diagnosis, picture: str) -> str:
    drawing = re.sub(r"^.*?(?=<svg)", "", picture, count=1, flags=re.DOTALL)
    items = "".join(
        f'<li class="{finding.severity.value}"><b>{escape(finding.code)}</b> {escape(finding.filename)}: '
        f"{escape(finding.message)}</li>\n"
        for finding in diagnosis.findings
    )
    style = "body{font:15px sans-serif;margin:2em}svg{max-width:100%;height:auto}" + "".join(
        f".{name} b{{color:{colour}}}" for name, colour in _COLOURS.items()
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>trainlint curves</title>\n'
        f"<style>{style}</style></head>\n<body><h1>trainlint curves</h1>\n"
        f"<ul>\n{items or '<li>nothing was found</li>'}</ul>\n{drawing}</body></html>\n"
    )
