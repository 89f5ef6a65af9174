from __future__ import annotations

import pytest

from trainlint import pages
from trainlint.checks import RuleInfo, catalogue

RULES = [*catalogue(), *pages.runtime_rules(), *pages.curve_rules()]


@pytest.mark.parametrize("info", RULES, ids=lambda info: info.code)
def test_every_rule_has_a_page(info: RuleInfo) -> None:
    text = pages.page(info.code)
    assert text is not None
    assert text.startswith(f"# {info.code} {info.name}\n")


def test_there_is_no_page_without_a_rule() -> None:
    assert {path.name for path in pages.folder().iterdir()} == {f"{info.code}-{info.name}.md" for info in RULES}


def test_a_code_without_a_page() -> None:
    assert pages.page("TL999") is None
