"""Notebooks are read as one text, whatever their format, and what is found in it is a place in a cell."""

from __future__ import annotations

import json
import re

import libcst as cst
import nbformat
import pytest
from syntax.samples import parse

from trainlint.findings import Span
from trainlint.syntax import Notebook, SourceFile, Unreadable


def notebook(*sources: object, **content: object) -> str:
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells, **content})


def read(raw: str) -> SourceFile:
    return parse(raw, "book.ipynb")


def text(*sources: str) -> str:
    loaded = read(notebook(*sources))
    assert loaded.notebook is not None
    return loaded.text


def test_a_notebook_as_jupyter_writes_it():
    book = nbformat.v4.new_notebook()
    book.cells = [
        nbformat.v4.new_markdown_cell("# Title"),
        nbformat.v4.new_code_cell("import torch\n\nx = 1"),
        nbformat.v4.new_code_cell(""),
        nbformat.v4.new_raw_cell("raw"),
        nbformat.v4.new_code_cell("%matplotlib inline\ny = 2\n"),
        nbformat.v4.new_code_cell("z = (3,\n     4)\n\n"),
    ]
    loaded = read(nbformat.writes(book))
    assert loaded.is_notebook
    assert loaded.text == "import torch\n\nx = 1\npass\ny = 2\nz = (3,\n     4)\n\n"
    statements = [node for node in loaded.tree.body if not isinstance(node.body[0], cst.Pass)]
    assert [loaded.place(node) for node in statements] == [
        (1, Span(1, 1, 1, 13)),
        (1, Span(3, 1, 3, 6)),
        (3, Span(2, 1, 2, 6)),
        (4, Span(1, 1, 2, 8)),
    ]
    assert loaded.statement_lines(statements[-1]) == (6, 7)
    # And back.
    assert loaded.notebook.line(1, 3) == 3
    assert loaded.notebook.line(2, 1) is None
    assert loaded.notebook.line(3, 2) == 5
    assert loaded.notebook.line(9, 1) is None


@pytest.mark.parametrize("version", [3, 4])
def test_formats(version):
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_markdown_cell("# x"), nbformat.v4.new_code_cell("x = 1\ny = 2")]
    raw = nbformat.writes(nbformat.convert(book, version), version=version)
    assert ("worksheets" in raw) == (version == 3)
    assert read(raw).text == "x = 1\ny = 2\n"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", ""),
        ("  \n", ""),
        (notebook(), ""),
        ('{"nbformat": 4}', ""),
        (notebook(["x = 1\n", "y = 2"]), "x = 1\ny = 2\n"),
        (notebook([]), ""),
        (notebook("x = 1\r\ny = 2"), "x = 1\r\ny = 2\n"),
        (notebook("x = 1\ry = 2\r", "z"), "x = 1\ry = 2\rz\n"),
        (notebook("x = '\x0c\u2028\x1c'", "y"), "x = '\x0c\u2028\x1c'\ny\n"),
        (notebook("x", metadata={"kernelspec": {"language": "R"}}), ""),
        (notebook("x", metadata={"language_info": {"name": "julia"}}), ""),
        (notebook("x", metadata={"language_info": {"name": "python"}}), "x\n"),
        (notebook("x", metadata={"kernelspec": {"language": "Python"}}), "x\n"),
        (notebook("x", metadata={"kernelspec": None, "language_info": []}), "x\n"),
        (notebook("x", metadata=None), "x\n"),
        ('{"cells": [{"cell_type": "code"}, {"cell_type": "markdown", "source": 1}, {}]}', ""),
        ('{"cells": [{"cell_type": "code", "source": "x", "metadata": {"vscode": {"languageId": "sql"}}}]}', ""),
        ('{"worksheets": [{"cells": [{"cell_type": "code", "language": "python", "input": ["x"]}]}, {}]}', "x\n"),
        ('{"worksheets": [{"cells": [{"cell_type": "code", "language": "ruby", "input": "x"}]}]}', ""),
        ('\ufeff{"cells": [{"cell_type": "code", "source": "x"}]}', "x\n"),
    ],
)
def test_shapes(raw, code):
    assert read(raw).text == code


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ('{"cells": [}', "not JSON: Expecting value"),
        ("x = 1\n", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not an object with cells"),
        ("null", "not an object with cells"),
        ("{}", "has no cells"),
        ('{"cells": null}', "cells are not a list"),
        ('{"cells": [1]}', "cell of the notebook is not an object"),
        ('{"worksheets": [1]}', "cells are not a list"),
        (notebook(1), "source of a code cell is not text"),
        (notebook(["x", 1]), "source of a code cell is not text"),
        (notebook({}), "source of a code cell is not text"),
    ],
)
def test_broken_notebooks(raw, message):
    with pytest.raises(Unreadable, match=re.escape(message)):
        read(raw)


@pytest.mark.parametrize(
    ("sources", "message", "cell", "place"),
    [
        (["x", "", "y\nz 1\n", "w"], "invalid syntax", 3, (2, 3)),
        (["%%bash\nls", "    x = $"], "'$' is not a valid character", 2, (1, 5)),
        (["x", "y = (", ""], "invalid syntax", 2, (1, 6)),
        (["x", "'\ud800'"], "a surrogate is not a character", 2, (1, 2)),
        (["x", "y\0"], "not a valid character", 2, (1, 1)),
        (["x\n", "y = " + "(" * 200], "nested more than 100 deep", 2, (1, 105)),
        (["x", 1], "not text", 2, (1, 1)),
    ],
)
def test_errors_are_placed_in_their_cell(sources, message, cell, place):
    try:
        (problem,) = read(notebook(*sources)).problems
    except Unreadable as raised:
        problem = raised
    assert message in problem.message
    assert problem.cell == cell
    assert (problem.span.line, problem.span.column) == place


def test_a_broken_cell_does_not_hide_the_others():
    source = read(notebook("x = 1\nprint(x)", "print 'two'\n# more", "y = 2", "z = (", "w = 3"))
    assert [(p.cell, p.span.line) for p in source.problems] == [(2, 1), (4, 1)]
    last = source.tree.body[-1]
    assert source.place(last)[0] == 5
    assert len(source.tree.body) == 4


@pytest.mark.parametrize(
    ("source", "code"),
    [
        # Line magics and shell commands, alone, in blocks, and over several lines.
        ("%matplotlib inline\nx", "pass\nx\n"),
        ("if x:\n    !pip install y\n    %cd z", "if x:\n    pass\n    pass\n"),
        ("!!ls\n!echo \"it's (\nx", "pass\npass\nx\n"),
        ("!pip install \\\n  a \\\n  b\nx", "pass\n\n\nx\n"),
        ("%load_ext \\", "pass\n"),
        # Assigned.
        ("x = !ls *.py\nx", "x = get_ipython()\nx\n"),
        ("a, b.c =  %env X \\\n\ny", "a, b.c =  get_ipython()\n\ny\n"),
        # Help.
        ("?x\nx?\nx.y??\n%time?\n??x\nx*?", "pass\npass\npass\npass\npass\npass\n"),
        # Timed statements run, at their columns.
        ("%time x = f(\n  1)\ny", "if 1: x = f(\n  1)\ny\n"),
        ("for i in j:\n  %timeit -n 10 -q f(i)\n", "for i in j:\n  if 1:            f(i)\n"),
        ("%time\n%time for i in j: f(i)\n%time # x", "pass\npass\npass\n"),
        # Magics without a sign, and what looks like them.
        ("ls /content/logs/\ncd /content/drive\nls /n", "pass\npass\nls /n\n"),
        ("pip install torch\ncd ..\nls in x\nls = 1\ncat\ngit(x)", "pass\npass\nls in x\nls = 1\ncat\ngit(x)\n"),
        ("rm -r $folder\ncp -r a b\nls -n - x", "pass\npass\nls -n - x\n"),
        # Cell magics: those that run the cell as it stands, and all others.
        ("plot(\n  x\n)\n;", "plot(\n  x\n)\npass\n"),
        (";print a b\n,print a b\n/print a\nf(a\n, b)", "pass\npass\npass\nf(a\n, b)\n"),
        ("%%time\nx", "\nx\n"),
        ("\n\n%%capture out\n%%time\n!ls\nx", "\n\n\n\npass\nx\n"),
        ("%%bash\nls (", ""),
        ("  \n %%writefile x.py\nx", ""),
        ("x\n%%bash", "x\npass\n"),
        # Not at the start of a statement.
        ("x = '''\n%a\n!b\nc?\n'''", "x = '''\n%a\n!b\nc?\n'''\n"),
        ("x = (1\n%2)", "x = (1\n%2)\n"),
        ("x = 1 \\\n%2", "x = 1 \\\n%2\n"),
        ("# what?\nx  # why?\n# %a\ny = '?'", "# what?\nx  # why?\n# %a\ny = '?'\n"),
        ('x = f(\n  \'(\', """)""",\n)\n%a', 'x = f(\n  \'(\', """)""",\n)\npass\n'),
        ("x != y\nx = y % z\nx %= y\nx == y", "x != y\nx = y % z\nx %= y\nx == y\n"),
        # Top-level await is fine in a cell.
        ("await x\nasync with y: pass", "await x\nasync with y: pass\n"),
        # Carriage returns.
        ("%a\r\nx\r\n!b\ry", "pass\r\nx\r\npass\ry\n"),
    ],
)
def test_what_is_not_python_is_taken_out_line_by_line(source, code):
    assert text(source) == code
    if code:
        assert len(re.findall("\r\n?|\n", code)) == len(re.findall("\r\n?|\n", source.rstrip("\r\n"))) + 1


def test_a_cell_indented_as_a_whole():
    loaded = read(notebook("x = 1", "\n    if x:\n        y = 2\n\n    z = 3"))
    assert loaded.text == "x = 1\n\nif x:\n    y = 2\n\nz = 3\n"
    assert loaded.place(loaded.tree.body[-1]) == (2, Span(5, 5, 5, 10))
    assert loaded.place(loaded.tree.body[1].body.body[0]) == (2, Span(3, 9, 3, 14))


def test_a_statement_that_runs_into_the_next_cell_begins_in_its_own():
    loaded = read(notebook("x = (1,", "2)\ny"))
    cell, place = loaded.place(loaded.tree.body[0])
    assert (cell, place.line, place.column) == (1, 1, 1)
    assert loaded.place(loaded.tree.body[1]) == (2, Span(2, 1, 2, 2))


def test_an_empty_notebook_has_no_cell_to_point_at():
    assert Notebook([]).place(Span(1, 1, 1, 1)) == (None, Span(1, 1, 1, 1))
    assert Notebook(["", "%%bash"]).place(Span(1, 1, 1, 1)) == (None, Span(1, 1, 1, 1))
