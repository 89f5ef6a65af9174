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
from trainlint.engine import MAX_ROUNDS, Fixed, fix
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
        monkeypatch.setattr(read, lambda files, texts, *args, **options: find(texts.get(str(path), text)))
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
    texts = []

    def find(text: str) -> list[Finding]:
        texts.append(text)
        return [there] if "x =" in text else [back]

    outcome = rounds("import torch\nx = 1\n", find)
    assert len(texts) == MAX_ROUNDS + 1
    assert [left.code for left in outcome.result.findings] == ["TL101"]


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


# --- What rules write -------------------------------------------------------------------------------------------------

STEP = """\
import torch
import torch.nn as nn


def train(loader):
    model = nn.Linear(4, 3)
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cuda")
    for i, (x, y) in enumerate(loader):
        loss = nn.functional.cross_entropy(model(x), y)
        {}
"""

CLASS = """\
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {}

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x
"""

EXP = """\
import torch
import torch.nn as nn

net = nn.Linear(8, 3)


def run(x):
    scores = net(x)
    {}
"""


def mended(template: str, body: str, code: str, folder: Path) -> str:
    """What all fixes of one rule make of some lines, which stand at the mark in a template."""
    indent = next(line for line in template.splitlines() if line.endswith("{}"))[:-2]
    head, tail = template.split("{}")
    path = folder / "a.py"
    path.write_text(head + textwrap.indent(body, indent)[len(indent) :] + tail)
    settings = Settings(root=folder, select=(code,))
    outcome = fix([Target(path, "a.py", settings)], unsafe=True)
    _, new = outcome.changes.get("a.py", ("", path.read_text()))
    assert outcome.changes or any(found.code == code for found in outcome.result.findings)
    assert new.startswith(head)
    assert new.endswith(tail)
    return textwrap.dedent(indent + new[len(head) : len(new) - len(tail)])


CLIP = "nn.utils.clip_grad_norm_(model.parameters(), 1.0)"


@pytest.mark.parametrize(
    ("code", "template", "before", "after"),
    [
        (
            "TL207",
            STEP,
            f"{CLIP}  # why\noptimizer.zero_grad()\nloss.backward()\noptimizer.step()",
            f"optimizer.zero_grad()\nloss.backward()\n{CLIP}  # why\noptimizer.step()",
        ),
        (
            "TL207",
            STEP,
            f"optimizer.zero_grad()\nloss.backward()\noptimizer.step()\n{CLIP}",
            f"optimizer.zero_grad()\nloss.backward()\n{CLIP}\noptimizer.step()",
        ),
        (
            "TL207",
            STEP,
            (
                f"optimizer.zero_grad()\nscaler.scale(loss).backward()\nif True:\n    {CLIP}\n"
                "scaler.step(optimizer)\nscaler.update()"
            ),
            (
                "optimizer.zero_grad()\nscaler.scale(loss).backward()\nif True:\n    scaler.unscale_(optimizer)\n"
                f"    {CLIP}\nscaler.step(optimizer)\nscaler.update()"
            ),
        ),
        (
            "TL208",
            STEP,
            (
                "scaler.scale(loss).backward()\nif i % 4 == 3:\n    scaler.step(optimizer)\n    scaler.update()\n"
                "    optimizer.zero_grad()"
            ),
            (
                "scaler.scale(loss / 4).backward()\nif i % 4 == 3:\n    scaler.step(optimizer)\n    scaler.update()\n"
                "    optimizer.zero_grad()"
            ),
        ),
        (
            "TL601",
            CLASS,
            "self.layers = []\nfor _ in range(3):\n    self.layers.append(nn.Linear(4, 4))",
            "self.layers = nn.ModuleList()\nfor _ in range(3):\n    self.layers.append(nn.Linear(4, 4))",
        ),
        (
            "TL601",
            CLASS,
            "self.layers = nn.Linear(4, 4), nn.Linear(4, 4)",
            "self.layers = nn.ModuleList((nn.Linear(4, 4), nn.Linear(4, 4)))",
        ),
        (
            "TL505",
            EXP,
            "return torch.exp(scores) / torch.sum(torch.exp(scores), -1, keepdim=True)",
            "return torch.softmax(scores, dim=-1)",
        ),
        (
            "TL505",
            EXP,
            "e = (scores / 2).exp()\nreturn e / e.sum(1, keepdim=True)",
            "return torch.softmax((scores / 2), dim=1)",
        ),
        (
            "TL505",
            EXP,
            "return torch.exp(scores).sum(dim=1, keepdim=True).log()",
            "return torch.logsumexp(scores, dim=1, keepdim=True)",
        ),
        ("TL616", EXP, "net.requires_grad = not x.any()", "net.requires_grad_(not x.any())"),
    ],
)
def test_what_rules_write(code: str, template: str, before: str, after: str, tmp_path: Path) -> None:
    assert mended(template, before, code, tmp_path) == after


@pytest.mark.parametrize(
    ("code", "template", "text"),
    [
        # The order of other statements is not known to be right.
        ("TL207", STEP, f"if i:\n    {CLIP}\noptimizer.zero_grad()\nloss.backward()\noptimizer.step()"),
        # A ModuleList cannot be sorted, nor hold a list.
        ("TL601", CLASS, "self.layers = [nn.Linear(4, 4) for _ in range(3)]\nself.layers.sort(key=id)"),
        ("TL601", CLASS, "self.layers = [[nn.Linear(4, 4)], [nn.Linear(4, 4)]]"),
        # A name that a ModuleDict has itself.
        ("TL601", CLASS, 'self.layers = {"type": nn.Linear(4, 4), "b": nn.Linear(4, 4)}'),
        # The exponentials are used once more, or all of them are summed.
        ("TL505", EXP, "e = scores.exp()\nreturn e / e.sum(1, keepdim=True), e"),
        ("TL505", EXP, "return torch.log(scores.exp().sum())"),
    ],
)
def test_no_fix_where_it_may_be_wrong(code: str, template: str, text: str, tmp_path: Path) -> None:
    assert mended(template, text, code, tmp_path) == text
