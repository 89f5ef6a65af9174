"""Curves with their findings as a picture: in the terminal, as SVG, or as a page with the findings in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from trainlint.config import UsageError
from trainlint.curves.diagnosis import Diagnosis
from trainlint.curves.names import ACCURACY, LOSS, RATE
from trainlint.curves.series import Run
from trainlint.reports.page import document, escaped
from trainlint.reports.page.charts import Chart, Line, Mark, panels, standalone
from trainlint.reports.page.findings import by_file, rules, tally
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style
from trainlint.reports.terminal import drawn


def write_plot(diagnosis: Diagnosis, path: Path, texts: Mapping[str, str] | None = None) -> None:
    """Write the picture of all runs; `texts` stand for logs that are not to be read.

    Raises UsageError if the file cannot be written.
    """
    text = "".join(_page(diagnosis, Sources(texts))) if path.suffix.lower() == ".html" else svg(diagnosis)
    try:
        path.write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from error


def in_terminal(diagnosis: Diagnosis, columns: int, style: Style, encoding: str) -> Iterator[str]:
    """The panels of all runs below each other, for a terminal of so many columns."""
    for _, charts in _panels(diagnosis):
        for chart in charts:
            yield f"{drawn(chart, columns, style, encoding)}\n"


def svg(diagnosis: Diagnosis) -> str:
    """The panels of all runs below each other."""
    return standalone([chart for _, charts in _panels(diagnosis) for chart in charts])


def _panels(diagnosis: Diagnosis) -> Iterator[tuple[Run, list[Chart]]]:
    """Of each run the loss, and accuracy and rate where they were recorded."""
    for run in diagnosis.runs:
        yield run, [_panel(diagnosis, run, metric) for metric in (LOSS, ACCURACY, RATE) if next(run.of(metric), None)]


def _panel(diagnosis: Diagnosis, run: Run, metric: str) -> Chart:
    lines = [Line(series.name, series.steps, series.values) for series in run.of(metric)]
    seen = [seen for seen in diagnosis.seen if seen.run is run and seen.series.role.metric == metric]
    marks = [Mark(one.step, one.check.code, one.check.severity.value) for one in seen]
    return Chart(f"{run.label or Path(run.filename).name}: {metric}", "step", lines, marks)


def _page(diagnosis: Diagnosis, sources: Sources) -> Iterator[str]:
    words = tally(diagnosis.findings) or "nothing was found"
    return document(f"trainlint curves: {words}", _body(diagnosis, sources, words))


def _body(diagnosis: Diagnosis, sources: Sources, words: str) -> Iterator[str]:
    yield f"<header>\n<h1>trainlint curves</h1>\n<p>{words}</p>\n</header>\n<main>\n"
    yield from by_file(diagnosis.findings, sources)
    for run, charts in _panels(diagnosis):
        if charts:
            yield f'<section>\n<h2 class="path">{escaped(run.title)}</h2>\n{panels(charts)}</section>\n'
    yield "</main>\n"
    yield from rules(diagnosis.findings)
