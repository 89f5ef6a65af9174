"""`trainlint curves`: logs of training runs, judged."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trainlint.cli.options import above_zero, output_options, rule_options, settings_options
from trainlint.cli.output import CLEAN, style_of, write
from trainlint.cli.report import report, status, tell
from trainlint.cli.summary import summary
from trainlint.config import Configuration, Overrides, Selection, UsageError, concerning, enabled_codes
from trainlint.reports import FOR_PEOPLE

if TYPE_CHECKING:
    from trainlint.curves.check import Check
    from trainlint.curves.diagnosis import Diagnosis
    from trainlint.reports.style import Style

DESCRIPTION = """\
Read what training runs have logged, and say what their curves show.

Reads CSV, JSON lines, TensorBoard's event files, trainer_state.json, Keras' histories, MLflow's and W&B's exports and
printed output. A folder is searched for all of them; several runs are compared.
"""
# The reports need the lines that findings point at, and they read whole files.
_LARGE = 8 << 20
_TERMINAL = Path("-")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="logs, and folders with logs")

    about = parser.add_argument_group("what is known")
    about.add_argument(
        "--series", metavar="ROLE=NAME", action="append", default=[], help="what a recorded name is, as train_loss=L"
    )
    about.add_argument("--show-series", action="store_true", help="print what is recorded and taken for what, and stop")
    about.add_argument("--classes", metavar="N", type=_count, help="the number of classes, for the loss of a guess")
    about.add_argument("--target-variance", metavar="X", type=above_zero, help="the same for squared errors")
    about.add_argument(
        "--layers", metavar="RUN=N", action="append", default=[], help="the depth of the model whose path holds RUN"
    )

    rules = rule_options(parser, "checks")
    settings_options(rules)

    output = parser.add_argument_group("output")
    output.add_argument(
        "--plot",
        metavar="FILE",
        nargs="?",
        type=Path,
        const=_TERMINAL,
        help="draw the curves with what was found: in the terminal, or to an .html or .svg",
    )
    output.add_argument("-v", "--verbose", action="store_true", help="say what could not be judged, and why")
    output_options(output)
    output.add_argument("--statistics", action="store_true", help="print how often each check spoke instead")
    output.add_argument("--exit-zero", action="store_true", help="exit with 0 although something was found")


def _count(text: str) -> int:
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError("must be at least 2")
    return number


def run(options: argparse.Namespace) -> int:
    """Read, judge, and print findings and the diagnosis."""
    from trainlint.curves.diagnosis import diagnose
    from trainlint.curves.names import given

    if options.config is not None and options.isolated:
        raise UsageError("--config and --isolated exclude each other")
    if options.plot not in (None, _TERMINAL) and options.plot.suffix.lower() not in (".html", ".svg"):
        raise UsageError(
            "--plot takes an .html, an .svg, or nothing for the terminal, and stands behind the paths then"
        )
    values = {name: vars(options)[name] for name in ("output_format", "fail_on") if vars(options)[name] is not None}
    configuration = Configuration(Overrides(values=values), config=options.config, isolated=options.isolated)
    settings = configuration.for_folder(Path.cwd())
    own = Selection(
        None if options.select is None else _split(options.select),
        _split(options.extend_select),
        _split(options.ignore),
    )
    facts = {"classes": options.classes, "variance": options.target_variance}
    diagnosis = diagnose(
        options.paths,
        _chosen(settings.selections, own),
        given(options.series),
        {name: float(value) for name, value in facts.items() if value is not None},
        _layers(options.layers),
    )
    if options.show_series:
        write(_series_table(diagnosis), sys.stdout)
        return CLEAN
    findings = diagnosis.findings
    large = {finding.filename: "" for finding in findings if _is_large(finding.filename)}
    report(findings, large, settings, options)
    if options.output_file is None and settings.output_format in FOR_PEOPLE and not options.quiet:
        write(_diagnoses(diagnosis, style_of(options)), sys.stdout)
    if options.plot == _TERMINAL:
        from trainlint.curves.plot import in_terminal

        columns = shutil.get_terminal_size().columns
        write(in_terminal(diagnosis, columns, style_of(options), sys.stdout.encoding or "ascii"), sys.stdout)
    elif options.plot is not None:
        from trainlint.curves.plot import write_plot

        write_plot(diagnosis, options.plot, large)
    notes = diagnosis.notes
    if notes and not options.verbose:
        notes = [f"What could not be judged, or was passed over: {len(notes)} remarks, shown by -v."]
    tell([summary(findings, len(diagnosis.runs)), *notes], settings, options)
    return status(findings, settings, options)


def _split(lists: list[str]) -> tuple[str, ...]:
    return tuple(item.strip() for text in lists for item in text.split(",") if item.strip())


def _is_large(filename: str) -> bool:
    path = Path(filename)
    return path.is_file() and path.stat().st_size > _LARGE


def _chosen(layers: tuple[Selection, ...], own: Selection) -> list[type[Check]]:
    from trainlint.curves.checks import all_checks
    from trainlint.pages import curve_rules

    infos = curve_rules()
    codes = enabled_codes([*(concerning(layer, infos) for layer in layers), own], infos)
    return [check for code, check in all_checks().items() if code in codes]


def _layers(pairs: list[str]) -> dict[str, float]:
    found = {}
    for pair in pairs:
        part, separator, number = pair.rpartition("=")
        if not separator or not number.isdigit():
            raise UsageError(f"--layers takes RUN=N, not `{pair}`")
        found[part] = float(number)
    return found


def _series_table(diagnosis: Diagnosis) -> Iterator[str]:
    for run in diagnosis.runs:
        yield f"{run.title}\n"
        for series in run.series:
            plays = run.roles.get(series.role) is series
            role = (
                str(series.role) if plays or not series.role.metric else f"{series.role}, but another name is plainer"
            )
            yield f"  {series.name}: {role} ({series.recorded} values)\n"
    for finding in diagnosis.unread:
        yield f"{finding.filename}: {finding.message}\n"


def _diagnoses(diagnosis: Diagnosis, style: Style) -> Iterator[str]:
    """Of each run the branch of the decision tree, its evidence and the next step."""
    from trainlint.curves.tree import verdict
    from trainlint.reports.style import one_line

    for run in diagnosis.runs:
        found = verdict(run, diagnosis.of(run))
        yield f"\n{style.paint(one_line(run.title), 'bold')}: {found.branch}\n"
        for line in found.evidence:
            yield f"  - {one_line(line)}\n"
        tips = f" ({', '.join(found.tips)})" if found.tips else ""
        yield f"  next: {found.advice}{tips}\n"
        if found.confirms:
            yield f"  in the source: trainlint check --select {','.join(found.confirms)}\n"
    yield "\n" if diagnosis.runs else ""
