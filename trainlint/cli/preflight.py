"""`trainlint preflight`: a training, tried out before it begins."""

from __future__ import annotations

import argparse
import gc
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlint.cli.options import above_zero, output_options, rule_options, settings_options
from trainlint.cli.output import CLEAN, FAILED, FOUND, style_of, write
from trainlint.config import SEVERITIES, Configuration, Selection, UsageError, refuse
from trainlint.pages import runtime_rules
from trainlint.runtime.experiments import MODULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainlint.runtime.experimenting import Parts, Preflight

DESCRIPTION = """\
Try a training out on copies, by experiments: can the model learn a few samples by heart, does its input matter, which
learning rates work, does anything simpler do better.

FUNCTION takes nothing and returns model, loss, loader, optimizer and, if there is one, the loader of the evaluation
data: in this order, or by the names of the parameters of `trainlint.runtime.preflight`.

Findings are printed on the standard output, the table of all experiments on the standard error.
Exit status: 0 nothing found, 1 something found, 2 bad usage or a failure of FUNCTION.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("function", metavar="MODULE:FUNCTION", help="a module, or a file whose name ends with .py")
    parser.add_argument("--max-seconds", metavar="N", type=above_zero, help="take no longer than about this (60)")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw the curves measured, as SVG")

    rules = rule_options(parser, verb="make")
    settings_options(rules)

    output = parser.add_argument_group("output")
    output_options(output, fail_on="what is severe enough for 1", threshold=SEVERITIES[-1])
    output.add_argument("--report", metavar="FILE", type=Path, help="write a page with all that was measured")


def run(options: argparse.Namespace) -> int:
    """Make the experiments, and report."""
    if options.config is not None and options.isolated:
        raise UsageError("--config and --isolated exclude each other")
    gc.enable()
    configuration = Configuration(config=options.config, isolated=options.isolated)
    own = Selection(
        None if options.select is None else _codes(options.select),
        _codes(options.extend_select),
        _codes(options.ignore),
    )
    rules = runtime_rules()
    others = {rule.code for rule in rules} - MODULES.keys()
    refuse(own, rules, others, "takes a run, which a preflight is not; see `trainlint run`")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = _function(options.function)
        returned = function()
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - the user's code
        traceback.print_exception(type(error), error, _theirs(error), file=sys.stderr)
        return FAILED
    result = _experiments(function, returned, own, configuration, options.max_seconds)
    return _report(result, options, configuration)


def _codes(texts: list[str]) -> tuple[str, ...]:
    return tuple(item.strip() for text in texts for item in text.split(",") if item.strip())


def _theirs(error: Exception) -> Any:
    """The traceback from where their code begins."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _function(text: str) -> Callable[[], Any]:
    from importlib import import_module
    from importlib.util import module_from_spec, spec_from_file_location

    home, _, name = text.rpartition(":")
    if not home or not name:
        raise UsageError(f"`{text}` is not MODULE:FUNCTION")
    if home.endswith(".py"):
        spec = spec_from_file_location(Path(home).stem, home)
        if spec is None or spec.loader is None or not Path(home).is_file():
            raise UsageError(f"there is no file {home}")
        module = module_from_spec(spec)
        sys.path.insert(0, str(Path(home).absolute().parent))
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    else:
        try:
            module = import_module(home)
        except ModuleNotFoundError as error:
            if error.name is None or not (home == error.name or home.startswith(f"{error.name}.")):
                raise
            raise UsageError(f"there is no module {home}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(f"{home} has no function {name}")
    return function  # type: ignore[no-any-return]


def _experiments(
    function: Callable[[], Any], returned: Any, own: Selection, configuration: Configuration, seconds: float | None
) -> Preflight:
    from trainlint.runtime.experimenting import SECONDS, Preflight
    from trainlint.runtime.places import of_function
    from trainlint.runtime.selection import chosen_experiments

    experiments = chosen_experiments(Path.cwd(), own, configuration)
    try:
        outcomes = _parts(returned).examined(experiments, seconds or SECONDS)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    return Preflight(outcomes, of_function(function))


def _parts(returned: Any) -> Parts:
    """What a function returned, by place or by name."""
    from trainlint.runtime.experimenting import Parts

    if isinstance(returned, Mapping):
        return Parts(**returned)
    if isinstance(returned, (list, tuple)) and len(returned) in (4, 5):
        return Parts(*returned)
    raise TypeError("the function must return model, loss, loader and optimizer, and the evaluation's loader or not")


def _report(result: Preflight, options: argparse.Namespace, configuration: Configuration) -> int:
    from trainlint.reports import renderer
    from trainlint.reports.sources import Sources

    output_format = options.output_format or configuration.for_folder(Path.cwd()).output_format
    findings = result.findings
    pieces = renderer(output_format)(findings, Sources(), style_of(options))
    if options.output_file is None:
        write(pieces, sys.stdout)
    else:
        try:
            with options.output_file.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.writelines(pieces)
        except OSError as error:
            raise UsageError(f"cannot write to {options.output_file}: {error.strerror}") from error
    if not options.quiet:
        print(result, file=sys.stderr)
    for path, draw, what in ((options.plot, result.plot, "plot"), (options.report, result.report, "report")):
        try:
            if path is not None:
                draw(path)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot {what} to {path}: {error}") from error
    grave = SEVERITIES[: SEVERITIES.index(options.fail_on) + 1]
    return FOUND if any(finding.severity.value in grave for finding in findings) else CLEAN
