"""The rule pages: what they tell of a rule is so, and each of their examples gives just what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainlint import pages as shipped
from trainlint import testing as pages
from trainlint.checks import RuleInfo, catalogue

RULES = {info.code: info for info in (*catalogue(), *shipped.runtime_rules(), *shipped.curve_rules())}
# Codes of trainlint's own: about files and comments, not about training.
OWN = ("TL000", "TL001", "TL002")
PAGES = [pages.read(path) for path in sorted(shipped.folder().glob("*.md"))]
CASES = [case for page in PAGES for case in page.cases]
# Those of the other doors are run, not read: see tests/runtime.
CHECKED = [case for case in CASES if not case.page.startswith("TR")]


def by_code(page: pages.Page) -> str:
    return page.code


@pytest.mark.parametrize("case", CHECKED, ids=lambda case: case.name)
def test_case(case: pages.Case, tmp_path: Path) -> None:
    assert not pages.differences(case.expected, pages.findings(case, tmp_path))


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    assert [page.code for page in PAGES] == sorted(RULES)


def metadata(rule: RuleInfo) -> str:
    """How a page's second line begins."""
    default = "on by default" if rule.default else "off by default"
    return f"{rule.severity.value} · {default} · {f'fix: {rule.fix}' if rule.fix else 'no fix'}"


@pytest.mark.parametrize("page", PAGES, ids=by_code)
def test_page_agrees_with_its_rule(page: pages.Page) -> None:
    rule = RULES[page.code]
    assert page.title == f"{rule.code} {rule.name}"
    assert page.name == f"{rule.code}-{rule.name}"
    assert page.lines[0].split(" · tips: ")[0] == metadata(rule)
    assert len(page.lines) > 1, "what the rule finds, in a paragraph"


@pytest.mark.parametrize("page", PAGES, ids=by_code)
def test_headings_are_the_fixed_ones(page: pages.Page) -> None:
    wanted = ["Why", "References"] if page.code in OWN else list(pages.SECTIONS)
    assert [section for section in pages.SECTIONS if section in page.sections] == page.sections
    assert set(wanted) <= set(page.sections)


@pytest.mark.parametrize("page", [page for page in PAGES if page.code not in OWN], ids=by_code)
def test_bad_is_found_and_good_is_not(page: pages.Page) -> None:
    bad, good = page.of("Bad"), page.of("Fixed", "Good")
    assert bad
    assert page.of("Fixed")
    assert page.of("Good")
    assert all(any(e.code == page.code for e in case.expected) for case in bad)
    assert not [e for case in good for e in case.expected]


def test_no_case_stands_twice() -> None:
    seen: dict[object, str] = {}
    twice = [(seen[c.essence], c.name) for c in CASES if seen.setdefault(c.essence, c.name) != c.name]
    assert not twice
    assert len({case.name for case in CASES}) == len(CASES)


PAGE = """\
# TL101 softmax-before-cross-entropy
error · on by default

A summary.

## Bad
### In two files
```python file=model.py
import torch
```
```python
import torch.nn.functional as F

loss = F.cross_entropy(F.softmax(x, 1), y)  # error: TL101 "softmax", TL109
```
## Good
"""


def test_a_page_is_taken_apart() -> None:
    page = pages.parse(PAGE, "a page")
    (case,) = page.cases
    assert page.code == "TL101"
    assert page.lines == ["error · on by default", "A summary."]
    assert page.sections == ["Bad", "Good"]
    assert (case.section, case.heading, list(case.files)) == ("Bad", "In two files", ["model.py", "main.py"])
    assert case.expected == [
        pages.Expected("main.py", 3, "TL101", "softmax"),
        pages.Expected("main.py", 3, "TL109"),
    ]


def test_what_is_missing_and_what_is_too_much_is_told(tmp_path: Path) -> None:
    case = pages.parse(PAGE, "a page").cases[0]
    case.files["main.py"] = "from torch import sigmoid\n" + case.files["main.py"].replace("(x, 1)", "(x, dim=1)")
    found = pages.findings(case, tmp_path)
    assert [text.partition(" (")[0] for text in pages.differences(case.expected, found)] == [
        'missing: main.py:4: TL109 ""',
    ]
    assert pages.differences([], found)[0].startswith("unexpected: main.py:4: TL101 `cross_entropy` gets")
    wrong = pages.Expected("main.py", 4, "TL101", "sigmoid at")
    assert len(pages.differences([wrong], found)) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("## Bad\n```python\nx = 1\n", "never closed"),
        ("## Bad\n```python\n```python\n", "opens inside"),
        ("## Bad\n```python\n```\n```python\n```\n", "two blocks are main.py"),
    ],
)
def test_a_page_that_cannot_be_meant_so_is_refused(text: str, problem: str) -> None:
    with pytest.raises(pages.PageError, match=problem):
        pages.parse(text, "a page")


@pytest.mark.parametrize("comment", ["softmax", "TL1O1", 'TL101 "softmax', "TL101 softmax"])
def test_an_expectation_that_cannot_be_read_is_refused(comment: str) -> None:
    case = pages.parse(f"## Bad\n```python\nx = 1  # error: {comment}\n```\n", "a page").cases[0]
    with pytest.raises(pages.PageError, match="not an expectation"):
        assert case.expected
