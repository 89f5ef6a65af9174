"""The pages that explain the rules, one Markdown file a code: in the installed package or in the checkout."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainlint.checks import RuleInfo

_PACKAGE = Path(__file__).parent


def folder() -> Path:
    """The folder of the pages."""
    installed = _PACKAGE / "rule_pages"
    return installed if installed.is_dir() else _PACKAGE.parent / "rules"


def page(code: str) -> str | None:
    """The Markdown text of a code's page, if there is one."""
    found = path(code)
    return None if found is None else found.read_text("utf-8")


def path(code: str) -> Path | None:
    """The file of a code's page, if there is one."""
    found = next(folder().glob(f"{code}-*.md"), None)
    if found is None:
        from trainlint import plugins

        other = plugins.page_folder(code)
        found = None if other is None else next(other.glob(f"{code}-*.md"), None)
    return found


@dataclass(frozen=True, slots=True)
class Explanation:
    """The part of a page that explains: what the rule reports, why that is wrong, and an example with its correction.

    All of it is Markdown; what a page lacks is empty."""

    what: str
    why: str
    bad: str
    fixed: str

    def as_markdown(self) -> str:
        """The explanation as a short page."""
        parts = {"Why": self.why, "Wrong": self.bad, "Corrected": self.fixed}
        return "\n\n".join([self.what, *(f"## {title}\n\n{text}" for title, text in parts.items() if text)])


def explanation(code: str) -> Explanation | None:
    """What a code's page says without its further examples; None if there is no page."""
    text = page(code)
    if text is None:
        return None
    what, *sections = re.split(r"^## (?=\w)", text, flags=re.MULTILINE)
    parts = {title: body.strip() for title, _, body in (section.partition("\n") for section in sections)}
    # Below its heading a page begins with a line of metadata.
    _, _, what = what.strip().partition("\n\n")[2].partition("\n\n")
    return Explanation(what, parts.get("Why", ""), _first_example(parts.get("Bad")), _first_example(parts.get("Fixed")))


def _first_example(section: str | None) -> str:
    """The first of the examples below a heading: its blocks of code, without its title."""
    return re.split(r"^### .*\n", section or "", flags=re.MULTILINE)[1:2][0].strip() if section else ""


def runtime_rules() -> list[RuleInfo]:
    """What the probes of a live run are, told by their pages: to import the probes takes PyTorch."""
    return _told("TR")


def curve_rules() -> list[RuleInfo]:
    """What the checks of recorded curves are, told by their pages."""
    return _told("TC")


def _told(prefix: str) -> list[RuleInfo]:
    from trainlint.checks import RuleInfo
    from trainlint.findings import Severity

    found = []
    for path in sorted(folder().glob(f"{prefix}*.md")):
        title, _, metadata, _, summary = path.read_text("utf-8").splitlines()[:5]
        code, name = title.removeprefix("# ").split()
        severity, default = metadata.split(" · ")[:2]
        found.append(RuleInfo(code, name, summary.rstrip("."), Severity(severity), default == "on by default", ""))
    return found
