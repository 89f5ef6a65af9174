"""The pages that explain the rules, one Markdown file a code: in the installed package or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder() -> Path:
    """The folder of the pages."""
    installed = _PACKAGE / "rule_pages"
    return installed if installed.is_dir() else _PACKAGE.parent / "rules"


def page(code: str) -> str | None:
    """The Markdown text of a code's page, if there is one."""
    path = next(folder().glob(f"{code}-*.md"), None)
    if path is None:
        from trainlint import plugins

        other = plugins.page_folder(code)
        path = None if other is None else next(other.glob(f"{code}-*.md"), None)
    return None if path is None else path.read_text("utf-8")
