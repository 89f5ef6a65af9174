"""The page for a browser: what is in it, and that nothing in it runs or loads but what is ours."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from reports.support import (
    ACROSS,
    ALL,
    GONE,
    HOSTILE,
    IN_CELL,
    NASTY,
    OF_A_RUN,
    TEXTS,
    TRAIN,
    WITHIN,
    Element,
    Page,
    rendered,
)

from trainlint.findings import Finding, Severity, Span
from trainlint.reports import renderer
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def page(*findings: Finding, texts: dict[str, str] = TEXTS) -> Element:
    return Page("".join(renderer("html")(findings, Sources(texts), Style()))).root


def article(finding: Finding, texts: dict[str, str] = TEXTS) -> Element:
    (found,) = page(finding, texts=texts).all("article")
    return found


# --- Nothing but ours -------------------------------------------------------------------------------------------------


def test_what_is_hostile_is_only_text() -> None:
    root = page(*ALL)
    assert len(root.all("script")) == len(root.all("style")) == 1
    ours = """a article body button code details div fieldset form h1 h2 h3 head header html input kbd label legend li
        main mark meta ol option output p pre script section select span strong style summary title ul em"""
    assert {element.tag for element in root.all()} <= set(ours.split())
    attributes = {name for element in root.all() for name in element.attributes}
    assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcdoc")]
    (nasty,) = (found for found in root.all("article") if "TL999" in found.text)
    assert "</script><script>alert(1)</script>\\x00" in nasty.text
    assert nasty.attributes["data-file"] == HOSTILE.encode("unicode_escape").decode("ascii")
    assert nasty.all("h3")[0].text == NASTY.message.encode("unicode_escape").decode("ascii")


def test_the_policy_allows_our_script_and_style_and_no_other() -> None:
    root = page(*ALL)
    (policy,) = (str(meta.attributes["content"]) for meta in root.all("meta") if "http-equiv" in meta.attributes)
    assert policy.startswith("default-src 'none'; ")
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (element,) = root.all(tag)
        digest = b64encode(sha256(element.text.encode("utf-8")).digest()).decode("ascii")
        assert re.search(rf"{directive} ([^;]*);", policy)[1] == f"'sha256-{digest}'"
        assert "//" not in re.sub(r"^\s*//.*", "", element.text, flags=re.MULTILINE)


def test_what_hides_or_reorders_text_is_shown() -> None:
    line = "if x:  # \u202e\u2066 }\u200b\x1b[0m\ty\n"
    (frame,) = article(replace(WITHIN, span=Span(1, 1, 1, 2), fix=None), {"train.py": line}).all("pre")
    assert frame.text.strip() == "if x:  # \\u202e\\u2066 }\\u200b\\x1b[0m\ty"


# --- Findings ---------------------------------------------------------------------------------------------------------


def test_the_trace_leads_across_files_to_the_finding() -> None:
    steps = article(ACROSS).all("li")
    assert [step.all("p")[0].text.strip() for step in steps] == ["lib/model.py:2:12 softmax", "train.py:4:31"]
    assert [bool(step.all("span", class_="elsewhere")) for step in steps] == [True, False]
    marked = [[mark.text for mark in step.all("mark")] for step in steps]
    assert marked == [["F.softmax('é𝛼', x,", "dim=1)"], ["out"]]


def test_a_frame_has_the_lines_around_with_their_numbers() -> None:
    lines = article(ACROSS).all("li")[-1].all("span", class_="line")
    assert [line.attributes["data-number"] for line in lines] == ["2", "3", "4", "5", "6"]
    assert "".join(line.text for line in lines) == TRAIN.partition("\n")[2]
    assert [line.has("class", "hit") for line in lines] == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(1, 3, 1, 3), [""]),  # no width
        (Span(1, 90, 1, 99), [""]),  # beyond the line
        (Span(1, 3, 3, 5), ["c", "def", "gh"]),
        (Span(1, 1, 40, 1), ["abc", "def", "ghi", *["x"] * 5]),  # too tall
    ],
)
def test_marks(span: Span, expected: list[str]) -> None:
    text = "abc\n  def\n  ghi\n" + "x\n" * 60
    found = article(replace(GONE, span=span), {"gone.py": text})
    assert [mark.text for mark in found.all("mark")] == expected


def test_a_very_long_line_is_cut() -> None:
    line = "x" * 100_000 + "here" + "y" * 100_000
    (frame,) = article(replace(GONE, span=Span(1, 100_001, 1, 100_005)), {"gone.py": line}).all("pre")
    assert frame.all("mark")[0].text == "here"
    assert len(frame.text) < 500


def test_a_fix_is_shown_as_a_difference() -> None:
    (fix,) = article(WITHIN).all("details")
    assert fix.all("summary")[0].text == "Fix keep it"
    changed = [line.text for line in fix.all("span") if line.has("class", "added") or line.has("class", "removed")]
    assert changed[2:] == [
        "-loss = {'𝛼é': F.cross_entropy(out, y)}\n",
        "+loss = {'α': F.cross_entropy(out, y).item()}\n",
    ]
    assert "unsafe" in article(ACROSS).all("summary")[0].text
    assert "+loss = g(x)" in article(IN_CELL).all("details")[0].text


def test_without_the_file_words_must_do() -> None:
    found = article(ACROSS, {})
    assert found.all("p", class_="fix")[0].text.startswith("Fix take the softmax away")
    assert not found.all("pre")
    assert [step.text.strip() for step in found.all("li")] == ["lib/model.py:2:12 softmax"]


def test_code_in_messages_is_code() -> None:
    assert [code.text for code in article(ACROSS).all("h3")[0].all("code")] == ["cross_entropy"]


def test_places() -> None:
    places = [found.all("a", class_="place")[0].text for found in map(article, (ACROSS, IN_CELL, OF_A_RUN))]
    assert places == ["4:31", "cell 1:2:8", "the file"]


# --- The page ---------------------------------------------------------------------------------------------------------


def test_findings_are_grouped_by_file_and_the_filters_name_them() -> None:
    root = page(ACROSS, WITHIN, IN_CELL)
    (main,) = root.all("main")
    assert [heading.text for heading in main.all("h2")] == ["train.py 2", "n.ipynb 1"]
    severities = [box.attributes["value"] for box in root.all("input", name="severity")]
    assert severities == [severity.value for severity in Severity]
    rules, files = ([option.text for option in select.all("option")] for select in root.all("select"))
    assert files == ["All files", "n.ipynb (1)", "train.py (2)"]
    assert rules[1:] == [
        "TL101 softmax-before-cross-entropy (1)",
        "TL206 graph-retained (1)",
        "TL301 missing-eval-mode (1)",
    ]
    # What the script compares: each choice is the attribute of some finding.
    for name, select in zip(("data-rule", "data-file"), root.all("select"), strict=True):
        values = {option.attributes["value"] for option in select.all("option")} - {""}
        assert values == {found.attributes[name] for found in root.all("article")}


def test_rules_are_explained_once_and_linked() -> None:
    root = page(ACROSS, replace(ACROSS, filename="b.py"), OF_A_RUN)
    (rules,) = root.all("section", id="rules")
    (details,) = rules.all("details")
    assert details.attributes["id"] == "TL101"
    assert [heading.text for heading in details.all("h2")] == ["Why", "Wrong", "Corrected"]
    known = {element.attributes["id"] for element in root.all() if "id" in element.attributes}
    targets = {str(link.attributes["href"]) for link in root.all("a") if "href" in link.attributes}
    assert {target[1:] for target in targets if target.startswith("#")} <= known
    assert len(known) == len([element for element in root.all() if "id" in element.attributes])


def test_the_script_finds_what_it_asks_for() -> None:
    text = rendered("html")
    script = Page(text).root.all("script")[0].text
    for name in re.findall(r'getElementById\("(\w+)"\)', script):
        assert f'id="{name}"' in text
    for name in re.findall(r"dataset\.(\w+)", script):
        assert f"data-{name}=" in text
    for name in re.findall(r'(?:get|getAll)\("(\w+)"\)', script):
        assert f'name="{name}"' in text


def test_nothing_was_found() -> None:
    root = page()
    assert root.all("header")[0].text.split() == ["trainlint", "nothing", "was", "found"]
    assert not root.all("form")
    assert not root.all("article")
