"""Positions are those of libcst's providers, and nobody pays for positions that nobody asks for."""

from __future__ import annotations

import libcst as cst
import pytest
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider, WhitespaceInclusivePositionProvider
from syntax.samples import EVERYTHING, REAL, parse

from trainlint.findings import Span
from trainlint.syntax import SourceFile, load


def span(code_range: CodeRange) -> Span:
    start, end = code_range.start, code_range.end
    return Span(start.line, start.column + 1, end.line, end.column + 1)


def assert_same_as_libcst(source: SourceFile) -> None:
    wrapper = MetadataWrapper(source.tree, unsafe_skip_copy=True)
    exact = wrapper.resolve(PositionProvider)
    whole = wrapper.resolve(WhitespaceInclusivePositionProvider)
    assert len(exact) > 100
    lines = source.text.split("\r")
    for node, expected in exact.items():
        # libcst drops a carriage return at the end of a file, but counts it.
        if not (lines[-1] == "" and whole[node].end.line == len(lines)):
            assert source.span(node) == span(expected), type(node).__name__
            assert source.whole_span(node) == span(whole[node]), type(node).__name__


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_all_nodes_of_real_code_stand_where_libcst_says(path):
    assert_same_as_libcst(load(path, path.name))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_all_constructs_stand_where_libcst_says(newline):
    assert_same_as_libcst(parse(EVERYTHING.replace("\n", newline)))


TWICE = """\
class A:
    def f(self):
        x = 1
        return x

    def g(self):
        x = 1
        return 2


class B:
    def g(self):
        x = 1
        return 2
"""


def test_no_more_is_printed_than_tells_where_a_node_stands(monkeypatch):
    printed = []
    for kind in (cst.Module, cst.ClassDef, cst.FunctionDef, cst.SimpleStatementLine):

        def counting(self, state, print_it=kind._codegen_impl, **kwargs):
            printed.append(type(self).__name__)
            print_it(self, state, **kwargs)

        monkeypatch.setattr(kind, "_codegen_impl", counting)
    source = parse(TWICE)
    first, second = source.tree.body
    f, g = first.body.body
    assert source.span(f.body.body[1].body[0].value).line == 4
    assert printed == ["SimpleStatementLine"]
    printed.clear()
    assert source.span(f.body.body[0].body[0].value).line == 3
    assert printed == ["SimpleStatementLine", "FunctionDef", *["SimpleStatementLine"] * 2]
    assert [source.span(line).line for line in f.body.body] == [3, 4]
    assert len(printed) == 4
    printed.clear()
    assert source.statement_lines(second.body.body[0].body.body[1]) == (14, 14)
    assert "Module" not in printed
    assert source.span(second.body.body[0].name).line == 12
    assert source.span(g.name).line == 6
    assert source.span(source.tree).line == 1


def test_a_node_of_another_file_has_no_position():
    with pytest.raises(ValueError, match="Name is not a node of this file"):
        parse("x = 1\n").span(cst.Name("x"))


def names(source: SourceFile) -> dict[str, Span]:
    return {
        node.value: source.span(node)
        for node in source.index.parents.values()
        for node in (getattr(node, "target", None),)
        if isinstance(node, cst.Name)
    }


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", {}),
        ("a = 1", {"a": (1, 1)}),
        ("é = 'é'; b = 1", {"é": (1, 1), "b": (1, 10)}),
        ("'𝒳'; a = 1\n", {"a": (1, 6)}),
        ("if x:\n\ta = 1\n", {"a": (2, 2)}),
        ("x\r\na = 1\r\n", {"a": (2, 1)}),
        ("x\ra = 1\r", {"a": (2, 1)}),
        ("'''\r\n'''\r\na = 1\r", {"a": (3, 1)}),
        # These are no line ends for Python, though they are for `str.splitlines`.
        ("'\x0b\x1c\x85\u2028'\na = 1\n", {"a": (2, 1)}),
        ("#\x0c\u2029\na = 1\n", {"a": (2, 1)}),
        # A form feed at the start of a line is lost in libcst.
        ("x\n\x0ca = 1\nb = 1\n", {"a": (2, 2), "b": (3, 1)}),
        ("x\n\x0c\na = 1\n", {"a": (3, 1)}),
        ("if x:\n \x0c a = 1\n b = 1\n", {"b": (3, 2)}),
    ],
)
def test_lines_and_columns_count_as_in_python(text, places):
    source = parse(text)
    found = names(source)
    assert {name: (found[name].line, found[name].column) for name in places} == places
    for name in places:
        assert found[name].end_column - found[name].column == len(name)
