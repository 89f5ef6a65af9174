"""Parents, scopes and imports are those of libcst's providers; where libcst differs from Python, those of Python."""

from __future__ import annotations

import symtable

import libcst as cst
import pytest
from libcst.metadata import (
    BuiltinScope,
    GlobalScope,
    MetadataWrapper,
    ParentNodeProvider,
    QualifiedNameProvider,
    QualifiedNameSource,
    ScopeProvider,
)
from libcst.metadata import Scope as TheirScope
from syntax.samples import EVERYTHING, REAL, parse

from trainlint.syntax import BindingKind, Index, Scope, ScopeKind, SourceFile, load

SOURCES = [*REAL, EVERYTHING]


@pytest.fixture(scope="module", params=SOURCES, ids=[*(path.name for path in REAL), "everything"])
def source(request) -> SourceFile:
    return parse(request.param) if isinstance(request.param, str) else load(request.param, "file.py")


@pytest.fixture(scope="module")
def wrapper(source) -> MetadataWrapper:
    return MetadataWrapper(source.tree, unsafe_skip_copy=True)


def is_punctuation(node: cst.CSTNode) -> bool:
    if type(node).__module__ in ("libcst._nodes.whitespace", "libcst._nodes.op"):
        return True
    names = "Asynchronous LeftCurlyBrace LeftParen LeftSquareBracket ParamSlash ParamStar"
    return type(node).__name__.replace("Right", "Left") in names.split()


def test_parents(source, wrapper):
    for node, parent in wrapper.resolve(ParentNodeProvider).items():
        if source.index.parent(node) is None:
            assert is_punctuation(node) or node is source.tree, type(node).__name__
        else:
            assert source.index.parent(node) is parent


def ours(index: Index, scope: TheirScope) -> Scope | None:
    if isinstance(scope, GlobalScope):
        return index.module
    if isinstance(scope, BuiltinScope):
        return None
    if type(scope).__name__ == "AnnotationScope":
        # For libcst an alias has such a scope without type parameters too.
        parameters = scope.node.type_parameters
        return index.scopes[id(parameters)] if parameters else ours(index, scope.parent)
    return index.scopes[id(scope.node)]


def scopes(wrapper: MetadataWrapper) -> list[TheirScope]:
    return [scope for scope in set(wrapper.resolve(ScopeProvider).values()) if scope is not None]


def test_names_bound_in_each_scope(source, wrapper):
    index = source.index
    assert len(scopes(wrapper)) > 10
    for scope in scopes(wrapper):
        own = ours(index, scope)
        theirs = {assignment.name for assignment in scope.assignments if "." not in assignment.name}
        bound = {
            name
            for name, bindings in own.bindings.items()
            # libcst takes these for reads.
            if {binding.kind for binding in bindings} - {BindingKind.PATTERN, BindingKind.DELETION}
        }
        # libcst leaves a named expression in the comprehension; Python binds it around.
        walrus = {
            binding.name
            for bindings in own.bindings.values()
            for binding in bindings
            if binding.kind is BindingKind.NAMED_EXPRESSION
        }
        if own.kind is ScopeKind.COMPREHENSION:
            around = own
            while around.kind is ScopeKind.COMPREHENSION:
                around = around.parent
            assert theirs - bound <= around.bindings.keys()
        else:
            assert theirs - bound == set()
        assert bound - theirs <= walrus


def test_where_names_that_are_read_are_bound(source, wrapper):
    index = source.index
    compared = 0
    for scope in scopes(wrapper):
        for access in scope.accesses:
            name = access.node
            while isinstance(name, (cst.Attribute, cst.Call)):
                name = name.value if isinstance(name, cst.Attribute) else name.func
            if not isinstance(name, cst.Name):
                continue  # an annotation in a string
            own = ours(index, scope)
            if isinstance(index.parent(name), (cst.MatchAs, cst.MatchStar, cst.MatchMapping)):
                continue
            assert index.scope(name) is own
            holders = {ours(index, referent.scope) for referent in access.referents}
            if holders and holders != {own.holder(name.value)}:
                # libcst leaves bindings out that follow in the text, and then looks further out.
                first = own.holder(name.value).bindings[name.value][0]
                assert source.span(first.node) > source.span(name)
            compared += bool(holders)
    assert compared > 50


def test_names_of_imports(source, wrapper):
    index = source.index
    compared = 0
    for node, names in wrapper.resolve(QualifiedNameProvider).items():
        root = node
        while isinstance(root, cst.Attribute):
            root = root.value
        if not isinstance(root, cst.Name) or index.binding(root) is not None or not index.lookup(root):
            continue
        names = names() if callable(names) else names
        theirs = {name.name for name in names if name.source is QualifiedNameSource.IMPORT}
        own = set(index.qualified_names(node))
        if theirs != own:
            # libcst leaves bindings out that follow in the text.
            assert theirs < own
            assert any(source.span(binding.node) > source.span(root) for binding in index.lookup(root))
        compared += bool(theirs)
    assert compared > 10


def test_scopes_of_nodes_that_are_no_names(source, wrapper):
    theirs = wrapper.resolve(ScopeProvider)
    for node in source.index.parents.values():
        # libcst holds these to be in the scope that they open, or has no scope for them.
        if isinstance(node, (cst.BaseComp, cst.CompFor, cst.TypeParameters, cst.TypeAlias, cst.Annotation, cst.Module)):
            continue
        if (scope := theirs.get(node)) is not None:
            assert source.index.scope(node) is ours(source.index, scope), (type(node), source.span(node))


# --- Python's own word on scopes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_local_names_of_functions_are_those_of_the_interpreter(path):
    source = load(path, path.name)
    # By name and line; functions with type parameters and the like are not in question here.
    own = {
        (scope.node.name.value, source.span(scope.node).line): {
            name for name in scope.bindings if not name.startswith("__") or name.endswith("__")
        }
        for scope in source.index.scopes.values()
        if isinstance(scope.node, cst.FunctionDef) and not scope.node.decorators
    }
    tables = [symtable.symtable(source.text, path.name, "exec")]
    compared = 0
    for table in tables:
        tables.extend(table.get_children())
        key = (table.get_name(), table.get_lineno())
        if isinstance(table, symtable.Function) and key in own:
            python = {
                symbol.get_name() for symbol in table.get_symbols() if symbol.is_local() and symbol.get_name()[0] != "."
            }
            # Since 3.12 comprehensions are part of the function, and their names with them.
            inner = {
                name
                for scope in source.index.scopes.values()
                if scope.kind is ScopeKind.COMPREHENSION
                for name in scope.bindings
            }
            assert python - own[key] <= inner
            assert own[key] - python == set()
            compared += 1
    assert compared > 3


def kinds(scope: Scope) -> dict[str, list[str]]:
    return {name: [binding.kind.value for binding in bindings] for name, bindings in scope.bindings.items()}


def test_what_binds_a_name():
    source = parse(EVERYTHING)
    module = kinds(source.index.module)
    expected = {
        "a": ["import"],
        "e": ["import"],
        "f": ["import"],
        "j": ["import"],
        "x": ["assignment", "augmented assignment", "assignment", "pattern", "augmented assignment"],
        "z": ["annotation"],
        "w": ["annotation"],
        "q": ["assignment"],
        "s": ["assignment"],
        "yield_": ["named expression"],
        "function": ["function"],
        "made": ["assignment"],
        "Class": ["class"],
        "Alias": ["type"],
        "error": ["exception"],
        "group": ["exception"],
        "others": ["pattern", "pattern"],
        "value": ["pattern"],
        "rest": ["pattern"],
        "i2": ["loop"],
        "file": ["with"],
        "f1": ["with"],
    }
    assert {name: module[name] for name in expected} == expected
    assert not {"b", "t", "u", "key", "T", "K", "k2", "v2", "c", "g"} & module.keys()
    assert source.index.module.star_imports == ["m"]

    function = next(node for node in source.tree.body if isinstance(node, cst.FunctionDef))
    inside = kinds(source.index.scopes[id(function)])
    assert inside["last2"] == ["named expression"]
    assert inside["r"] == ["parameter", "assignment"]  # by `nonlocal` in the function within
    assert inside["p"] == ["parameter", "deletion"]
    assert not {"made", "x", "hidden", "n"} & inside.keys()


def find(source: SourceFile, text: str, count: int = 0) -> cst.CSTNode:
    """The `count`th expression with this text."""
    nodes = [node for node in _all(source.tree) if isinstance(node, cst.BaseExpression)]
    return [node for node in nodes if source.tree.code_for_node(node) == text][count]


def _all(node: cst.CSTNode) -> list[cst.CSTNode]:
    return [node, *(below for child in node.children for below in _all(child))]


PROGRAM = """\
import torch.nn.functional as F
import os.path
from torch import nn as layers, optim
from .losses import focal
from .. import utils

try:
    import numpy as np
except ImportError:
    import jax.numpy as np

value = 1

class Model(layers.Module):
    value = 2

    def forward(self, x, size=value):
        return F.relu(x) + np.sum(value), [value for _ in size]

def train(F):
    @wrap(F)
    def step(batch=F.x):
        F.step(batch)
    return lambda y=F: len(y, F)
"""


def test_qualified_names():
    source = parse(PROGRAM)
    index = source.index

    def qualified(text: str) -> list[str]:
        return index.qualified_names(find(source, text))

    assert qualified("F.relu") == ["torch.nn.functional.relu"]
    assert qualified("layers.Module") == ["torch.nn.Module"]
    assert qualified("np.sum") == ["numpy.sum", "jax.numpy.sum"]
    assert qualified("F.step") == []
    assert qualified("len") == ["builtins.len"]
    assert qualified("wrap") == []
    assert index.qualified_names(find(source, "focal")) == [".losses.focal"] == [index.imports["focal"]]
    assert index.imports == {
        "F": "torch.nn.functional",
        "os": "os",
        "layers": "torch.nn",
        "optim": "torch.optim",
        "focal": ".losses.focal",
        "utils": "..utils",
        "np": "numpy",
    }


def test_lookup_follows_the_rules_of_class_bodies():
    source = parse(PROGRAM)
    index = source.index
    model = index.scopes[id(source.tree.body[-2])]
    outer, inner = index.module.bindings["value"], model.bindings["value"]
    assert [index.lookup(find(source, "value", count)) for count in range(5)] == [outer, inner, inner, outer, outer]
    assert len(index.references(outer[0])) == 2
    assert len(index.references(inner[0])) == 1


def test_what_is_around_a_node():
    source = parse(PROGRAM)
    index = source.index
    model, train = source.tree.body[-2:]
    step = train.body.body[0]
    forward = model.body.body[1]
    relu = find(source, "F.relu(x)")
    assert index.function(relu) is forward
    assert index.class_(relu) is model
    assert isinstance(index.statement(relu), cst.Return)
    assert index.statement(forward.params.params[0]) is forward
    # Defaults, decorators and the first iterable of a comprehension are evaluated outside.
    assert index.function(find(source, "F.x")) is train
    assert index.function(find(source, "wrap(F)")) is train
    assert index.function(find(source, "F.step(batch)")) is step
    assert isinstance(index.function(find(source, "len(y, F)")), cst.Lambda)
    assert index.scope(find(source, "size", 1)).kind is ScopeKind.FUNCTION
    assert index.scope(find(source, "size", 0)).node is forward
    assert index.class_(train) is None
    assert [type(node).__name__ for node in index.ancestors(step)] == ["IndentedBlock", "FunctionDef", "Module"]


@pytest.mark.parametrize(
    ("text", "name", "holder"),
    [
        ("def f():\n x = 1\n def g():\n  nonlocal x\n  x = 2\n  x\n", "x", "f"),
        ("def f():\n def g():\n  nonlocal x\n  x = 2\n  x\n x = 1\n", "x", "f"),
        ("x = 0\ndef f():\n x = 1\n def g():\n  global x\n  x = 2\n  x\n", "x", None),
        ("def f():\n x = 1\n class C:\n  x = 2\n  def g():\n   x\n", "x", "f"),
        ("def f():\n class C:\n  x = 2\n  x\n", "x", "C"),
        ("def f(x):\n [0 for y in z if (x := y)]\n x\n", "x", "f"),
        ("class C:\n def f[T](a: T): 0\n x = T\n", "x", "C"),
        ("def f():\n del x\n x\n", "x", "f"),
    ],
)
def test_whose_name_it_is(text, name, holder):
    source = parse(text)
    last = [node for node in _all(source.tree) if isinstance(node, cst.Name) and node.value == name][-1]
    found = source.index.scope(last).holder(name)
    assert found is not None
    assert (found.node.name.value if found.parent else None) == holder


def test_nonlocal_of_nothing_is_survived():
    source = parse("def f():\n nonlocal x\n x = 1\n")
    assert list(source.index.scopes[id(source.tree.body[0])].bindings) == ["x"]
