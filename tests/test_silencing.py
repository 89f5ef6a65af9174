"""`--add-noqa` on every mistake on every page: the check is clean then, and nothing but comments has come."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

from trainlint import pages as shipped
from trainlint import testing as pages
from trainlint.config import Settings
from trainlint.discovery import Target
from trainlint.engine import check
from trainlint.silencing import silence

PAGES = [pages.read(path) for path in sorted(shipped.folder().glob("*.md"))]
# What cannot be parsed, and our own failures.
NOT_TO_BE_SUPPRESSED = {"TL000", "TL002"}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.code not in NOT_TO_BE_SUPPRESSED], ids=lambda page: page.code
)
def test_what_is_found_is_suppressed(page: pages.Page, tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, extend_select=(page.code,))
    for case in page.cases:
        if not case.expected:
            continue
        targets = [Target(path, name, settings) for path, name in case.write(tmp_path / case.name)]
        found = check(targets).findings
        silenced, changes = silence(targets, found, {})
        assert {finding.filename for finding in found} == set(changes)
        assert sorted(silenced, key=lambda finding: finding.sort_key) == list(found)
        texts = {name: new for name, (_, new) in changes.items()}
        assert not check(targets, texts=texts).findings, f"under '{case.heading}'"
        assert meaning(texts) == meaning({name: old for name, (old, _) in changes.items()})


def meaning(texts: Mapping[str, str]) -> dict[str, str]:
    """What Python makes of files, which comments do not change."""
    return {name: ast.dump(ast.parse(text)) for name, text in texts.items()}
