"""Uses of the APIs that `knowledge/apis.toml` tells of.

They are found by names alone, so also in code that no run reaches. Most files are let go by their text; only the others
pay for an index of their names.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import libcst as cst

from trainlint.semantics.values import Api
from trainlint.syntax.code import is_name, names_in
from trainlint.syntax.index import Binding, BindingKind, Index

if TYPE_CHECKING:
    from trainlint.semantics.namespace import Namespace

PACKAGES = ("torch", "torchvision", "functorch", "numpy")


class Entry(NamedTuple):
    """A row of the table: what became of an API, or of one argument of some APIs."""

    name: str
    row: dict[str, Any]
    is_argument: bool = False

    def get(self, field: str) -> str:
        """A field of the row, "" where it has none."""
        return str(self.row.get(field, ""))


class Use(NamedTuple):
    """One place where an API of the table is used.

    `path` is the API, by its full name, `node` what is written there: a name, an attribute, the alias of an import or,
    where the entry is about an argument, this `Arg`. `call` is the call of the API, if it is called there.
    """

    space: Namespace
    path: str
    entry: Entry
    node: Any
    call: cst.Call | None


class Table:
    """The rows, by name, and what a text must contain to be of interest."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.weights: dict[str, str] = content["weights"]
        self.entries = {name: Entry(name, row) for name, row in content["api"].items()}
        self.arguments: dict[str, list[tuple[list[str], Entry]]] = defaultdict(list)
        for row in content["argument"]:
            self.arguments[row["name"]].append((row["of"].split(), Entry(row["name"], row, True)))
        self._given = {keyword: re.compile(rf"{keyword}\s*=") for keyword in self.arguments}
        self.parents: dict[str, set[str]] = defaultdict(set)  # by last word of an API: what it is an attribute of
        for name in self.entries:
            *_, parent, word = name.removesuffix("()").split(".")
            self.parents[word].add(parent)
        self._dotted = re.compile(rf"\.\s*({choice(self.parents)})\b")

    def may_concern(self, text: str) -> bool:
        """Whether a file may hold uses, by its text."""
        return any(package in text for package in PACKAGES) and (
            self._may_name(text)
            or any(pattern.search(text) and self._may_have(keyword, text) for keyword, pattern in self._given.items())
            or ("torchvision" in text and "models" in text)
            or any(
                not self.parents.keys().isdisjoint(re.findall(r"\w+", match[1])) or "models" in match[0]
                for match in _FROM.finditer(text)
            )
        )

    def _may_name(self, text: str) -> bool:
        """Whether an attribute of the name of an API stands behind a name that its parent may have there."""
        others: frozenset[str] = frozenset()
        for match in self._dotted.finditer(text):
            owner = _OWNER.search(text, max(0, match.start() - 80), match.start())
            if owner is None:
                continue
            if owner[1] in self.parents[match[1]]:
                return True
            if not others:
                others = _MODULES.union(_AS.findall(text))
            if owner[1] in others or "nn.modules" in text:
                return True
        return False

    def _may_have(self, keyword: str, text: str) -> bool:
        """Whether a file names the modules of a function with this argument."""
        return any(
            all(module in text for module in pattern.split(".")[:-1])
            for patterns, _ in self.arguments[keyword]
            for pattern in patterns
        )

    def entry(self, path: str) -> Entry | None:
        """The row of an API, by the path it is reached through."""
        return self.entries.get(path) or self.entries.get(public(path))

    def argument(self, path: str, keyword: str) -> Entry | None:
        """The row of an argument of an API."""
        for patterns, entry in self.arguments.get(keyword, ()):
            if any(fnmatchcase(public(path), pattern) for pattern in patterns):
                return entry
        return None


# Patterns that begin with plain letters are searched for much faster than those that begin at a word's edge.
_FROM = re.compile(r"from[ \t]+(?:torch|functorch|numpy)[\w.]*[ \t]+import[ \t]*(\([^)]*\)|[^\n\\]*(?:\\\n[^\n\\]*)*)")
_OWNER = re.compile(r"(\w+)\s*\Z")
_AS = re.compile(r" as[ \t]+(\w+)")
_HOMES = [
    (re.compile(r"^torch\.nn\.modules\.\w+\."), "torch.nn."),
    (re.compile(r"^torch\.nn\.utils\.(weight_norm|clip_grad)\.(?=\w)"), "torch.nn.utils."),
    (re.compile(r"^torch\.(cuda|cpu)\.amp\.(autocast_mode|grad_scaler)\."), r"torch.\1.amp."),
    (re.compile(r"^torch\.functional\."), "torch."),
    (re.compile(r"^torchvision\.transforms\.transforms\."), "torchvision.transforms."),
]

_MODULES = frozenset("autocast_mode clip_grad functional grad_scaler transforms weight_norm".split())  # named there


def public(path: str) -> str:
    """The name by which the table has an API that is reached through the module that defines it."""
    for pattern, home in _HOMES:
        moved, count = pattern.subn(home, path)
        if count:
            return moved
    return path


def choice(words: Iterable[str]) -> str:
    """A pattern for one of many words that decides on their first letters."""
    by_start: dict[str, list[str]] = defaultdict(list)
    for word in sorted(words):
        by_start[word[:2]].append(re.escape(word[2:]))
    groups: dict[str, list[str]] = defaultdict(list)
    for start, rests in by_start.items():
        groups[start[0]].append(f"{re.escape(start[1:])}(?:{'|'.join(sorted(rests, key=len, reverse=True))})")
    return "|".join(f"{first}(?:{'|'.join(group)})" for first, group in groups.items())


@lru_cache(maxsize=1)
def table() -> Table:
    """The table, read when a file first may need it."""
    import tomli

    return Table(tomli.loads(resources.files("trainlint.knowledge").joinpath("apis.toml").read_text("utf8")))


def uses(space: Namespace) -> Iterator[Use]:
    """All uses in a file, in no particular order."""
    source = space.source
    if source is None or "torch" not in source.text or not table().may_concern(source.text):
        return
    index = source.index
    for scope in (index.module, *index.scopes.values()):
        for bindings in scope.bindings.values():
            imported = bindings[0].imported
            if imported is None or imported.partition(".")[0] not in PACKAGES:
                continue
            if len(bindings) > 1 and not all(alike(b, imported) for b in bindings):
                continue  # what the name stands for depends on the way there
            binding = bindings[0]
            if is_guarded(index, binding.node):
                continue
            entry = table().entry(imported)
            if isinstance(binding.origin, cst.ImportAlias) and entry is not None:
                yield Use(space, imported, entry, binding.origin, None)
                continue
            entry = within(imported)
            if entry is not None:
                yield Use(space, imported, entry, binding.origin, None)
                continue
            for reference in index.references(binding):
                yield from followed(space, index, reference, imported)
    for reference, path in starred(space, index):
        yield from followed(space, index, reference, path)


def starred(space: Namespace, index: Index) -> Iterator[tuple[cst.Name, str]]:
    """Names of packages that came with all names of another file, and their dotted names."""
    for scope in (index.module, *index.scopes.values()) if index.module.star_imports else ():
        for name, references in scope.references.items():
            taken = space.attrs.get(name) if scope.holder(name) is None else None
            if isinstance(taken, Api) and taken.path.partition(".")[0] in PACKAGES:
                yield from ((reference, taken.path) for reference in references)


def alike(binding: Binding, imported: str) -> bool:
    """Whether a binding imports the same, or the package that it is in: `import torch`, `import torch.nn`."""
    return binding.kind is BindingKind.IMPORT and binding.imported == imported


def within(path: str) -> Entry | None:
    """The row of a module in which an API is, where the table has the module."""
    parts = path.split(".")
    for end in range(2, len(parts)):
        found = table().entries.get(".".join(parts[:end]))
        if found is not None:
            return found
    return None


def followed(space: Namespace, index: Index, node: Any, path: str) -> Iterator[Use]:
    """Go from a name outwards through attributes, until a row is met."""
    rows = table()
    while True:
        parent = index.parent(node)
        if not (isinstance(parent, cst.Attribute) and parent.value is node):
            break
        node, path = parent, f"{path}.{parent.attr.value}"
        entry = rows.entry(path)
        if entry is not None:
            above = index.parent(node)
            if not isinstance(above, cst.AssignTarget) and not is_guarded(index, node):  # which puts it back
                call = above if isinstance(above, cst.Call) and above.func is node else None
                yield Use(space, path, entry, node, call)
            return
    if path.endswith("models.__dict__") and isinstance(parent, cst.Subscript):
        node, parent = parent, index.parent(parent)
    if not (isinstance(parent, cst.Call) and parent.func is node):
        return
    entry = rows.entries.get(f"{path}()")
    if entry is not None and not is_guarded(index, node):
        yield Use(space, path, entry, node, parent)
    for position, argument in enumerate(parent.args):
        if argument.keyword is not None:
            entry = rows.argument(path, argument.keyword.value)
            if entry is not None and is_name(argument.value, entry.get("unset")):
                entry = None
        elif position == 0 and not argument.star and is_flag(argument.value):
            entry = rows.argument(path, "pretrained")
        else:
            entry = None
        if entry is not None and not is_guarded(index, parent):
            yield Use(space, path, entry, argument, parent)


def is_flag(node: Any) -> bool:
    return isinstance(node, cst.Name) and node.value in ("True", "False")


# Names of conditions that ask which version is at hand.
_ASKS = re.compile(r"version|VERSION|hasattr|_AVAILABLE|is_torch|HAS_|(?i:_?[gl][te]_?\d|greater_|less_|torch_?\d)")
_MISSING = frozenset(("ImportError", "ModuleNotFoundError", "AttributeError", "TypeError"))
_ANYTHING = frozenset(("Exception", "BaseException"))


def is_guarded(index: Index, node: cst.CSTNode) -> bool:
    """Whether code is meant for some versions only: it stands in a `try` that copes with an API that is not there, or
    under or behind a question for versions or attributes."""
    below: Any = node
    above: Any
    for above in index.ancestors(node):
        kind = above.__class__
        if kind is cst.Try or kind is cst.TryStar:
            caught = {name for handler in above.handlers for name in names_in(handler.type)}
            catches_all = caught & _ANYTHING or any(handler.type is None for handler in above.handlers)
            if caught & _MISSING or (catches_all and len(above.body.body) <= 2):
                return True
        elif kind is cst.If or kind is cst.IfExp:
            if below is not above.test and asks(above.test):
                return True
        elif kind is cst.IndentedBlock or kind is cst.Module:
            for statement in above.body:
                if statement is below:
                    break
                if statement.__class__ is cst.If and asks(statement.test) and leaves(statement.body):
                    return True
        below = above
    return False


def asks(test: Any) -> bool:
    """Whether a condition asks for a version or for what there is."""
    return any(_ASKS.search(name) for name in names_in(test))


def leaves(body: Any) -> bool:
    """Whether a block ends by leaving the function."""
    last = body.body[-1] if body.body else None
    if isinstance(last, cst.SimpleStatementLine):
        last = last.body[-1]
    return isinstance(last, (cst.Return, cst.Raise))
