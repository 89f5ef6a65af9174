"""Whatever is fed in gives a tree, or says where and why not."""

from __future__ import annotations

import gc
import os
import re
import threading
from pathlib import Path

import libcst as cst
import pytest
from syntax.samples import parse

from trainlint.findings import Span
from trainlint.syntax import Unreadable, decode, load, read_text, source


def refused(text: str, filename: str = "file.py") -> Unreadable:
    """What is wrong with a text, whether or not the rest of it could be read."""
    try:
        (problem,) = parse(text, filename).problems
    except Unreadable as error:
        return error
    return problem


def refused_file(path: Path) -> str:
    with pytest.raises(Unreadable) as caught:
        load(path, "given.py")
    return caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "   ",
        "#",
        "x = 1",
        "x = 1\r\ny = 2\r\n",
        "x = 1\ry = 2\r",
        "\x0cx = 1\n\x0c\n",
        "if x:\n\ty\n",
        "x = '\x0b\x1c\x85\u2028'\n",
        "await x\n",
        "print >>file, 1\n",
        "match = case = type = lazy = 1\n",
    ],
)
def test_unusual_but_right(text):
    loaded = parse(text)
    assert loaded.notebook is None
    assert isinstance(loaded.tree, cst.Module)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("x = (1\n", "invalid syntax", (1, 7)),
        ("x = 1 +\n", "invalid syntax", (1, 8)),
        ("x = 1\n\n\nx = 1 +\n", "invalid syntax", (4, 8)),
        ("if x:\npass\n", "invalid syntax", (2, 1)),
        ("a = b ccc\n", "invalid syntax", (1, 7)),
        ("é = b 'c'\n", "invalid syntax", (1, 7)),
        ("x = 1\r\na b\r\n", "invalid syntax", (2, 3)),
        ("x = 1\ra b\r", "invalid syntax", (2, 3)),
        ("class A:\n  def f(self):\n    return 1\n   x\n", "no matching outer block", (4, 4)),
        ("if x:\n\ty\n        z\n", "inconsistent mixing of tabs and spaces", (3, 9)),
        ("x = 1\n\ny = 'abc\nz = 'd'\n", "unterminated string literal", (3, 1)),
        ('"""a\nb"""\nx = """\ny\n', "unterminated triple-quoted string", (3, 1)),
        ('"""a\nb"""\n' * 9 + "x = $\n", "'$' is not a valid character", (19, 1)),
        ("x = 1\n  \x1a\n", "is not a valid character", (2, 3)),
        ("x = 1\u2028y\n", "is not a valid identifier", (1, 1)),
        ("'a' b'b'\n", "Cannot concatenate string and bytes", (1, 1)),
        ("x = 1\n'\ud800'\n", "a surrogate is not a character", (2, 2)),
        ("x = 1\ny\0\n", "NUL byte", (2, 2)),
        ("print 'a'\n", "looks like Python 2", (1, 7)),
        ("if x:\n    print x, y\n", "looks like Python 2", (2, 11)),
        ("try: pass\nexcept A as e, B: pass\n", "invalid syntax", (2, 14)),
        ("x = `y`\n", "looks like Python 2", (1, 1)),
        ("os.chmod(x, 0755)\n", "looks like Python 2", (1, 1)),
        ("raise ValueError, 'text'\n", "looks like Python 2", (1, 17)),
        ("x = 'a <> b' + 1 2\n", "invalid syntax", (1, 18)),
    ],
)
def test_what_is_wrong_and_where(text, message, place):
    error = refused(text)
    assert message in error.message
    assert (error.span.line, error.span.column) == place
    assert error.span.end_column >= error.span.column
    assert error.cell is None
    assert str(error) == error.message
    assert "expected one of" not in error.message


def test_tabs_among_spaces_that_python_reads():
    loaded = parse("if x:\n    for y in z:\n\t    a = 1\n\t    b = 2\n\n    c = 'a\tb'\n")
    assert not loaded.problems
    body = loaded.tree.body[0].body.body
    assert len(body) == 2
    assert loaded.span(body[0].body.body[1]) == Span(4, 6, 4, 11)
    assert loaded.span(body[1]) == Span(6, 5, 6, 14)


def test_python_2_is_only_said_of_the_line_that_is_wrong():
    assert refused("x = 1 <> 2\n").message == "invalid syntax (this looks like Python 2)"
    assert refused("# print 'a'\nx = 1 2\n").message == "invalid syntax"


OLDER = """import time
for i in range(3):
    try:
        print "epoch", i
        y = x.cuda(async=True)
    except IOError, error:
        raise ValueError, "no %s" % error
"""


def test_lines_that_only_python_2_reads_do_not_hide_the_others():
    loaded = parse(OLDER)
    assert [(problem.span.line, problem.message) for problem in loaded.problems] == [
        (4, "invalid syntax (this looks like Python 2)")
    ]
    assert [len(line) for line in loaded.text.splitlines()] == [len(line) for line in OLDER.splitlines()]
    assert "y = x.cuda(Async=True)" in loaded.text
    assert not parse(loaded.text).problems


def test_a_line_that_nobody_can_read_does_not_hide_the_others():
    loaded = parse("x = 1\n!pip install torch\nThe loss is shown below\ny = 2\n")
    assert [problem.span.line for problem in loaded.problems] == [2]
    assert loaded.text.split() == ["x", "=", "1", "pass", "pass", "y", "=", "2"]


@pytest.mark.parametrize(
    "text",
    [
        "some words\n" * 9,
        "x = (1\ny = 2\n",
        "def f(x):\nreturn x\n",
        'x = """a\nb\n',
        "if x y:\n    z\n",
        "x = 1 + \\\n  y z\n",
    ],
)
def test_more_than_some_lines_is_too_much(text):
    with pytest.raises(Unreadable):
        parse(text)


# --- Files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"", "", "utf-8"),
        ("é = 1\r\n".encode(), "é = 1\r\n", "utf-8"),
        ("é = 1\n".encode("utf-8-sig"), "é = 1\n", "utf-8-sig"),
        (b"\xef\xbb\xbf# coding: utf-8\n", "# coding: utf-8\n", "utf-8-sig"),
        ("# -*- coding: latin-1 -*-\né = 1\n".encode("latin-1"), "# -*- coding: latin-1 -*-\né = 1\n", "iso8859-1"),
        (b"#!/bin/python\n# vim: set fileencoding=cp1252 :\nx = '\x80'\n", None, "cp1252"),
        (b"# coding: UTF_8-unix\nx = 1\n", None, "utf-8"),
        (b"# coding: utf-8-sig\nx = 1\n", None, "utf-8"),
        ("# coding: shift_jis\nx = 'あ'\n".encode("shift_jis"), "# coding: shift_jis\nx = 'あ'\n", "shift_jis"),
        # No coding comments: behind code, and on the third line.
        (b"x = 1\n# coding: latin-1\n", None, "utf-8"),
        (b"\n\n# coding: latin-1\n", None, "utf-8"),
        (b"encoding = 1\n", None, "utf-8"),
    ],
)
def test_decoding(data, text, encoding):
    decoded, name = decode(data)
    assert name == encoding
    assert text is None or decoded == text
    assert decoded.encode(name) == data


@pytest.mark.parametrize(
    ("data", "message", "line"),
    [
        (b"x = 1\ny = '\xe9'\n", "the file is not UTF-8: byte 0xe9 cannot be decoded", 2),
        (b"\xef\xbb\xbfx = '\xe9'\n", "the file is not UTF-8: byte 0xe9", 1),
        (b"# coding: ascii\n\ny = '\xe9'\n", "the file is not ASCII: byte 0xe9", 3),
        (b"# coding: nonsense\n", "unknown encoding: nonsense", 1),
        (b"#\n# coding: rot13\n", "unknown encoding: rot13", 2),
        (b"# coding: hex\n", "unknown encoding: hex", 1),
        (b"# coding: utf-16\n", "unknown encoding: utf-16", 1),
        (b"# coding: undefined\n", "unknown encoding: undefined", 1),
        (b"\xef\xbb\xbf# coding: latin-1\n", "UTF-8 byte order mark but declares to be iso8859-1", 1),
        ("x = 1\n".encode("utf-16"), "the file is UTF-16", 1),
        (b"\x80\x04\x95", "the file is not UTF-8", 1),
    ],
)
def test_lying_encodings(data, message, line):
    with pytest.raises(Unreadable, match=re.escape(message)) as caught:
        decode(data)
    assert caught.value.span.line == line


def test_reading_files(tmp_path):
    path = tmp_path / "file.py"
    path.write_bytes(b"\xef\xbb\xbfx = 1\r\n")
    assert read_text(path) == "x = 1\r\n"
    loaded = load(path, "./file.py")
    assert (loaded.path, loaded.filename, loaded.text) == (path, "./file.py", "x = 1\r\n")
    assert repr(loaded) == "SourceFile('./file.py')"
    # A text that is given stands for the file; one from a pipe may have a mark of its own.
    given = load(path, "file.py", "\ufeffy = 2\n")
    assert given.text == "y = 2\n"
    assert given.span(given.tree.body[0]) == Span(1, 1, 1, 6)


def test_things_that_are_no_files(tmp_path):
    folder = tmp_path / "x.py"
    folder.mkdir()
    assert refused_file(folder) == "this is a directory"
    loop = tmp_path / "loop.py"
    loop.symlink_to(loop)
    assert "cannot be read" in refused_file(loop)
    assert "No such file" in refused_file(tmp_path / "missing.py")
    assert "cannot be read" in refused_file(tmp_path / "nul\0.py")
    assert "cannot be read" in refused_file(tmp_path / ("long" * 100 + ".py"))


def test_a_device_or_pipe_is_not_waited_for():
    assert refused_file(Path(os.devnull)) == "this is not a regular file"


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "file.py"
    path.touch()

    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Not by `chmod`: tests may run as root.
    monkeypatch.setattr("builtins.open", refuse)
    assert refused_file(path) == "the file cannot be read: Permission denied"


def test_large_files(tmp_path, monkeypatch):
    path = tmp_path / "file.py"
    path.write_text(f'"""{"text " * 1_000_000}"""\nx = 1\n')
    assert len(load(path, "file.py").tree.body) == 2
    error = refused("x = [" + "1, " * 600_000 + "]\n")
    assert error.message == "the file is too large: it has more than 1,000,000 tokens"
    monkeypatch.setattr(source, "MAX_BYTES", 5_000_000)
    assert refused_file(path) == "the file is larger than 5 MB"


# --- The parser -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x = 1\n", "x = (\n"])
def test_the_collector_rests_while_parsing_and_is_then_as_before(monkeypatch, text):
    seen = []
    parse_module = cst.parse_module

    def spy(text: str) -> cst.Module:
        seen.append(gc.isenabled())
        return parse_module(text)

    monkeypatch.setattr(cst, "parse_module", spy)
    was_enabled = gc.isenabled()
    try:
        for enabled in (True, False):
            gc.enable() if enabled else gc.disable()
            try:
                parse(text)
            except Unreadable:
                assert "(" in text
            assert gc.isenabled() is enabled
    finally:
        gc.enable() if was_enabled else gc.disable()
    assert seen == [False, False]


class Panic(BaseException):
    """What a panic of native code raises is no `Exception`."""


@pytest.mark.parametrize("error", [Panic("boom"), RecursionError("too deep"), ValueError("what")])
def test_failures_of_the_parser_are_reported(monkeypatch, error):
    def fail(text: str) -> None:
        raise error

    monkeypatch.setattr(cst, "parse_module", fail)
    message = refused("x\n").message
    assert message.startswith("libcst cannot parse this: ")
    assert message.endswith(str(error))


def test_an_interrupt_is_not_taken_for_a_failure(monkeypatch):
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cst, "parse_module", interrupt)
    with pytest.raises(KeyboardInterrupt):
        parse("x\n")


def test_files_can_be_loaded_in_threads():
    results: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(len(parse("x = 1\n" * 100 + "y = " + "-" * 300 + "1").tree.body))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [101] * 4


# --- Statements -------------------------------------------------------------------------------------------------------

STATEMENTS = '''\
x = f(
    target,
)  # comment
@decorate(
    target
)
def f(a=(
    target
), b=1) -> (
    target):  # comment
    """Doc."""
    return [
        target
    ]
if (target and
        b): c = 1; d = (1,
    target)
elif (
    target
):
    pass
else: target
for i in target: pass
with a as b, \\
        target:
    # comment

    pass
try:
    pass
except (
    target
):
    pass
match (
    target
):
    # comment
    case 1 if (
        target
    ):
        pass
class A(target,
        B): x = """
target"""; target
lambda: (
    target
)
while \\
    target: pass'''


def test_lines_of_statements():
    loaded = parse(STATEMENTS)
    targets = [
        node
        for node in loaded.index.parents.values()
        for node in node.children
        if isinstance(node, cst.Name) and node.value == "target"
    ]
    unique = {loaded.span(node): loaded.statement_lines(node) for node in targets}
    assert {place.line: lines for place, lines in sorted(unique.items())} == {
        2: (1, 3),
        5: (4, 6),
        8: (7, 10),
        10: (7, 10),
        13: (12, 14),
        15: (15, 16),
        17: (16, 17),
        19: (18, 20),
        22: (22, 22),
        23: (23, 23),
        25: (24, 25),
        32: (31, 33),
        36: (35, 36),
        40: (39, 41),
        43: (43, 44),
        45: (45, 45),
        47: (46, 48),
        50: (49, 50),
    }


def test_places_in_a_file_are_its_spans():
    loaded = parse("x = 1\n")
    assert loaded.place(loaded.tree.body[0]) == (None, Span(1, 1, 1, 6))
    assert loaded.map_span(Span(1, 2, 3, 4)) == (None, Span(1, 2, 3, 4))
    assert not loaded.is_notebook


def test_what_is_no_python_in_a_script_of_cells_hides_nothing_else(tmp_path):
    script = tmp_path / "script.py"
    lines = [
        "# %% set up",
        "pip install rich",
        "if True:",
        "    !ls \\",
        "      -l",
        "# %% broken",
        "x = = 1",
        "    '''text",
        "    '''",
        "# %%",
        "total = 1",
    ]
    text = "\n".join(lines)
    script.write_text(text)
    source = load(script, "script.py")
    assert [str(problem) for problem in source.problems] == ["invalid syntax"]
    assert source.problems[0].span.line == 7
    assert [len(line) for line in source.text.split("\n")] == [len(line) for line in lines]
    assert source.text.endswith("# %%\ntotal = 1")
    names = [line.strip() for line in source.text.split("\n") if line.strip()[:1] not in "#0"]
    assert names == ["if True:", "total = 1"]


@pytest.mark.parametrize("text", ["!ls\ntotal = 1\n", "# %%\ndef f():\n    '''\n# %%\nx = 1\n"])
def test_what_no_cells_explain_is_no_python(text, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(text)
    if text.startswith("!"):
        with pytest.raises(Unreadable):
            load(script, "script.py")
    else:
        assert [problem.span.line for problem in load(script, "script.py").problems] == [3]
