"""The report on a run as a page for a browser: the verdict, and below it what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby, repeat
from pathlib import Path
from typing import TYPE_CHECKING

from trainlint.findings import Finding
from trainlint.reports.page import document, escaped, prose
from trainlint.reports.page.charts import Chart, Line, bars, number, panels, small
from trainlint.reports.page.findings import by_file, rules, tally
from trainlint.reports.page.pictures import address
from trainlint.reports.sources import Sources
from trainlint.reports.wording import counted

if TYPE_CHECKING:
    from trainlint.runtime.experimenting import Preflight
    from trainlint.runtime.report.story import Histogram, Layer, Part, Row, Story, Track

# Values that span more than this are drawn on a logarithmic scale.
WIDE = 100.0
# A table of more rows is folded.
LONG = 40


def write_run(path: Path, program: str, story: Story, findings: Sequence[Finding]) -> None:
    """Write the page on a run. Raises OSError."""
    about = f"{counted(story.steps, 'step')} of training"
    _write(path, program, about, findings, _run(story))


def write_preflight(path: Path, result: Preflight) -> None:
    """Write the page on the experiments. Raises OSError."""
    _write(path, "preflight", counted(len(result.outcomes), "experiment"), result.findings, _experiments(result))


def _write(path: Path, program: str, about: str, findings: Sequence[Finding], sections: Iterator[str]) -> None:
    title = f"trainlint: {program}: {tally(findings) or 'nothing was found'}"
    body = _body(program, about, findings, sections)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(document(title, body, has_pictures=True))


def _body(program: str, about: str, findings: Sequence[Finding], sections: Iterator[str]) -> Iterator[str]:
    worst = next((kind for kind in ("error", "warning", "info") for f in findings if f.severity.value == kind), "fine")
    words = tally(findings) or "Nothing was found"
    yield f'<header>\n<h1>trainlint</h1>\n<p class="path">{escaped(program)}</p>\n</header>\n<main>\n'
    yield f'<p class="verdict {worst}"><strong>{words}</strong> in {escaped(about)}</p>\n'
    yield from by_file(findings, Sources())
    yield from sections
    yield "</main>\n"
    yield from rules(findings)


def _section(title: str, explanation: str, content: str) -> str:
    return f'<section>\n<h2>{escaped(title)}</h2>\n<p class="about">{explanation}</p>\n{content}</section>\n'


# --- A run ---


def _run(story: Story) -> Iterator[str]:
    charts = [
        _chart(title, tracks)
        for title, tracks in (("loss", story.losses), ("learning rate", story.rates))
        if any(track.steps for track in tracks.values())
    ]
    if charts:
        yield _section("Course", "what backward was called on, and the rates of the optimizers", panels(charts))
    if story.layers:
        yield _section(
            "Layers",
            "in the order in which they ran, over the observed steps: root mean square of what a layer gives, norm of "
            "its gradient, and change by a step relative to its weights (about 1e-3 is usual). Each column has one "
            "logarithmic scale, and the number is the last value",
            _layers(story.layers),
        )
    if story.parameters:
        yield _section(
            "Parameters",
            "as of the last observed step. Histograms reach four times the root mean square to either side; bars are "
            "the last observed step, the line is the first",
            _parameters(story.parameters),
        )
    if story.batch:
        yield _section("The first batch", "as the model received it", _batch(story.batch))


def _chart(title: str, tracks: Mapping[str, Track]) -> Chart:
    lines = [Line(name or title, track.steps, track.values) for name, track in tracks.items()]
    return Chart(title, "step", lines, log_y=_is_wide([value for line in lines for value in line.y]))


def _is_wide(values: Sequence[float]) -> bool:
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > WIDE * min(finite)


def _layers(layers: Sequence[Layer]) -> str:
    columns = ("activation", "gradient", "update")
    found = []
    for model, group in groupby(sorted(layers, key=lambda layer: layer.model), key=lambda layer: layer.model):
        rows = list(group)
        lines = {name: [_line(name, getattr(row, name)) for row in rows] for name in columns}
        found.append(f'<div class="layers">\n<h3>{escaped(model or "of no model")}</h3>\n')
        found.append(
            '<p class="head"><span>layer</span><span>output</span><span>gradient</span><span>update</span></p>\n'
        )
        for place, row in enumerate(rows):
            cells = "".join(_cell(lines[name][place], lines[name]) for name in columns)
            kind = f" <small>{escaped(row.kind)}</small>" if row.kind else ""
            found.append(f"<div><p><code>{escaped(row.name)}</code>{kind}</p>{cells}</div>\n")
        found.append("</div>\n")
    return "".join(found)


def _line(name: str, track: Track) -> Line:
    return Line(name, track.steps, track.values)


def _cell(line: Line, column: Sequence[Line]) -> str:
    if not line.y:
        return "<p></p>"
    return f"<p>{small(line, column)}<small>{number(line.y[-1])}</small></p>"


def _parameters(rows: Sequence[Row]) -> str:
    heads = ("parameter", "shape", "trained by", "mean weight", "weights", "mean gradient", "gradients")
    head = "".join(f"<th>{name}</th>" for name in heads)
    has_many = len({row.model for row in rows if row.model}) > 1
    body = "".join(_row(row, f"{row.model}: {row.name}" if row.model and has_many else row.name) for row in rows)
    table = f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'
    if len(rows) <= LONG:
        return table
    return f"<details>\n<summary>{counted(len(rows), 'parameter')}</summary>\n{table}</details>\n"


def _row(row: Row, name: str) -> str:
    trained = escaped(row.optimizer) if row.optimizer else '<strong class="warning">no optimizer</strong>'
    if not row.trainable:
        trained = "requires_grad=False" + (f" ({escaped(row.optimizer)})" if row.optimizer else "")
    cells = (
        f"<code>{escaped(name)}</code>",
        " × ".join(map(str, row.shape)) or "1",
        trained,
        _value(row.weight),
        _histogram("weights", row.weights),
        _value(row.gradient),
        _histogram("gradients", row.gradients),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


def _value(value: float | None) -> str:
    return "–" if value is None else number(value)


def _histogram(name: str, found: Sequence[Histogram]) -> str:
    if not found or not any(found[-1].counts):
        return ""
    before = found[0].counts if len(found) > 1 else ()
    return f"{bars(name, found[-1].counts, before)}<small>±{number(found[-1].reach)}</small>"


# --- The first batch ---


def _batch(parts: Sequence[Part]) -> str:
    """All parts; under each picture the target, if it is a number."""
    target = parts[-1]
    captions = [str(row[0]) for row in target.rows] if len(target.shape) == 1 and target.is_whole else []
    return "".join(_part(part, captions) for part in parts)


def _part(part: Part, captions: Sequence[str]) -> str:
    shape = " × ".join(map(str, part.shape)) or "one number"
    names = ("least", "greatest", "mean", "standard deviation")
    facts = [f"{name} {number(value)}" for name, value in zip(names, part.statistics, strict=False)]
    if len(part.statistics) > len(names) and part.statistics[-1]:
        facts.append(f"{counted(int(part.statistics[-1]), 'number')} NaN")
    about = (
        f'<h3>{escaped(part.name)}</h3>\n<p class="about">{shape} of {escaped(part.dtype)}: {", ".join(facts)}</p>\n'
    )
    return f'<div class="part">\n{about}{_pictures(part, captions) if part.pictures else _rows(part)}</div>\n'


def _pictures(part: Part, captions: Sequence[str]) -> str:
    images = "".join(
        f'<figure><img src="{address(*picture)}" width="{picture[0]}" height="{picture[1]}" alt="sample {place}">'
        f"<figcaption>{escaped(caption)}</figcaption></figure>\n"
        for place, (picture, caption) in enumerate(zip(part.pictures, chain(captions, repeat("")), strict=False), 1)
    )
    return f'<div class="pictures">\n{images}</div>\n'


def _rows(part: Part) -> str:
    def cell(value: float) -> str:
        return str(value) if part.is_whole else number(value)

    cut = math.prod(part.shape[1:]) > len(part.rows[0]) if part.rows else False
    more = "<td>…</td>" if cut else ""
    body = "".join(
        "<tr>" + "".join(f"<td>{cell(value)}</td>" for value in row) + f"{more}</tr>\n"
        for row in (part.rows if len(part.shape) > 1 else zip(*part.rows, strict=True))
    )
    return f'<div class="wide"><table class="numbers">\n{body}</table></div>\n'


# --- Experiments ---


def _experiments(result: Preflight) -> Iterator[str]:
    head = "".join(f"<th>{name}</th>" for name in ("rule", "experiment", "verdict", "measured", "time"))
    body = "".join(
        f"<tr><td>{escaped(outcome.code)}</td><td>{escaped(outcome.name)}</td>"
        f"<td>{_verdict(outcome.verdict, outcome.severity.value)}</td>"
        f'<td class="text">{prose(outcome.unjudged or outcome.measured)}</td><td>{outcome.seconds:.1f} s</td></tr>\n'
        for outcome in result.outcomes
    )
    table = f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'
    yield _section("Experiments", "on copies of model, loss and optimizer", table)
    if result.charts:
        yield _section("What was measured", "marks are values worth a look", panels(result.charts))


def _verdict(verdict: str, severity: str) -> str:
    return f'<strong class="{severity}">{verdict}</strong>' if verdict == "found" else verdict
