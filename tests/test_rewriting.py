"""How a script is laid out does not change what is found in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import rewriting

from trainlint import pages as shipped
from trainlint import testing as pages

# TL000 is about files that are no Python.
PAGES = [pages.read(path) for path in sorted(shipped.folder().glob("TL*.md")) if not path.name.startswith("TL000")]
# What these say is about a keyword or a number that is written out.
WRITTEN = {rewriting.by_unpacking: ("TL610", "TL911"), rewriting.by_settings: ("TL610",)}


def rewritten(case: pages.Case, rewrite: rewriting.Rewriting) -> pages.Case | None:
    """The case in another layout, with the same findings asked for at the same statements."""
    script = rewriting.Script.of(case.files[pages.MAIN]) if set(case.files) == {pages.MAIN} else None
    files = rewrite(script) if script else None
    if files is None:
        return None
    texts = {name: rewriting.code(body) for name, body in files.items()}
    return pages.Case(case.page, case.section, f"{case.heading} {rewrite.__name__}", texts)


@pytest.mark.slow
@pytest.mark.parametrize("rewrite", rewriting.REWRITINGS, ids=lambda rewrite: rewrite.__name__)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.code)
def test_findings_are_the_same(page: pages.Page, rewrite: rewriting.Rewriting, tmp_path: Path) -> None:
    cases = page.of("Bad", "Fixed") if page.code not in WRITTEN.get(rewrite, ()) else []
    for number, case in enumerate(cases):
        if (other := rewritten(case, rewrite)) is None:
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        found = sorted((finding.filename, finding.span.line, finding.code) for finding in pages.findings(other, folder))
        assert found == sorted((wanted.filename, wanted.line, wanted.code) for wanted in other.expected), other.heading
