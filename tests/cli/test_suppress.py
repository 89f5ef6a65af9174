from __future__ import annotations

from textwrap import dedent

import pytest
from cli.support import finding

from trainlint.checks import RuleInfo
from trainlint.findings import Finding, Severity
from trainlint.suppress import directives, unused, visible

CATALOGUE = [
    RuleInfo("TL001", "unused-suppression", "", Severity.WARNING, True, ""),
    RuleInfo("TL002", "internal-error", "", Severity.ERROR, True, ""),
    RuleInfo("TL101", "softmax-before-cross-entropy", "", Severity.ERROR, True, ""),
    RuleInfo("TL102", "sigmoid-before-bce-with-logits", "", Severity.ERROR, True, ""),
    RuleInfo("TL118", "hand-written-loss", "", Severity.WARNING, False, ""),
    RuleInfo("TL301", "missing-eval-mode", "", Severity.ERROR, True, ""),
]
DEFAULT = frozenset(info.code for info in CATALOGUE if info.default)


def hidden(text: str, found: Finding | None = None) -> bool:
    """Whether a comment in the text hides a finding, by default TL101 on the first line."""
    return not visible([found or finding()], directives(text))


def complaints(text: str, *found: Finding, enabled: frozenset[str] = DEFAULT) -> list[str]:
    """The messages about suppressions that hide none of the findings, with their places."""
    comments = directives(text)
    visible(found, comments)
    stale = visible(list(unused(comments, "train.py", enabled, CATALOGUE)), comments)
    assert all(one.code == "TL001" for one in stale)
    return [f"{one.span.line}:{one.span.column}: {one.message}" for one in stale]


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "#noqa",
        "# NOQA",
        "# noqa  because of the paper",
        "# noqa : a reason and no code",
        "# noqa: TL101",
        "# noqa:TL101",
        "# noqa: tl101",
        "# noqa: E501,TL101",
        "# noqa: E501 TL101 as in the paper",
        "# noqa: TL1",
        "# type: ignore # noqa: TL101",
        "# trainlint: ignore",
        "# trainlint:ignore",
        "# trainlint: ignore as in the paper",
        "# trainlint: ignore[TL101]",
        "# trainlint: ignore[TL301, TL101] as in the paper",
        "# trainlint: ignore[tl101]",
        "# trainlint: ignore[TL1]",
        "# trainlint: ignore[softmax-before-cross-entropy]",
        "# why # trainlint: ignore[TL101]",
    ],
)
def test_a_comment_hides_a_finding_on_its_line_only(comment: str) -> None:
    assert hidden(f"loss = f(x)  {comment}\n")
    assert not hidden(f"loss = f(x)\nloss = f(x)  {comment}\n")


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa: E501",
        "# noqa: TL102",
        "# noqa: TL1011",
        "# noqaTL101",
        "# noqa-ish",
        "# trainlint: ignored",
        "# trainlint: ignore[TL301]",
        "# trainlint: ignore-next",
        "# flake8: noqa: E501",
        "# no qa",
    ],
)
def test_a_comment_that_does_not_hide_it(comment: str) -> None:
    assert not hidden(f"loss = f(x)  {comment}\n")


@pytest.mark.parametrize(
    "comment",
    [
        "# trainlint: ignore-file",
        "# trainlint: ignore-file[TL101]",
        "# trainlint: ignore-file[TL3, TL101] as in the paper",
        "# flake8: noqa",
        "# flake8: noqa: TL101",
        "# FLAKE8=NOQA",
    ],
)
def test_a_comment_for_the_whole_file(comment: str) -> None:
    assert hidden(f"loss = f(x)\n\n{comment}\n")


@pytest.mark.parametrize(
    "text",
    [
        'x = "# noqa"',
        "x = '# noqa'",
        'x = """\n# noqa\n"""',
        "x = '''it's\n# noqa\n'''",
        'x = "\\"# noqa"',
        'x = f"{y}# noqa"',
        'x = "a" "# noqa"',
        'x = "\\\n# noqa"',
    ],
)
def test_a_string_is_no_comment(text: str) -> None:
    assert directives(text) == []


@pytest.mark.parametrize("text", ["x = '#' + \"#\"  # noqa", "x = '''\n'''  # noqa", '""  # noqa'])
def test_a_comment_after_a_string(text: str) -> None:
    assert len(directives(text)) == 1


def test_a_comment_counts_on_every_line_of_its_statement() -> None:
    text = dedent("""\
        loss = f(
            x,  # noqa: TL101
            y,
        )  # trainlint: ignore[TL301]
    """)
    assert hidden(text, finding("TL101", line=3, statement_lines=(1, 4)))
    assert hidden(text, finding("TL301", line=1, statement_lines=(1, 4)))
    assert not hidden(text, finding("TL101", line=5, statement_lines=(5, 5)))


def test_a_comment_on_its_own_line_counts_for_the_statement_below() -> None:
    text = dedent("""\
        # trainlint: ignore[TL101] as in the paper
        # which is a long one

        loss = f(x)
        loss = g(x)
    """)
    assert hidden(text, finding(line=4))
    assert not hidden(text, finding(line=5))
    assert not hidden(text.replace("trainlint: ignore[TL101]", "noqa"), finding(line=4))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_python_does(newline: str) -> None:
    text = newline.join(["x = '\x0c \x1c \u2028'", "\x0cy = 1", "loss = f(x)  # noqa", ""])
    assert hidden(text, finding(line=3))
    assert directives(text)[0].span.column == 14


def test_our_own_failure_cannot_be_hidden() -> None:
    assert not hidden("x  # noqa\n# trainlint: ignore-file", finding("TL002"))


def test_a_comment_that_hides_something_is_not_complained_about() -> None:
    for comment in ("# noqa: TL101", "# trainlint: ignore", "# trainlint: ignore-file[TL1]", "# flake8: noqa: TL101"):
        assert complaints(f"loss = f(x)  {comment}", finding()) == []


def test_two_comments_that_hide_the_same_are_both_of_use() -> None:
    assert complaints("x  # noqa: TL101\n# trainlint: ignore-file[TL101]", finding()) == []


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# noqa: TL101", "1:4: unused suppression: TL101 is not reported here"),
        ("# noqa: E501,TL101", "1:4: unused suppression: TL101 is not reported here"),
        ("# trainlint: ignore", "1:4: unused suppression: nothing is reported here"),
        ("# trainlint: ignore[TL1]", "1:4: unused suppression: TL1 is not reported here"),
        ("# trainlint: ignore-file", "1:4: unused suppression: nothing is reported in this file"),
        ("# flake8: noqa: TL101", "1:4: unused suppression: TL101 is not reported in this file"),
        ("# type: x # noqa: TL101", "1:14: unused suppression: TL101 is not reported here"),
        ("# trainlint: ignore[TL3011]", "1:4: unknown rule `TL3011`; did you mean `TL301`? (in a suppression comment)"),
        ("# noqa: TL3011", "1:4: unknown rule `TL3011`; did you mean `TL301`? (in a suppression comment)"),
        (
            "# trainlint: ignore[E501]",
            "1:4: unknown rule `E501`; `trainlint rules` lists all (in a suppression comment)",
        ),
    ],
)
def test_a_comment_that_hides_nothing(comment: str, message: str) -> None:
    assert complaints(f"x  {comment}") == [message]


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: E501",
        "# noqa: reason",
        "# flake8: noqa",
        "# trainlint: ignore[TR201, TC101]",
    ],
)
def test_a_comment_for_others_is_not_ours_to_judge(comment: str) -> None:
    assert complaints(f"x  {comment}") == []


def test_only_the_part_that_hides_nothing_is_named() -> None:
    assert complaints("x  # trainlint: ignore[TL101, TL301]", finding()) == [
        "1:4: unused suppression: TL301 is not reported here"
    ]


def test_what_did_not_run_is_not_judged() -> None:
    only_modes = frozenset({"TL001", "TL002", "TL301"})
    assert complaints("x  # noqa: TL101", enabled=only_modes) == []
    assert complaints("x  # trainlint: ignore", enabled=only_modes) == []
    assert complaints("x  # trainlint: ignore[TL1]", enabled=only_modes) == []
    # Rules that are off unless selected.
    assert complaints("x  # noqa: TL118") == []
    assert complaints("x  # noqa: TL118", enabled=DEFAULT | {"TL118"}) != []


def test_only_a_comment_that_says_so_hides_a_complaint() -> None:
    assert complaints("x  # noqa: TL101, TL001") == []
    assert complaints("x  # trainlint: ignore[TL101, unused-suppression]") == []
    assert complaints("x  # noqa: TL101\n# trainlint: ignore-file[TL001]") == []
    assert complaints("x  # noqa: TL101  # trainlint: ignore[TL0]") != []
    assert complaints("x  # trainlint: ignore[TL001]") == []


def test_long_strings_take_linear_time() -> None:
    docstring = '"""' + "text \\n 'quoted' \" # noqa\n" * 40_000 + '"""'
    assert directives(docstring + "\nx = 1  # noqa") == directives("\n" * 40_001 + "x = 1  # noqa")
    assert len(directives('"""' * 20_000 + "# noqa")) == 1
