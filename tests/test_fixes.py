"""What rules offer as fixes: on every page, the fix of each finding mends it, and does no other harm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from trainlint import pages as shipped
from trainlint import testing as pages
from trainlint.checks import catalogue
from trainlint.config import Configuration, Settings
from trainlint.discovery import Target, discover
from trainlint.engine import check, fix
from trainlint.findings import Finding, Safety
from trainlint.fixing import applied

ROOT = Path(__file__).parents[1]
PAGES = [pages.read(path) for path in sorted(shipped.folder().glob("TL*.md"))]


def targets_of(case: pages.Case, folder: Path) -> list[Target]:
    """The case's files, with the page's own rule on."""
    settings = Settings(root=folder, extend_select=(case.page,))
    return [Target(path, name, settings) for path, name in case.write(folder)]


def codes(findings: Sequence[Finding]) -> Counter[str]:
    return Counter(finding.code for finding in findings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.code)
def test_fixes_mend_what_they_say_and_harm_nothing(page: pages.Page, tmp_path: Path) -> None:
    offered = {
        safety
        for case in page.cases
        if case.expected
        for safety in offers(case, targets_of(case, tmp_path / case.name))
    }
    declared = next(info.fix for info in catalogue() if info.code == page.code)
    assert declared == (max(offered, key=lambda safety: safety is Safety.UNSAFE).value if offered else "")


def offers(case: pages.Case, targets: Sequence[Target]) -> set[Safety]:
    """How safe the fixes of a case are said to be by the page's own rule; all fixes of the case are tried."""
    before = check(targets).findings
    fixable = [finding for finding in before if finding.fix is not None]
    for finding in fixable:
        mends(case, targets, before, finding)
    if fixable:
        ends(case, targets)
    return {finding.fix.safety for finding in fixable if finding.fix is not None and finding.code == case.page}


def mends(case: pages.Case, targets: Sequence[Target], before: Sequence[Finding], finding: Finding) -> None:
    """Apply one fix: the finding goes, and none comes."""
    texts = applied(case.files, [finding])
    for name, text in texts.items():
        compile(text, name, "exec")
        assert text != case.files[name]
    after = codes(check(targets, texts={**case.files, **texts}).findings)
    what = f"the fix of {finding.code} in line {finding.span.line} under '{case.heading}'"
    assert after[finding.code] < codes(before)[finding.code], f"{what} is in vain"
    assert not after - codes(before), f"{what} makes new findings"


def ends(case: pages.Case, targets: Sequence[Target]) -> None:
    """Apply all fixes: nothing is left for a second run."""
    first = fix(targets, unsafe=True)
    left = [finding for finding in first.result.findings if finding.code == "TL002" or finding.fix is not None]
    assert not left, f"fixing stops too early under '{case.heading}'"
    texts = {name: new for name, (_, new) in first.changes.items()}
    assert not fix(targets, unsafe=True, texts={**case.files, **texts}).changes


@pytest.mark.parametrize("tree", ["fixtures", "examples"])
def test_all_fixes_of_whole_projects(tree: str) -> None:
    targets = discover([str(ROOT / tree)], Configuration(isolated=True))
    before = check(targets).findings
    done = fix(targets, unsafe=True)
    texts = {name: new for name, (_, new) in done.changes.items()}
    for name, text in texts.items():
        if not name.endswith(".ipynb"):
            compile(text, name, "exec")
    assert len(done.mended) >= sum(finding.fix is not None for finding in before) > 0
    assert [finding for finding in done.result.findings if finding.fix is not None] == []
    assert places_of(done.result.findings) <= places_of(before)
    assert fix(targets, unsafe=True, texts=texts).changes == {}


def places_of(findings: Sequence[Finding]) -> Counter[tuple[str, str]]:
    return Counter((finding.code, finding.filename) for finding in findings)
