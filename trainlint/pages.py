"""The pages that explain the rules, one Markdown file a code: in the installed package or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_FOLDERS = (_PACKAGE / "rule_pages", _PACKAGE.parent / "rules")


def page(code: str) -> str | None:
    """The Markdown text of a code's page, if there is one."""
    for folder in _FOLDERS:
        for path in sorted(folder.glob(f"{code}-*.md")):
            return path.read_text("utf-8")
    return None
