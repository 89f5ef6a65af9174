"""`trainlint run`: run a training script just as Python would, watch it, and say at the end what was found.

The script meets nothing of ours: its arguments, its `__main__`, its import path and its exit are those of `python
SCRIPT`. PyTorch is not imported before the script does, since what a script sets before that counts.
"""

from __future__ import annotations

import argparse
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlint.cli.known import Known
from trainlint.config import (
    SEVERITIES,
    Configuration,
    Overrides,
    Selection,
    UsageError,
    enabled_codes,
    refuse,
    require_writable,
)
from trainlint.reports.wording import counted
from trainlint.runtime.ranks import SECONDS, Ranks

if TYPE_CHECKING:
    from trainlint.baseline import Judged
    from trainlint.findings import Finding
    from trainlint.reports.style import Style
    from trainlint.runtime.coverage import Coverage
    from trainlint.runtime.monitor import Monitor
    from trainlint.runtime.report.recorder import Recorder
    from trainlint.runtime.title import Title

_OWN = str(Path(__file__).resolve().parents[1]) + os.sep


def launch(options: argparse.Namespace) -> int:
    """Run a script as the options say, report, and return the exit status or leave as the script does."""
    program = Program(options.program, options.is_module)
    session = Session(options, program)
    with session:
        leave = _outcome(program.run)
    session.meet(is_well=leave is None or (isinstance(leave, SystemExit) and not leave.code))
    session.report()
    status = _left(leave)
    return status or session.status


def _outcome(run: Callable[[], None]) -> BaseException | None:
    """Run to the end, and give back what ended it; a traceback is printed where Python would."""
    try:
        run()
    except SystemExit as error:
        return error
    except UsageError:
        raise
    except BaseException as error:  # noqa: BLE001 - Python too tells of whatever ends a program
        sys.stdout.flush()
        _strip(error)
        sys.excepthook(type(error), error, error.__traceback__)
        return error
    return None


def _left(error: BaseException | None) -> int:
    """Leave as the script did."""
    if isinstance(error, SystemExit):
        raise error.with_traceback(None)
    if isinstance(error, KeyboardInterrupt) and os.name == "posix":
        # The shell must see that it was the signal that ended the program.
        sys.stdout.flush()
        sys.stderr.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return 0 if error is None else 1


def _strip(error: BaseException, seen: set[int] | None = None) -> None:
    """Take our own frames out of the tracebacks of an error and of those that it came from."""
    seen = set() if seen is None else seen
    if id(error) in seen:
        return
    seen.add(id(error))
    error.__traceback__ = _without_own(error.__traceback__)
    inner = (error.__cause__, error.__context__, *getattr(error, "exceptions", ()))
    for other in inner:
        if other is not None:
            _strip(other, seen)


def _without_own(trace: types.TracebackType | None) -> types.TracebackType | None:
    frames = []
    is_started = False
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        own = filename.startswith(_OWN) or (not is_started and filename.startswith("<frozen"))
        if not own:
            is_started = True
            frames.append(trace)
        trace = trace.tb_next
    last = None
    for frame in reversed(frames):
        last = types.TracebackType(last, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return last


class Program:
    """What to run, as the interpreter's command line would."""

    def __init__(self, arguments: Sequence[str], is_module: bool) -> None:
        self.arguments = list(arguments)
        self.is_module = is_module
        self.filename = ""

    def run(self) -> None:
        """Run it as `__main__`."""
        gc.enable()
        module, code = self._module() if self.is_module else self._script()
        sys.modules["__main__"] = module
        sys.argv = self.arguments
        exec(code, module.__dict__)

    def _script(self) -> tuple[types.ModuleType, Any]:
        path = self.arguments[0]
        if os.path.isdir(path):
            return self._folder(path)
        self.filename = os.path.join(os.getcwd(), path)
        try:
            with open(path, "rb") as file:
                source = file.read()
        except OSError as error:
            raise UsageError(f"cannot run {path}: {error.strerror}") from error
        sys.path[0] = os.path.dirname(os.path.abspath(path))
        module = _main(self.filename)
        module.__loader__ = importlib.machinery.SourceFileLoader("__main__", self.filename)
        return module, compile(source, self.filename, "exec", dont_inherit=True)

    def _folder(self, path: str) -> tuple[types.ModuleType, Any]:
        """A folder is run by the `__main__.py` in it."""
        sys.path[0] = os.path.join(os.getcwd(), path)
        inner = self.filename = os.path.join(sys.path[0], "__main__.py")
        if not os.path.isfile(inner):
            raise UsageError(f"cannot run {path}: it has no __main__.py")
        spec = importlib.machinery.ModuleSpec("__main__", importlib.machinery.SourceFileLoader("__main__", inner))
        spec.origin, spec.has_location = inner, True
        module = _main(inner, spec)
        with open(inner, "rb") as file:
            return module, compile(file.read(), inner, "exec", dont_inherit=True)

    def _module(self) -> tuple[types.ModuleType, Any]:
        sys.path[0] = os.getcwd()
        name = self.arguments[0]
        spec = self._found(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = self._found(f"{name}.__main__")
        loader = None if spec is None else spec.loader
        code = loader.get_code(spec.name) if spec and isinstance(loader, importlib.abc.InspectLoader) else None
        if spec is None or code is None:
            raise UsageError(f"there is no module {name} to run")
        self.filename = self.arguments[0] = spec.origin or name
        return _main(self.filename, spec), code

    @staticmethod
    def _found(name: str) -> importlib.machinery.ModuleSpec | None:
        try:
            return importlib.util.find_spec(name)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"cannot find the module {name}: {type(error).__name__}: {error}") from error


def _main(filename: str, spec: importlib.machinery.ModuleSpec | None = None) -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__file__ = filename
    module.__spec__ = spec
    module.__package__ = None if spec is None else spec.parent
    module.__loader__ = None if spec is None else spec.loader
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    module.__dict__["__cached__"] = None if spec is None else spec.cached
    return module


class Session:
    """The watch over a program: begins when it imports PyTorch, and ends with it. Forked processes have none."""

    def __init__(self, options: argparse.Namespace, program: Program) -> None:
        self.options = options
        self.program = program
        self.monitor: Monitor | None = None
        self.recorder: Recorder | None = None
        self.title: Title | None = None
        self.status = 0
        self.process = os.getpid()
        self.ranks = Ranks(os.environ)
        given = {"baseline": options.baseline, "output_format": options.output_format}
        values = {name: value for name, value in given.items() if value is not None}
        self.configuration = Configuration(Overrides(values=values), config=options.config, isolated=options.isolated)
        self.settings = self.configuration.for_folder(Path.cwd())
        # What the probes that run look for.
        self.codes: frozenset[str] = frozenset()
        self.known = _KnownToRun(self)
        self.begun = time.time()
        self.coverage: Coverage | None = None

    def __enter__(self) -> Session:
        self._validate()
        self.ranks.join()
        if "torch" in sys.modules:
            self.begin()
        else:
            sys.meta_path.insert(0, _Awaited("torch", self.begin))
        if self.settings.output_format == "json":
            from trainlint.runtime.coverage import Coverage

            self.coverage = Coverage()
            self.coverage.start()
        os.register_at_fork(after_in_child=self.abandon)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Awaited)]
        if self.coverage is not None:
            self.coverage.stop()
        if self.monitor is not None:
            self.monitor.stop()
        if self.title is not None and os.getpid() == self.process:
            self.title.restore()

    def _selection(self) -> Selection:
        def split(texts: Sequence[str]) -> tuple[str, ...]:
            return tuple(item.strip() for text in texts for item in text.split(",") if item.strip())

        options = self.options
        select = None if options.select is None else split(options.select)
        return Selection(select, split(options.extend_select), split(options.ignore))

    def _validate(self) -> None:
        """Complain before hours of training about what could not be reported after."""
        from trainlint.pages import runtime_rules
        from trainlint.runtime.experiments import MODULES

        rules = runtime_rules()
        enabled_codes([self._selection()], rules)
        refuse(
            self._selection(), rules, MODULES, "takes an experiment, which a run cannot make; see `trainlint preflight`"
        )
        for path in (self.options.output_file, self.options.report):
            if path is not None:
                require_writable(path)

    def begin(self) -> None:
        """PyTorch is there: listen to it."""
        from trainlint.runtime.monitor import EVERY, Monitor
        from trainlint.runtime.selection import chosen_probes

        folder = Path(self.program.filename).absolute().parent
        probes = chosen_probes(folder, self._selection(), self.configuration)
        self.codes = frozenset(probe.code for probe in probes)
        self.monitor = Monitor(probes, every=self.options.every or EVERY, max_steps=self.options.max_steps)
        if self.options.report is not None and not self.ranks.rank:
            from trainlint.runtime.report.recorder import Recorder

            self.recorder = Recorder(self.monitor)
            self.monitor.attach(self.recorder)
        self._show_progress(self.monitor)
        self.monitor.start()

    def _show_progress(self, monitor: Monitor) -> None:
        from trainlint.runtime.title import Title, has_title

        if not self.options.quiet and not self.ranks.rank and has_title(sys.stderr):
            self.title = Title(monitor, sys.stderr)
            monitor.attach(self.title)

    def abandon(self) -> None:
        """In a child process: be as if nobody had ever listened."""
        if self.monitor is not None:
            self.monitor.abandon()

    def meet(self, is_well: bool) -> None:
        """Hear what other processes of a distributed run saw, or have rank 0 hear it; after a failure, who knows when
        the others will end."""
        if os.getpid() != self.process:
            return
        if self.ranks.rank:
            self.ranks.tell(self.monitor)
        else:
            self.ranks.hear(self.monitor, SECONDS if is_well else 0.0)

    def report(self) -> None:
        """Say what was found, and let it decide on the exit status if that is wanted."""
        if os.getpid() != self.process or self.ranks.rank:
            return
        found = self._findings()
        findings = self.known.new(found, {})
        self._write(findings, [finding for finding in found if finding not in findings])
        if self.recorder is not None:
            self._write_page(self.recorder, findings)
        if not self.options.quiet:
            print(self._summary(findings), *self.known.notes, sep="\ntrainlint: ", file=sys.stderr)
        if self.options.fail_on is not None:
            grave = SEVERITIES[: SEVERITIES.index(self.options.fail_on) + 1]
            self.status = int(any(finding.severity.value in grave for finding in findings))

    def _findings(self) -> list[Finding]:
        if self.monitor is None:
            return []
        from trainlint.runtime.verdict import findings_of

        return findings_of(self.monitor.observations.values(), self.program.filename, self.configuration)

    def _write(self, findings: Sequence[Finding], known: Sequence[Finding]) -> None:
        from trainlint.reports.style import Style, wants_color

        if self.options.output_file is None:
            sys.stdout.flush()
            style = Style(wants_color(self.options.color, sys.stderr))
            sys.stderr.writelines(self._pieces(findings, known, style))
            return
        with self.options.output_file.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(self._pieces(findings, known, Style(self.options.color == "always")))

    def _pieces(self, findings: Sequence[Finding], known: Sequence[Finding], style: Style) -> Iterable[str]:
        """The report, or the record of the run, which also has the findings that are known."""
        from trainlint.reports import renderer
        from trainlint.reports.sources import Sources

        if self.coverage is None:
            return renderer(self.settings.output_format)(findings, Sources(), style)
        from trainlint.runtime import record

        steps, wells = (0, []) if self.monitor is None else (self.monitor.turn, self.monitor.wells)
        is_whole = self.coverage.is_whole and self.ranks.number == 1
        run = record.Run(self.files, steps, wells, self.coverage, is_whole, self.begun)
        return record.pieces(findings, known, run)

    @property
    def files(self) -> list[str]:
        """The user's files that had a part in the run."""
        from trainlint.runtime.record import users_files

        return users_files(self.program.filename, () if self.coverage is None else self.coverage.lines)

    def _write_page(self, recorder: Recorder, findings: Sequence[Finding]) -> None:
        from trainlint.runtime.report.page import write_run

        try:
            write_run(self.options.report, self.program.arguments[0], recorder.story(), findings)
        except OSError as error:  # the disk may be full by now
            print(f"trainlint: cannot write to {self.options.report}: {error.strerror}", file=sys.stderr)

    def _summary(self, findings: Sequence[Finding]) -> str:
        if self.monitor is None:
            return "trainlint: the script did not import torch, so nothing was watched"
        seen = self._seen(self.monitor)
        rank = f" on each of {self.ranks.number} ranks" if self.ranks.number > 1 else ""
        if not findings:
            return f"trainlint: nothing found in {seen}{rank}"
        return f"trainlint: {counted(len(findings), 'finding')} in {seen}{rank}"

    def _seen(self, monitor: Monitor) -> str:
        if monitor.has_stepped or not monitor.passes:
            return f"{counted(monitor.turn, 'step')} of training"
        return f"{counted(monitor.passes, 'backward pass', 'es')}, and no step of an optimizer"


class _KnownToRun(Known):
    """The baseline of a run: it knows as little of what other scripts do as of the source."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.settings, writes=session.options.write_baseline)
        self._session = session

    def _judged(self, findings: Sequence[Finding]) -> Judged:
        codes, files = self._session.codes, frozenset(self._session.files)
        return lambda path, code: code in codes and os.path.abspath(path) in files

    def _is_whole(self) -> bool:
        return False


class _Awaited(importlib.abc.MetaPathFinder):
    """Calls `then` when a module has been imported, and is gone from then on."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name = name
        self._then = then

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Announcing(spec.loader, self._then)
        return spec


class _Announcing(importlib.abc.Loader):
    """A loader that tells when it is done, and leaves no trace."""

    def __init__(self, loader: importlib.abc.Loader, then: Callable[[], None]) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        try:
            self._then()
        except Exception as error:  # noqa: BLE001 - the script runs, watched or not
            print(f"trainlint: the run cannot be watched: {type(error).__name__}: {error}", file=sys.stderr)
