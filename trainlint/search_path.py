"""The folders that a file puts on `sys.path`, as far as its text tells."""

from __future__ import annotations

import ast
import posixpath
import warnings
from collections.abc import Iterable

MOST = 20  # folders that an expression may mean

_EDITS = ("append", "insert", "extend")
_SAME = frozenset(("abspath", "realpath", "normpath", "resolve", "absolute", "str", "fspath", "Path", "PurePath"))


def path_edits(content: bytes) -> list[str]:
    """What a file adds to `sys.path`: folders, from the file's own on or absolute as they are on the machine of who
    wrote it. What is computed otherwise is left out."""
    if b"sys.path" not in content:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _Text(ast.parse(content)).added()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


class _Text:
    """A parsed file, and by the names in it the expressions that they may stand for."""

    def __init__(self, tree: ast.AST) -> None:
        self.meant: dict[str, list[ast.expr]] = {}
        self.known: dict[str, list[str]] = {}
        self.edits: list[ast.expr] = []
        calls: list[ast.Call] = []
        parameters: dict[str, list[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assigned(target, node.value)
            elif isinstance(node, ast.For) and isinstance(node.iter, (ast.List, ast.Tuple)):
                for element in node.iter.elts:
                    self._assigned(node.target, element)
            elif isinstance(node, ast.AugAssign) and _is_path(node.target):
                self.edits.append(node.value)
            elif isinstance(node, ast.FunctionDef):
                parameters[node.name] = [parameter.arg for parameter in node.args.args]
            elif isinstance(node, ast.Call):
                calls.append(node)
                called = node.func
                edits = isinstance(called, ast.Attribute) and _is_path(called.value) and called.attr in _EDITS
                if edits and node.args:
                    self.edits.append(node.args[-1])
        for call in calls:
            if isinstance(call.func, ast.Name):
                for name, argument in zip(parameters.get(call.func.id, ()), call.args, strict=False):
                    self.meant.setdefault(name, []).append(argument)

    def _assigned(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.meant.setdefault(target.id, []).append(value)

    def added(self) -> list[str]:
        """The folders, each once."""
        whole = (edit.elts if isinstance(edit, (ast.List, ast.Tuple)) else [edit] for edit in self.edits)
        found = (folder for edits in whole for edit in edits for folder in self.folders(edit) if folder)
        return list(dict.fromkeys(map(posixpath.normpath, found)))

    def folders(self, node: ast.expr) -> list[str]:
        """What a path may be; the file itself is called `file`."""
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.Name):
            if node.id == "__file__":
                return ["file"]
            return self._named(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
            between = "/" if isinstance(node.op, ast.Div) else ""
            return self._joined([node.left, node.right], between)
        if isinstance(node, ast.Attribute):
            if node.attr == "parent":
                return _above(self.folders(node.value))
            return [".."] if node.attr == "pardir" else ["."] if node.attr == "curdir" else []
        if isinstance(node, ast.Subscript):
            above, number = node.value, node.slice
            if isinstance(above, ast.Attribute) and above.attr == "parents" and isinstance(number, ast.Constant):
                found = self.folders(above.value)
                for _ in range(number.value + 1 if isinstance(number.value, int) and 0 <= number.value < MOST else 0):
                    found = _above(found)
                return found
            return []
        return self._of_call(node) if isinstance(node, ast.Call) else []

    def _named(self, name: str) -> list[str]:
        """What a name stands for, but for what is made of it itself."""
        if name not in self.known:
            self.known[name] = []
            options = self.meant.get(name, ())[:MOST]
            self.known[name] = [folder for option in options for folder in self.folders(option)][:MOST]
        return self.known[name]

    def _of_call(self, call: ast.Call) -> list[str]:
        called = call.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        if name in ("getcwd", "cwd"):
            return ["."]
        if name in ("join", "joinpath"):
            first = [called.value] if name == "joinpath" and isinstance(called, ast.Attribute) else []
            return self._joined([*first, *call.args], "/")
        if name == "dirname" and len(call.args) == 1:
            return _above(self.folders(call.args[0]))
        if name in _SAME:
            if len(call.args) == 1:
                return self.folders(call.args[0])
            if not call.args and isinstance(called, ast.Attribute):
                return self.folders(called.value)
        return []

    def _joined(self, parts: list[ast.expr], between: str) -> list[str]:
        found = [""]
        for part in parts:
            after = self.folders(part)
            found = [posixpath.join(before, end) if between else before + end for before in found for end in after]
            if len(found) > MOST:
                return []
        return found


def _above(paths: Iterable[str]) -> list[str]:
    return [posixpath.normpath(posixpath.join(path, "..")) for path in paths]


def _is_path(node: ast.expr) -> bool:
    """Whether an expression is `sys.path`."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "path"
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    )
