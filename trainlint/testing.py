"""Tests written as Markdown, for rules and for what the engine knows: used by trainlint's own tests and by plugins.

Each heading with fenced Python blocks below it is a case. A block is `main.py`; several files of one case are blocks
marked ```` ```python file=model.py ````. What must be found stands in the code, at the end of the line:

    loss = criterion(probabilities, y)  # error: TL101 "softmax at model.py:9"
    reveal(probabilities)  # revealed: probabilities [0, 1]

Pages of TC codes show logs of runs (```` ```csv file=metrics.csv ````) instead; the comments are not part of them.
The text in quotes must be part of the message. Where a line is passed in several states, `reveal` names each: `a; b`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import libcst as cst

from trainlint.api import Report, Rule, on
from trainlint.config import Settings
from trainlint.discovery import Target
from trainlint.engine import check
from trainlint.findings import Finding
from trainlint.semantics import shapes
from trainlint.semantics.behaviours.training import Stream
from trainlint.semantics.project import Project, deep
from trainlint.semantics.values import ELSEWHERE, Dep, Instance, Tensor, Tuple, Value

SECTIONS = ("Why", "Bad", "Fixed", "Good", "More cases", "References")
MAIN = "main.py"

_HEADING = re.compile(r"(#+) (.+)")
_FENCE = re.compile(r"```(\w*)(?: file=(\S+))?")
_EXPECTED = re.compile(r"#\s*error:\s*(.*?)(?=\s*#|$)")
_ITEM = re.compile(r'([A-Z]{2,}\d{3})(?:\s+"([^"]*)")?')
_CODE = re.compile(r"[A-Z]{2,}\d{3}")
_REVEALED = re.compile(r"#\s*revealed:\s*(.*)$")


class PageError(Exception):
    """A page is not written as it should be."""


@dataclass(frozen=True, order=True)
class Expected:
    """A finding that must come."""

    filename: str
    line: int
    code: str
    text: str = ""

    def __str__(self) -> str:
        return f'{self.filename}:{self.line}: {self.code} "{self.text}"'


@dataclass
class Case:
    """The files below one heading of a page."""

    page: str
    section: str
    heading: str
    files: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A readable name of the test."""
        parts = dict.fromkeys((self.page, self.section, self.heading))
        return "-".join(re.sub(r"\W+", "-", part).strip("-").lower() for part in parts if part)

    @property
    def is_recorded(self) -> bool:
        """Whether the files are logs of runs, which `trainlint curves` reads."""
        return self.page.startswith("TC")

    @property
    def sources(self) -> Iterator[tuple[str, int, str]]:
        """File name, number and text of each line of Python."""
        for filename, text in self.files.items():
            if filename.endswith(".py") or self.is_recorded:
                for number, line in enumerate(text.split("\n"), 1):
                    yield filename, number, line

    @property
    def expected(self) -> list[Expected]:
        """The findings that the code asks for."""
        return [
            Expected(filename, number, *item)
            for filename, number, line in self.sources
            if (found := _EXPECTED.search(line))
            for item in _items(found[1], f"{self.page}: {line.strip()}")
        ]

    @property
    def revealed(self) -> dict[tuple[str, int], str]:
        """The descriptions that the code asks for, by file and line."""
        return {(filename, n): found[1] for filename, n, line in self.sources if (found := _REVEALED.search(line))}

    @property
    def essence(self) -> tuple[tuple[str, str], ...]:
        """The code without what does not matter: equal essences are the same case twice."""
        return tuple(
            (filename, "\n".join(_EXPECTED.sub("", line).rstrip() for line in text.splitlines() if line.strip()))
            for filename, text in sorted(self.files.items())
        )

    def write(self, folder: Path, before: str = "") -> list[tuple[Path, str]]:
        """Write the files; the Python files among them with a line put before. Give the paths and names of these."""
        written = []
        for filename, text in self.files.items():
            path = folder / filename
            path.parent.mkdir(parents=True, exist_ok=True)
            is_source = filename.endswith(".py")
            if self.is_recorded:
                # A log holds no comments.
                text = "\n".join(_EXPECTED.sub("", line).rstrip() for line in text.split("\n"))
            path.write_text(before + text if is_source else text, "utf-8", newline="")
            if is_source:
                written.append((path, filename))
        return written


def _items(text: str, where: str) -> list[tuple[str, str]]:
    """Codes, with the texts that their messages must hold."""
    items = [(found[1], found[2] or "") for found in _ITEM.finditer(text)]
    if not items or re.sub(r"[,\s]", "", _ITEM.sub("", text)):
        raise PageError(f"not an expectation: {where}")
    return items


@dataclass
class Page:
    """A Markdown file of cases."""

    name: str
    title: str = ""
    lines: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The rule that a rule page is about."""
        return self.title.partition(" ")[0]

    def of(self, *sections: str) -> list[Case]:
        """The cases of these sections."""
        return [case for case in self.cases if case.section in sections]


def read(path: Path) -> Page:
    """Read a page."""
    return parse(path.read_text("utf-8"), path.stem)


def parse(text: str, name: str) -> Page:
    """Take a page apart. `lines` holds what stands between the title and the first section."""
    page = Page(name)
    section = heading = ""
    block: list[str] | None = None
    language = filename = ""
    for number, line in enumerate(text.split("\n"), 1):
        fence = _FENCE.fullmatch(line.rstrip())
        if block is not None:
            if fence is None:
                block.append(line)
                continue
            if fence[1]:
                raise PageError(f"{name}:{number}: a fence opens inside another")
            if language == "python" or filename:
                _add(page, section, heading, filename or MAIN, block)
            block = None
        elif fence is not None:
            block, language, filename = [], fence[1], fence[2] or ""
        elif found := _HEADING.fullmatch(line):
            level, heading = len(found[1]), found[2]
            if level == 1:
                page.title = heading
            elif level == 2:
                section = heading
                page.sections.append(heading)
        elif not section and line.strip():
            page.lines.append(line)
    if block is not None:
        raise PageError(f"{name}: a fence is never closed")
    return page


def _add(page: Page, section: str, heading: str, filename: str, block: Sequence[str]) -> None:
    case = next((c for c in page.cases if (c.section, c.heading) == (section, heading)), None)
    if case is None:
        case = Case(page.code if _CODE.fullmatch(page.code) else page.name, section, heading)
        page.cases.append(case)
    if filename in case.files:
        raise PageError(
            f"{page.name}: two blocks are {filename} under '{heading}'; give each case a heading of its own"
        )
    case.files[filename] = "\n".join(block) + "\n"


def findings(case: Case, folder: Path) -> list[Finding]:
    """What a check of the case's files, written to a folder, finds with the page's own rule on."""
    if case.is_recorded:
        return _findings_in_logs(case, folder)
    own = (case.page,) if _CODE.fullmatch(case.page) else ()
    settings = Settings(root=folder, extend_select=own)
    return list(check([Target(path, name, settings) for path, name in case.write(folder)]).findings)


def _findings_in_logs(case: Case, folder: Path) -> list[Finding]:
    from dataclasses import replace

    from trainlint.curves.checks import all_checks
    from trainlint.curves.diagnosis import diagnose

    case.write(folder)
    found = diagnose([str(folder)], list(all_checks().values())).findings
    return [replace(finding, filename=Path(finding.filename).relative_to(folder).as_posix()) for finding in found]


def differences(expected: Sequence[Expected], found: Sequence[Finding]) -> list[str]:
    """How findings differ from what was expected, in words."""
    left = list(found)
    result = []
    for item in expected:
        place = (item.filename, item.line, item.code)
        match = next((f for f in left if (f.filename, f.span.line, f.code) == place and item.text in f.message), None)
        if match is None:
            result.append(f"missing: {item}")
        else:
            left.remove(match)
    return result + [f"unexpected: {f.filename}:{f.span.line}: {f.code} {f.message}" for f in left]


def graph_of(value: Value) -> str:
    """Whether a graph is recorded."""
    recorded = value.graph if isinstance(value, Tensor) else None
    return {True: "recorded", False: "not recorded", None: "unknown"}[recorded]


def reach_of(value: Value) -> str:
    """What gradients would pass on their way back from a value, and where they are stopped."""
    deps = value.deps if isinstance(value, Tensor) else ()
    return ", ".join(sorted(map(described, deps))) or "nothing"


def described(dep: Dep) -> str:
    """One of the things that a gradient reaches, or would reach."""
    name = "code out of view" if dep is ELSEWHERE else dep.module.describe()
    if dep.live:
        return f"parameters of {name}" if dep.node is None and not dep.scales and dep is not ELSEWHERE else name
    return f"{name} behind {dep.cut.label}" if dep.cut is not None else f"{name}, not recorded"


def state_of(value: Value) -> str:
    """The state of an optimizer's gradients."""
    return held_in("$state", value)


def scale_of(value: Value) -> str:
    """How an optimizer's gradients are scaled."""
    return held_in("$scale", value)


def held_in(name: str, value: Value) -> str:
    """A set of states of an instance."""
    states = value.attrs.get(name, ()) if isinstance(value, Instance) else ()
    return " or ".join(sorted(states)) or "unknown"


def shape_of(value: Value) -> str:
    """The shape of a tensor, or of each in a tuple."""
    if isinstance(value, Tuple):
        return ", ".join(map(shape_of, value.items))
    return shapes.describe(shapes.form(value)) if isinstance(value, Tensor) else value.describe()


def data_of(value: Value) -> str:
    """The part of the data that a value comes from, and what was fitted on it."""
    info = value.data if isinstance(value, Tensor) else None
    fits = sorted(fit.what for fit in info.fits) if info else []
    return ", ".join([(info and info.part) or "whole", *(f"fitted {what}" for what in fits)])


def tally_of(value: Value) -> str:
    """What a number measures, and in how many loops around it."""
    if value.tally is None:
        return "nothing"
    loops = len(value.tally.loops)
    return value.tally.what + (f" in {loops} loop{'s' if loops > 1 else ''}" if loops else "")


def models_of(value: Value) -> str:
    """What each of several models gives, where the program picks one."""
    models = value.models if isinstance(value, Tensor) else ()
    return " | ".join(Tensor(kinds=kinds).describe() for kinds, _ in models) or "one model"


def stream_of(value: Value) -> str:
    """Whether a generator was walked through."""
    return ("spent" if "$spent" in value.attrs else "fresh") if isinstance(value, Stream) else "no generator"


ASPECTS: dict[str, Callable[[Value], str]] = {
    "graph": graph_of,
    "reach": reach_of,
    "state": state_of,
    "scale": scale_of,
    "shape": shape_of,
    "data": data_of,
    "tally": tally_of,
    "models": models_of,
    "stream": stream_of,
}


class Reveal(Rule):
    """Notes what the engine knows of `reveal(x)`; `reveal_graph(x)` and so on tell of one aspect."""

    ASPECTS = frozenset(("reveal", *(f"reveal_{name}" for name in ASPECTS)))

    def __init__(self) -> None:
        self.notes: dict[tuple[str, int], list[str]] = {}

    @on("statement")
    def note(self, fact: tuple[cst.Expr, Value], report: Report) -> None:
        """Describe the argument."""
        node = fact[0].value
        if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Name):
            return
        aspect = node.func.value
        source = report.space().source
        if aspect not in self.ASPECTS or source is None:
            return
        line = source.span(node).line
        notes = self.notes.setdefault((source.filename, line), [])
        text = describe(aspect.removeprefix("reveal").removeprefix("_"), fact[1])
        if text not in notes:
            notes.append(text)


def describe(aspect: str, value: Value) -> str:
    """What is known of one aspect of a value, or of the value as a whole."""
    return ASPECTS[aspect](value) if aspect else value.describe()


def reveal(case: Case, folder: Path) -> Mapping[tuple[str, int], str]:
    """What the engine knows where the case asks. `reveal` is a function that hands back what it gets."""
    define = "; ".join(f"{name} = lambda value: value" for name in sorted(Reveal.ASPECTS)) + "\n"
    rule = Reveal()
    problems = deep(lambda: Project(case.write(folder, define), {}, [rule]).check())
    if problems:
        raise PageError(f"{case.name}: {problems[0].message}")
    return {(filename, line - 1): "; ".join(notes) for (filename, line), notes in rule.notes.items()}
