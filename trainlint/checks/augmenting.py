"""What the project's own code does to samples at random: the calls that a method comes by, and what they draw."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import libcst as cst

from trainlint.semantics.behaviours.data import called_as
from trainlint.semantics.interpreter import dotted_name
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import Api, Class, Const, Function, Instance, Step
from trainlint.syntax import nodes_in

MOST_FUNCTIONS = 30  # that are looked through for one method

# Calls that draw numbers.
DRAWS = re.compile(
    r"(numpy\.random|random)\.(?!(seed|default_rng|RandomState|Generator|Random|get_state|set_state)$)\w+$"
    r"|torch\.(rand|randn|randint|randperm|bernoulli)$"
)
# Functions that turn a picture over, or cut and colour it anew.
CHANGES = re.compile(
    r"torchvision\.transforms\.(v2\.)?functional\.(hflip|vflip|horizontal_flip|vertical_flip|rotate|affine|crop|resized_crop"
    r"|adjust_\w+)$|cv2\.(flip|rotate|warpAffine)$|numpy\.(flip|fliplr|flipud|rot90)$|PIL\.ImageOps\.(mirror|flip)$"
    r"|torch\.(flip|rot90)$"
)


def apis_called(item: Function, cls: Class) -> Iterator[tuple[Any, Namespace, str]]:
    """Calls of functions out of view in a method, and in the methods of its class and functions of its file that it
    calls: each with its file and the path of what it calls."""
    waiting, seen = [item], {id(item.node)}
    while waiting and len(seen) < MOST_FUNCTIONS:
        function = waiting.pop()
        for node in nodes_in(function.node.body):
            if not isinstance(node, cst.Call):
                continue
            path, callee = target(node, function, cls)
            if path:
                yield node, function.space, path
            elif callee is not None and id(callee.node) not in seen:
                seen.add(id(callee.node))
                waiting.append(callee)


def target(node: cst.Call, function: Function, cls: Class) -> tuple[str, Function | None]:
    """What a call in a method calls: a path out of view, or a function of the project."""
    first, _, rest = dotted_name(node.func).partition(".")
    found = cls.find(rest) if first == "self" else function.space.attrs.get(first)
    if isinstance(found, Api):
        return (f"{found.path}.{rest}" if rest else found.path), None
    return "", found if isinstance(found, Function) and (first == "self" or not rest) else None


def own_random(transform: Any, depth: int = 0) -> Step | None:
    """A transform of the project's own in a pipeline that draws numbers for each picture, and gives one picture."""
    if not isinstance(transform, Instance) or depth > 4:
        return None
    steps = getattr(transform.attrs.get("$steps"), "items", None)
    for step in steps or ():
        if (found := own_random(step, depth + 1)) is not None:
            return found
    call = called_as(transform)
    if call is None or not isinstance(transform.cls, Class) or gives_several(call):
        return None
    drawn = any(DRAWS.match(path) for _, _, path in apis_called(call, transform.cls))
    return transform.born if drawn else None


def gives_several(function: Function) -> bool:
    """Whether a function returns more than one thing, such as two views of a picture."""
    returned = (node.value for node in nodes_in(function.node.body) if isinstance(node, cst.Return))
    return any(isinstance(value, (cst.Tuple, cst.Dict, cst.List)) for value in returned)


def changed_when_read(dataset: Instance) -> Step | None:
    """Where a data set of the project's own class changes each picture at random as it is read, whatever part it is:
    behind no condition but the numbers drawn, and attributes known to be true."""
    item = dataset.cls.find("__getitem__") if isinstance(dataset.cls, Class) else None
    if not isinstance(item, Function):
        return None
    return next(changes(dataset, item, item.node.body, False, 0), None)


def changes(dataset: Instance, function: Function, body: Any, by_chance: bool, depth: int) -> Iterator[Step]:
    """The random changes in a piece of code that surely runs, `by_chance` at a number drawn."""
    for statement in getattr(body, "body", ()):
        if isinstance(statement, cst.If):
            test = statement.test
            if is_drawn(test, function, dataset):
                yield from changes(dataset, function, statement.body, True, depth)
            elif isinstance(holds := known(test, dataset), bool):
                branch = statement.body if holds else getattr(statement.orelse, "body", None)
                yield from changes(dataset, function, branch, by_chance, depth)
        elif isinstance(statement, cst.With):
            yield from changes(dataset, function, statement.body, by_chance, depth)
        elif isinstance(statement, cst.SimpleStatementLine):
            for node in (n for n in nodes_in(statement) if isinstance(n, cst.Call)):
                assert isinstance(dataset.cls, Class)
                path, callee = target(node, function, dataset.cls)
                if by_chance and CHANGES.match(path):
                    yield Step(function.space, node, path.rpartition(".")[2])
                elif callee is not None and depth < 3:
                    yield from changes(dataset, callee, callee.node.body, by_chance, depth + 1)


def is_drawn(test: Any, function: Function, dataset: Instance) -> bool:
    """Whether a condition is a comparison with a number drawn at random."""
    if not isinstance(test, cst.Comparison):
        return False
    assert isinstance(dataset.cls, Class)
    calls = [node for node in nodes_in(test) if isinstance(node, cst.Call)]
    return any(DRAWS.match(target(node, function, dataset.cls)[0]) for node in calls)


def known(test: Any, dataset: Instance) -> bool | None:
    """Whether a condition on an attribute of a data set holds; None where that is not known."""
    negated = isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not)
    name = dotted_name(test.expression if negated else test)
    value = dataset.attrs.get(name.removeprefix("self.")) if name.startswith("self.") else None
    if isinstance(value, Instance) and value.family == "transform":
        return not negated
    return bool(value.value) != negated if isinstance(value, Const) else None
