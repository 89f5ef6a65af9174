"""How fixes are applied: what goes together, what is taken back, and what an editor makes of changes to a tree."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import libcst as cst
import pytest

from trainlint import edits
from trainlint.config import Settings
from trainlint.discovery import Target
from trainlint.edits import CodeEdit
from trainlint.engine import Fixed, fix
from trainlint.findings import Edit, Finding, Fix, Safety, Severity, Span
from trainlint.fixing import applied, compatible
from trainlint.syntax import load, nodes_in
from trainlint.syntax.editing import Editor, Unfixable


def finding(code: str, line: int, *changes: tuple[int, int, int, str], filename: str = "a.py") -> Finding:
    """A finding with edits within lines: line, first column, column behind, replacement."""
    spans = [(Span(number, start, number, end), text) for number, start, end, text in changes]
    fixes = Fix("mend it", tuple(Edit(filename, span, text) for span, text in spans))
    return Finding(code, "a-rule", "a message", Severity.ERROR, filename, Span(line, 1, line, 2), fix=fixes)


def test_fixes_that_touch_wait_and_equal_edits_are_shared() -> None:
    first = finding("TL101", 1, (1, 1, 4, "x"))
    same = finding("TL102", 2, (1, 1, 4, "x"), (2, 1, 1, "y"))
    touching = finding("TL103", 3, (1, 4, 5, "z"))
    apart = finding("TL104", 4, (3, 1, 1, "w"))
    chosen = compatible([first, same, touching, apart])
    assert chosen == [first, same, apart]
    assert applied({"a.py": "abcd\ne\nf\n"}, chosen) == {"a.py": "xd\nye\nwf\n"}


Rounds = Callable[..., Fixed]


@pytest.fixture
def rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """Fixes a text with an analysis that finds what a function of the text says."""

    def run(text: str, find: Callable[[str], list[Finding]]) -> Fixed:
        path = tmp_path / "a.py"
        path.write_text(text)
        read = "trainlint.semantics.project.check_files"
        monkeypatch.setattr(read, lambda files, texts, *args, **options: find(texts.get("a.py", text)))
        return fix([Target(path, "a.py", Settings(root=tmp_path))])

    return run


def test_a_fix_that_breaks_the_syntax_is_taken_back(rounds: Rounds) -> None:
    bad = finding("TL101", 1, (1, 1, 7, "import ("))
    good = finding("TL102", 2, (2, 1, 2, "y"))
    outcome = rounds("import torch\nx = 1\n", lambda text: [bad, *([good] if "x =" in text else [])])
    assert outcome.changes == {"a.py": ("import torch\nx = 1\n", "import torch\ny = 1\n")}
    assert [found.code for found in outcome.mended] == ["TL102"]
    (told,) = [found for found in outcome.result.findings if found.code == "TL002"]
    assert told.message == "the fix of TL101 in line 1 would break the syntax, and was taken back"


def test_a_fix_in_vain_is_not_repeated(rounds: Rounds) -> None:
    outcome = rounds("import torch\n", lambda text: [finding("TL101", 1, (1, 1, 1, "x = 1; "))])
    assert outcome.changes["a.py"][1] == "x = 1; import torch\n"
    assert [found.code for found in outcome.result.findings] == ["TL101"]


def test_fixes_that_undo_each_other_come_to_an_end(rounds: Rounds) -> None:
    there = finding("TL101", 2, (2, 1, 2, "y"))
    back = finding("TL102", 2, (2, 1, 2, "x"))
    rounds("import torch\nx = 1\n", lambda text: [there] if "x =" in text else [back])


# --- Changes to a tree ------------------------------------------------------------------------------------------------


def edited(text: str, make: Callable[[cst.Call], CodeEdit]) -> str:
    """What an edit makes of a text in which `f` is called once."""
    text = textwrap.dedent(text)
    source = load(Path("a.py"), "a.py", text)
    (call,) = [
        node
        for node in nodes_in(source.tree)
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value == "f"
    ]
    editor = Editor(source)
    make(call).apply(editor)
    spans = [Edit("a.py", editor.place(change), change.text) for change in editor.changes]
    changed = Finding("TL101", "", "", Severity.ERROR, "a.py", Span(1, 1, 1, 1), fix=Fix("", tuple(spans)))
    text = applied({"a.py": text}, [changed])["a.py"]
    compile(text, "a.py", "exec")
    return text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("y = f(x, dim=1)", "y = x"),
        ("y = f(a + b, 1) * 2", "y = (a + b) * 2"),
        ("y = f(a + b)", "y = a + b"),
        ("y = f((a + b)).c", "y = (a + b).c"),
        ("y = (f(a + b)) * 2", "y = (a + b) * 2"),
        ("y = f(\n    a\n    + b,\n)", "y = (a\n    + b)"),
        ("y = g(f(a\n+ b))", "y = g(a\n+ b)"),
        ("y = g(*f(a or b))", "y = g(*(a or b))"),
        ("y = f(lambda: 0)()", "y = (lambda: 0)()"),
    ],
)
def test_unwrap(before: str, after: str) -> None:
    assert edited(before, edits.unwrap) == after


def test_replace_puts_parentheses_where_they_are_needed() -> None:
    assert edited("y = 1 / f(x)", lambda call: edits.replace(call, call, " + 1")) == "y = 1 / (f(x) + 1)"
    assert edited("y = f(a + b)", lambda call: edits.replace(call, call.args[0].value, ".c()")) == "y = (a + b).c()"
    assert edited("y = f(a + b)", lambda call: edits.replace(call, "g(", call.args[0].value, ")")) == "y = g(a + b)"


def test_a_comment_is_never_lost() -> None:
    with pytest.raises(Unfixable):
        edited("y = f(  # why\n    x)", edits.unwrap)
    assert edited("y = f(x)  # why", edits.unwrap) == "y = x  # why"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if x:\n\tf(y)  # why\n\tz = 1", "if x:\n\tg()\n\tf(y)  # why\n\th()\n\tz = 1"),
        ("# of f\nf(y)", "g()\n# of f\nf(y)\nh()"),
        ("if x: f(y)", "if x: g(); f(y); h()"),
        ("a = 1; f(y); b = 2", "a = 1; g(); f(y); h(); b = 2"),
        ("if f(x):\n    pass\nelse:\n    pass\n", "g()\nif f(x):\n    pass\nelse:\n    pass\nh()\n"),
        ("if x:\n    pass\nelif f(x):\n    pass\n", "g()\nif x:\n    pass\nelif f(x):\n    pass\nh()\n"),
        ("@f(x)\ndef k():\n    pass\n", "g()\n@f(x)\ndef k():\n    pass\nh()\n"),
        ("f(\r\n    y,\r\n)\r\n", "g()\r\nf(\r\n    y,\r\n)\r\nh()\r\n"),
    ],
)
def test_insert(before: str, after: str) -> None:
    text = edited(before, lambda call: edits.insert_before(call, "g()"))
    assert edited(text, lambda call: edits.insert_after(call, "h()")) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("f()", "f(p=1)"),
        ("f(x)", "f(x, p=1)"),
        ("f(x, )", "f(x, p=1 )"),
        ("f(p=0, q=2)", "f(p=1, q=2)"),
        ("f(\n    x,  # why\n)", "f(\n    x,  # why\n    p=1,\n)"),
        ("f(\n    x\n)", "f(\n    x, p=1\n)"),
    ],
)
def test_set_argument(before: str, after: str) -> None:
    assert edited(before, lambda call: edits.set_argument(call, "p", "1")) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\nf()\ny = 2\n", "x = 1\ny = 2\n"),
        ("if x:\n    f()  # why\n", "if x:\n    pass  # why\n"),
        ("if x: f()\n", "if x: pass\n"),
        ("x = 1; f()\n", "x = 1\n"),
        ("f(); x = 1\n", "x = 1\n"),
    ],
)
def test_delete(before: str, after: str) -> None:
    assert edited(before, edits.delete) == after


def test_wrap_leaves_strings_alone() -> None:
    before = 'for x in y:\n    f("""a\n  b""")\n\n    # why\n    z = 1\nw = 2\n'
    after = 'with g():\n    for x in y:\n        f("""a\n  b""")\n\n        # why\n        z = 1\nw = 2\n'

    def loop(call: cst.Call) -> CodeEdit:
        return edits.CodeEdit(lambda editor: editor.wrap(editor.source.tree.body[0], ("with g():",)), (call,))

    assert edited(before, loop) == after


def test_what_is_imported_is_spelled_as_the_file_does() -> None:
    def use(call: cst.Call) -> CodeEdit:
        return edits.replace(call, edits.imported("torch.nn.functional.relu"), "(x)")

    assert edited("import torch.nn.functional as F\nf(x)", use) == "import torch.nn.functional as F\nF.relu(x)"
    assert edited("from torch import nn\nf(x)", use) == "from torch import nn\nnn.functional.relu(x)"
    assert edited("import torch\nf(x)", use) == "import torch\ntorch.nn.functional.relu(x)"
    assert edited('"""Doc."""\nf(x)', use) == '"""Doc."""\nimport torch\ntorch.nn.functional.relu(x)'
    with pytest.raises(Unfixable):
        edited("torch = 1\nf(x)", use)
    with pytest.raises(Unfixable):
        edited("import torch\ndef g(torch):\n    f(x)", use)


def test_safety_is_that_of_the_rule() -> None:
    assert finding("TL101", 1, (1, 1, 1, "")).fix == Fix("mend it", (Edit("a.py", Span(1, 1, 1, 1), ""),), Safety.SAFE)
