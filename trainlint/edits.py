"""The changes that a rule can offer: `report(node).fix("call it", call_it)`.

Each function makes a `CodeEdit`, which names nodes; text and positions come later, and only if the finding is shown.
Code is given in pieces: strings, nodes whose text is taken over as it stands (in parentheses where it needs them), and
`imported("torch.no_grad")` for what the file calls that, imported if need be. Lines are separated by `\\n` and indented
by four spaces a level, below the place where they go; the file's own style is put in.

`space` is the file of the nodes, where it is not the one that the finding is in.

    replace(call, "torch.log1p(", call.args[0].value, ")")
    unwrap(call)                                        # f(x, dim=1) becomes x
    insert_before(node, optimizer, ".zero_grad()")
    set_argument(call, "dim", "1")

What turns out impossible without harm (a comment would be lost, a body stands in its header's line) drops the whole
fix, and the finding is shown without one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainlint.semantics.namespace import Namespace
    from trainlint.syntax.editing import Editor, Imported

# A string, a node, or something `imported`.
Piece = Any


@dataclass(frozen=True, slots=True)
class CodeEdit:
    """One change of code: `apply` tells an editor of the file what to do."""

    apply: Callable[[Editor], None]
    space: Namespace | None = None


def imported(path: str) -> Imported:
    """What the file calls this: `torch.nn.functional.relu` may be `F.relu`. A file without it imports its package."""
    from trainlint.syntax.editing import Imported

    return Imported(path)


def replace(node: Any, *pieces: Piece, space: Namespace | None = None) -> CodeEdit:
    """Replace an expression."""
    return CodeEdit(lambda editor: editor.replace(node, pieces), space)


def unwrap(call: Any, kept: Any = None, space: Namespace | None = None) -> CodeEdit:
    """Replace a call by its first argument, or by another part of it."""
    return replace(call, call.args[0].value if kept is None else kept, space=space)


def insert_before(node: Any, *pieces: Piece, space: Namespace | None = None) -> CodeEdit:
    """Insert statements before the one that holds a node."""
    return CodeEdit(lambda editor: editor.insert_before(node, pieces), space)


def insert_after(node: Any, *pieces: Piece, space: Namespace | None = None) -> CodeEdit:
    """Insert statements after the one that holds a node."""
    return CodeEdit(lambda editor: editor.insert_after(node, pieces), space)


def insert_at_start(block: Any, *pieces: Piece, space: Namespace | None = None) -> CodeEdit:
    """Insert statements at the beginning of the body of a function, class, loop or `with`."""
    return CodeEdit(lambda editor: editor.insert_at_start(block, pieces), space)


def insert_at_end(block: Any, *pieces: Piece, space: Namespace | None = None) -> CodeEdit:
    """Insert statements at the end of the body of a function, class, loop or `with`."""
    return CodeEdit(lambda editor: editor.insert_at_end(block, pieces), space)


def decorate(function: Any, *pieces: Piece, space: Namespace | None = None) -> CodeEdit:
    """Put a decorator (given without its `@`) on a function."""
    return CodeEdit(lambda editor: editor.decorate(function, pieces), space)


def wrap(node: Any, *header: Piece, last: Any = None, space: Namespace | None = None) -> CodeEdit:
    """Put the statement that holds a node, or all from there to the one that holds `last`, below a header
    such as `with torch.no_grad():`."""
    return CodeEdit(lambda editor: editor.wrap(node, header, last), space)


def delete(node: Any, space: Namespace | None = None) -> CodeEdit:
    """Delete the simple statement that holds a node."""
    return CodeEdit(lambda editor: editor.delete(node), space)


def move_before(node: Any, target: Any, space: Namespace | None = None) -> CodeEdit:
    """Move the statement that holds a node before the one that holds another; both stand in one file."""
    return CodeEdit(lambda editor: editor.move(node, target, after=False), space)


def move_after(node: Any, target: Any, space: Namespace | None = None) -> CodeEdit:
    """Move the statement that holds a node behind the one that holds another; both stand in one file."""
    return CodeEdit(lambda editor: editor.move(node, target, after=True), space)


def set_argument(call: Any, name: str, *pieces: Piece, space: Namespace | None = None) -> CodeEdit:
    """Give a keyword argument of a call a value, new or in place of the old one."""
    return CodeEdit(lambda editor: editor.set_argument(call, name, pieces), space)


def remove_argument(call: Any, argument: Any, space: Namespace | None = None) -> CodeEdit:
    """Leave one `Arg` of a call out."""
    return CodeEdit(lambda editor: editor.remove_argument(call, argument), space)


def remove_import(statement: Any, alias: Any, space: Namespace | None = None) -> CodeEdit:
    """Leave one name of a `from … import` out."""
    return CodeEdit(lambda editor: editor.remove_item(statement.names, alias), space)


def overwrite(node: Any, text: str, space: Namespace | None = None) -> CodeEdit:
    """Write something else in the place of a node that is no expression: an `Arg`, the module of an import."""
    return CodeEdit(lambda editor: editor.overwrite(node, text), space)


def augment(target: Any, signed: Any, space: Namespace | None = None) -> CodeEdit:
    """Make `x =+ y` what was meant: `x += y`; `signed` is the `+y`."""
    return CodeEdit(lambda editor: editor.augment(target, signed), space)


def rename(node: Any, name: str, space: Namespace | None = None) -> CodeEdit:
    """Write another name: of a variable, of an attribute (its last part), of the keyword of an `Arg`."""
    return CodeEdit(lambda editor: editor.rename(node, name), space)


def add_import(node: Any, module: str, space: Namespace | None = None) -> CodeEdit:
    """Import a module in the file of a node, unless it is."""
    return CodeEdit(lambda editor: editor.add_import(module), space)
