"""Write the tables of the documentation that follow from the rules: `python docs/tables.py`, or `--check` to compare.

README.md lists the rules, from their classes, and the output formats, from the first lines of their docstrings.
docs/checklists.md says of each tip which rules find it, from the line of metadata on the rules' pages; README.md has
the tips whose fault shows in the source. docs/trainlint.schema.json is the schema of the settings. docs/runtime.md has
the rules that find the same in a run and in the source (`trainlint/counterparts.py`), and so do the pages of both.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "rules"

_TABLE = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- end of rules -->)", re.DOTALL)
_FORMATS = re.compile(r"(?<=<!-- formats -->\n).*?(?=<!-- end of formats -->)", re.DOTALL)
_COVERAGE = re.compile(r"(?<=<!-- coverage -->\n).*?(?=<!-- end of coverage -->)", re.DOTALL)
_COUNTERPARTS = re.compile(r"(?<=<!-- counterparts -->\n).*?(?=<!-- end of counterparts -->)", re.DOTALL)
# The last lines of a page.
_SAME = re.compile(r"(?:^- The same in (?:the source|a run).*\n)*\Z", re.MULTILINE)
_IN_SOURCE = re.compile(r"^\| (\w+) \| (.*) \| source[^|]* \| [^|]*\|$", re.MULTILINE)
_TIP = re.compile(r"^(\| (?!id )(\w+) \| .* \| )[^|]*\|$", re.MULTILINE)
_METADATA = re.compile(r"^(?:error|warning|info) · .* · tips: (.*)$", re.MULTILINE)


def with_rules(text: str) -> str:
    """A text with the table of rules between its markers."""
    if not _TABLE.search(text):
        raise ValueError("the markers of the table of rules are missing")
    return _TABLE.sub(lambda _: "\n" + "".join(_rule_rows()) + "\n", text)


def _rule_rows() -> Iterator[str]:
    from trainlint.checks import catalogue
    from trainlint.pages import curve_rules, runtime_rules

    yield "| code | name | what is wrong | severity | fix |\n|---|---|---|---|---|\n"
    for rule in (*catalogue(), *runtime_rules(), *curve_rules()):
        page = f"[{rule.code}](rules/{rule.code}-{rule.name}.md)"
        first, rest = rule.summary[0], rule.summary[1:]
        is_name = any(letter.isupper() for letter in rest.partition(" ")[0])  # such as NaN and NumPy
        summary = (first if is_name else first.lower()) + rest
        severity = rule.severity.value + ("" if rule.default else ", opt-in")
        yield f"| {page} | {rule.name} | {summary} | {severity} | {rule.fix} |\n"


def with_formats(text: str) -> str:
    """A text with the table of output formats between its markers."""
    if not _FORMATS.search(text):
        raise ValueError("the markers of the table of formats are missing")
    return _FORMATS.sub(lambda _: "\n" + "".join(_format_rows()) + "\n", text)


def _format_rows() -> Iterator[str]:
    from trainlint.reports import OUTPUT_FORMATS, renderer

    yield "| format | |\n|---|---|\n"
    for name in OUTPUT_FORMATS:
        docstring = sys.modules[renderer(name).__module__].__doc__ or ""
        yield f"| `{name}` | {docstring.splitlines()[0].rstrip('.')} |\n"


def with_tips(text: str) -> str:
    """A text whose rows of tips end with the rules that find them."""
    found = rules_by_tip()
    known = {match[2] for match in _TIP.finditer(text)}
    if unknown := found.keys() - known:
        raise ValueError(f"pages cite tips that are not listed: {', '.join(sorted(unknown))}")
    return _TIP.sub(lambda match: f"{match[1]}{' '.join(found.get(match[2], ())) or '–'} |", text)


def rules_by_tip() -> dict[str, list[str]]:
    """Of each tip, links to the pages that cite it."""
    found: dict[str, list[str]] = {}
    for page in sorted(RULES.glob("*.md")):
        metadata = _METADATA.search(page.read_text("utf-8"))
        for tip in metadata[1].split(", ") if metadata else ():
            found.setdefault(tip.strip(), []).append(f"[{page.name[:5]}](../rules/{page.name})")
    return found


def with_coverage(text: str) -> str:
    """A text with the table of tips whose fault shows in the source, between its markers."""
    if not _COVERAGE.search(text):
        raise ValueError("the markers of the table of tips are missing")
    rows = "".join(f"| {tip} | {advice} | {rules or '–'} |\n" for tip, advice, rules in coverage())
    return _COVERAGE.sub(lambda _: f"\n| tip | | found by |\n|---|---|---|\n{rows}\n", text)


def coverage() -> list[tuple[str, str, str]]:
    """Id, text and rules of each tip whose fault shows in the source."""
    found = rules_by_tip()
    tips = _IN_SOURCE.findall((ROOT / "docs" / "checklists.md").read_text("utf-8"))
    return [(tip, advice, " ".join(found.get(tip, ())).replace("](../", "](")) for tip, advice in tips]


def with_counterparts(text: str) -> str:
    """A text with the table of what a run says of findings in the source, between its markers."""
    if not _COUNTERPARTS.search(text):
        raise ValueError("the markers of the table of counterparts are missing")
    rows = "".join(_counterpart_rows())
    return _COUNTERPARTS.sub(lambda _: f"\n| in the source | in a run | |\n|---|---|---|\n{rows}\n", text)


def _counterpart_rows() -> Iterator[str]:
    from trainlint.counterparts import TABLE

    for row in TABLE:
        runs = " ".join(_link(code, "../rules/") for code in row.run) or "–"
        told = f"cannot tell: {row.unseen}" if row.unseen else "of the training as a whole"
        if row.is_local:
            told = f"at its line{', and can refute it' if row.can_refute else ''}"
        yield f"| {_link(row.source, '../rules/')} | {runs} | {told} |\n"


def _link(code: str, folder: str = "") -> str:
    (page,) = RULES.glob(f"{code}-*.md")
    return f"[{code}]({folder}{page.name})"


def with_the_same(code: str, text: str) -> str:
    """A rule's page that ends with the rules that find the same from the other side."""
    from trainlint.counterparts import in_run, in_source

    where, codes = ("the source", in_source(code)) if code.startswith("TR") else ("a run", in_run(code))
    line = f"- The same in {where}: {', '.join(map(_link, codes))}\n" if codes else ""
    return _SAME.sub(lambda _: line, text, count=1)


def schema(_: str) -> str:
    """The schema of the settings."""
    from trainlint.cli import config

    return config.as_json(config.schema())


TABLES: dict[Path, Callable[[str], str]] = {
    ROOT / "docs" / "trainlint.schema.json": schema,
    ROOT / "README.md": lambda text: with_coverage(with_rules(with_formats(text))),
    ROOT / "docs" / "checklists.md": with_tips,
    ROOT / "docs" / "runtime.md": with_counterparts,
    **{page: partial(with_the_same, page.name[:5]) for page in sorted(RULES.glob("T[LR]*.md"))},
}


def main(arguments: list[str]) -> int:
    """Write the tables, or tell which are out of date."""
    stale = []
    for path, renew in TABLES.items():
        old = path.read_text("utf-8")
        new = renew(old)
        if new != old:
            stale.append(path.relative_to(ROOT))
            if "--check" not in arguments:
                path.write_text(new, "utf-8", newline="\n")
    for name in stale:
        print(f"{name}: {'out of date, run docs/tables.py' if '--check' in arguments else 'written'}")
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
