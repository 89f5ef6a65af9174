"""What rules offer as fixes: on every page, the fix of each finding mends it, and does no other harm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from trainlint import pages as shipped
from trainlint import testing as pages
from trainlint.checks import catalogue
from trainlint.config import Selection, Settings
from trainlint.discovery import Target
from trainlint.engine import check, fix
from trainlint.findings import Finding, Safety
from trainlint.fixing import applied

PAGES = [pages.read(path) for path in sorted(shipped.folder().glob("*.md"))]
CASES = [case for page in PAGES for case in page.cases if case.expected]


def targets_of(case: pages.Case, folder: Path) -> list[Target]:
    """The case's files, with the page's own rule on."""
    settings = Settings(root=folder, selections=(Selection(extend_select=(case.page,)),))
    return [Target(path, name, settings) for path, name in case.write(folder)]


def codes(findings: Sequence[Finding]) -> Counter[str]:
    return Counter(finding.code for finding in findings)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_fix_mends_its_finding_and_harms_nothing(case: pages.Case, tmp_path: Path) -> None:
    targets = targets_of(case, tmp_path)
    before = check(targets).findings
    for finding in before:
        if finding.fix is None:
            continue
        texts = applied(case.files, [finding])
        for name, text in texts.items():
            compile(text, name, "exec")
            assert text != case.files[name]
        after = codes(check(targets, texts={**case.files, **texts}).findings)
        assert after[finding.code] < codes(before)[finding.code], f"the fix of {finding.message} is in vain"
        assert not after - codes(before), f"the fix of {finding.message} makes new findings"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fixing_ends_and_a_second_run_changes_nothing(case: pages.Case, tmp_path: Path) -> None:
    targets = targets_of(case, tmp_path)
    first = fix(targets, unsafe=True)
    assert not [finding for finding in first.result.findings if finding.code == "TL002" or finding.fix is not None]
    assert not fix(targets, unsafe=True, texts={**case.files, **first.texts}).texts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.code)
def test_rules_say_which_fixes_they_have(page: pages.Page, tmp_path: Path) -> None:
    offered = set()
    for number, case in enumerate(page.cases):
        for finding in check(targets_of(case, tmp_path / str(number))).findings:
            if finding.code == page.code and finding.fix is not None:
                offered.add(finding.fix.safety)
    declared = next(info.fix for info in catalogue() if info.code == page.code)
    assert declared == (max(offered, key=lambda safety: safety is Safety.UNSAFE).value if offered else "")
