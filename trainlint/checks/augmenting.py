"""What the project's own code does to samples at random: the calls that a method comes by, and what they draw."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import libcst as cst

from trainlint.semantics.behaviours.data import called_as, parts_run
from trainlint.semantics.interpreter import dotted_name, literal_value
from trainlint.semantics.modules import methods_from
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import UNKNOWN, Api, Class, Const, Function, Instance, Step, Value, options
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, is_name, names_in, positional

MOST_FUNCTIONS = 30  # that are looked through for one method
NONE_GIVEN: Mapping[str, Any] = {}

# Calls that draw numbers.
DRAWS = re.compile(
    r"(numpy\.random|random)\.(?!(seed|default_rng|RandomState|Generator|Random|get_state|set_state)$)\w+$"
    r"|torch\.((rand|randn|randint)(_like)?|normal|randperm|bernoulli)$"
)
SWITCHES = re.compile(r"train|aug|jitter|distort", re.IGNORECASE)
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


def own_random(transform: Any) -> Step | None:
    """A transform of the project's own in a pipeline that draws numbers for each picture, and gives one picture."""
    return next((found.born for found in own_draws(transform) if found.born is not None), None)


def own_draws(transform: Any, depth: int = 0) -> Iterator[Instance]:
    """All transforms of that kind in a pipeline."""
    if not isinstance(transform, Instance) or depth > 4:
        return
    held = transform.attrs.get("$steps")
    for one in [held] if isinstance(held, Value) else parts_run(transform):
        for step in getattr(one, "items", None) or ():
            yield from own_draws(step, depth + 1)
    call = called_as(transform)
    if call is not None and isinstance(transform.cls, Class) and not gives_several(call):
        if draws_numbers(call, transform.cls):
            yield transform


def draws_numbers(function: Function, cls: Class) -> bool:
    """Whether a method draws numbers, or what it calls of its class and file."""
    return any(DRAWS.match(path) for _, _, path in apis_called(function, cls))


def gives_several(function: Function) -> bool:
    """Whether a function returns more than it was given, such as two views of a picture: not the picture and its mask,
    which it takes as two arguments, as a pair, or under two keys."""
    nodes = list(nodes_in(function.node.body))
    names = [parameter.name.value for parameter in function.node.params.params][1:]
    taken = max([len(names), *(pair_of(node, names) for node in nodes)])
    read = {subscript_key(node) for node in nodes if isinstance(node, cst.Subscript)}
    for value in (node.value for node in nodes if isinstance(node, cst.Return)):
        if isinstance(value, cst.Dict):
            keys = {getattr(getattr(e, "key", None), "value", None) for e in value.elements}
            if None in keys or not keys <= read:
                return True
        elif isinstance(value, cst.List) or (isinstance(value, cst.Tuple) and len(value.elements) > max(taken, 1)):
            return True
    return False


def pair_of(node: Any, names: list[str]) -> int:
    """How many names a statement unpacks one of some parameters to (`image, mask = sample`)."""
    if not isinstance(node, cst.Assign) or not any(is_name(node.value, name) for name in names):
        return 0
    target = node.targets[0].target
    return len(target.elements) if isinstance(target, (cst.Tuple, cst.List)) else 0


def subscript_key(node: cst.Subscript) -> str | None:
    """The string, as it is written, that something is looked up by."""
    index = node.slice[0].slice
    key = index.value if isinstance(index, cst.Index) else None
    return key.value if isinstance(key, cst.SimpleString) else None


def has_base(dataset: Instance) -> bool:
    """Whether a data set's class has a base out of view that may read the samples."""
    return isinstance(dataset.cls, Class) and any(path.startswith("torchvision.") for path in dataset.cls.api)


def picks_by_flag(dataset: Instance) -> bool:
    """Whether what a data set's class does to a sample depends on more than what transforms it was given."""
    for node in (node for method, _ in methods_from(dataset.cls, "__getitem__") for node in nodes_in(method.node.body)):
        for part in nodes_in(node.test) if isinstance(node, (cst.If, cst.IfExp)) else ():
            if isinstance(part, cst.Attribute) and is_name(part.value, "self"):
                held = options(dataset.attrs.get(part.attr.value, UNKNOWN))
                if not all(isinstance(one, Instance) or (isinstance(one, Const) and one.value is None) for one in held):
                    return True
    return False


def changed_when_read(dataset: Value) -> Step | None:
    """Where a data set of the project's own class changes each picture at random as it is read, whatever part it is:
    behind no condition but the numbers drawn, and attributes known to be true."""
    if not isinstance(dataset, Instance) or not isinstance(dataset.cls, Class):
        return None
    item = dataset.cls.find("__getitem__")
    if not isinstance(item, Function):
        return None
    return next(changes(dataset, item, item.node.body, False, 0), None)


def changed_by_switch(dataset: Instance, others: Iterable[Value]) -> Step | None:
    """Where a data set of the project's own class changes a sample at random as it is read because an attribute says
    so, one that speaks of training or that says otherwise in another data set of its class."""
    item = dataset.cls.find("__getitem__") if isinstance(dataset.cls, Class) else None
    alike = [other for other in others if isinstance(other, Instance) and other.cls is dataset.cls]
    if not isinstance(item, Function):
        return None
    for statement in (node for node in nodes_in(item.node.body) if isinstance(node, cst.If)):
        held = outcome(statement.test, item, dataset)
        if held not in (True, "by chance"):
            continue
        names = [n.attr.value for n in nodes_in(statement.test) if isinstance(n, cst.Attribute)]
        off = (outcome(statement.test, item, other) is False for other in alike)
        if any(name in dataset.attrs for name in names) and (any(map(SWITCHES.search, names)) or any(off)):
            found = next(made_anew(statement.body, item, dataset, held == "by chance"), None)
            if found is not None:
                return found
    return None


def made_anew(body: Any, function: Function, dataset: Instance, by_chance: bool) -> Iterator[Step]:
    """The statements in a piece of code that make something anew of itself and of numbers drawn (`x = x + noise`), or
    of itself alone where they run `by_chance`."""
    assert isinstance(dataset.cls, Class)
    for node in nodes_in(body):
        if isinstance(node, cst.If) and is_drawn(node.test, function, dataset):
            yield from made_anew(node.body, function, dataset, True)
        elif isinstance(node, (cst.Assign, cst.AugAssign)):
            name = node.targets[0].target if isinstance(node, cst.Assign) else None
            itself = isinstance(name, cst.Name) and name.value in names_in(node.value)
            if not itself and name is not None:
                continue
            calls = (call for call in nodes_in(node.value) if isinstance(call, cst.Call))
            told = (call for call in calls if not is_told_not_to(call, dataset))
            draw = next((call for call in told if is_random(call, function, dataset.cls)), None)
            if draw is not None:
                yield Step(function.space, draw, called(draw))
            elif itself and by_chance:
                yield Step(function.space, node, "a change by chance")


def is_told_not_to(call: cst.Call, dataset: Instance) -> bool:
    """Whether a call is given a switch that is off: `self.distort(image, random=self.random)`."""
    given = (attribute(argument.value, dataset) for argument in call.args)
    return any(isinstance(value, Const) and value.value is False for value in given)


def is_random(call: cst.Call, function: Function, cls: Class) -> bool:
    """Whether a call draws numbers, itself or in a method or function of the project's own."""
    path, callee = target(call, function, cls)
    return bool(DRAWS.match(path)) or (callee is not None and draws_numbers(callee, cls))


def changes(
    dataset: Instance, function: Function, body: Any, by_chance: bool, depth: int, given: Mapping[str, Any] = NONE_GIVEN
) -> Iterator[Step]:
    """The random changes in a piece of code that surely runs, `by_chance` at a number drawn, where some of the
    function's arguments are `given`."""
    for statement in getattr(body, "body", ()):
        if isinstance(statement, cst.If):
            holds = outcome(statement.test, function, dataset, given)
            if holds is not None:
                body = statement.body if holds else getattr(statement.orelse, "body", None)
                yield from changes(dataset, function, body, by_chance or holds == "by chance", depth, given)
            if holds is not False and any(isinstance(node, cst.Return) for node in nodes_in(statement)):
                return
        elif isinstance(statement, cst.With):
            yield from changes(dataset, function, statement.body, by_chance, depth, given)
        elif isinstance(statement, cst.SimpleStatementLine):
            if by_chance and (turned := next((n for n in nodes_in(statement) if reverses(n)), None)) is not None:
                yield Step(function.space, turned, "::-1")
            for node in (n for n in nodes_in(statement) if isinstance(n, cst.Call)):
                assert isinstance(dataset.cls, Class)
                path, callee = target(node, function, dataset.cls)
                if by_chance and (CHANGES.match(path) or turns_picture(node, function)):
                    yield Step(function.space, node, path.rpartition(".")[2] or called(node))
                elif callee is not None and depth < 3:
                    handed = arguments_of(node, callee, dataset, given)
                    yield from changes(dataset, callee, callee.node.body, by_chance, depth + 1, handed)


def arguments_of(call: cst.Call, callee: Function, dataset: Instance, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the arguments of a call in a data set's class."""
    names = [parameter.name.value for parameter in callee.node.params.params]
    names = names[1:] if names[:1] == ["self"] else names
    pairs = zip(names, positional(call), strict=False)
    named = ((one.keyword.value, one.value) for one in call.args if one.keyword is not None)
    lines = [node for node in nodes_in(callee.node.body) if isinstance(node, cst.Assign)]
    anew = {name for line in lines for one in line.targets for name in names_in(one.target)}
    held = {name: attribute(node, dataset, given) for name, node in (*pairs, *named) if name not in anew}
    return {name: value for name, value in held.items() if value is not None}


def reverses(node: Any) -> bool:
    """Whether an expression reads an axis the other way round: `image[:, ::-1]`."""
    cuts = [element.slice for element in node.slice] if isinstance(node, cst.Subscript) else []
    steps = [cut.step for cut in cuts if isinstance(cut, cst.Slice) and cut.lower is None and cut.upper is None]
    return any(isinstance(s, cst.UnaryOperation) and getattr(s.expression, "value", "") == "1" for s in steps)


def turns_picture(node: cst.Call, function: Function) -> bool:
    """`image.transpose(Image.FLIP_LEFT_RIGHT)`."""
    first, _, rest = dotted_name(node.args[0].value if node.args else None).partition(".")
    found = function.space.attrs.get(first)
    way = f"{found.path}.{rest}" if isinstance(found, Api) else ""
    return called(node) == "transpose" and re.match(r"PIL\.Image\.(Transpose\.)?(FLIP|ROTATE)_", way) is not None


def is_drawn(test: Any, function: Function, dataset: Instance) -> bool:
    """Whether a condition is a comparison with a number drawn at random."""
    if not isinstance(test, cst.Comparison):
        return False
    assert isinstance(dataset.cls, Class)
    calls = [node for node in nodes_in(test) if isinstance(node, cst.Call)]
    return any(DRAWS.match(target(node, function, dataset.cls)[0]) for node in calls)


def outcome(
    test: Any, function: Function, dataset: Instance, given: Mapping[str, Any] = NONE_GIVEN
) -> bool | str | None:
    """Whether a condition holds for a data set: always, never, or "by chance"; None where that is not known."""
    if isinstance(test, cst.BooleanOperation):
        sides = [outcome(side, function, dataset, given) for side in (test.left, test.right)]
        decided = isinstance(test.operator, cst.Or)
        if decided in sides:
            return decided
        return None if None in sides else "by chance" if "by chance" in sides else not decided
    return "by chance" if is_drawn(test, function, dataset) else known(test, dataset, given)


def known(test: Any, dataset: Instance, given: Mapping[str, Any]) -> bool | None:
    """Whether a condition on an attribute of a data set holds; None where that is not known."""
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        value, (compared,) = attribute(test.left, dataset, given), test.comparisons
        if isinstance(value, Const) and isinstance(compared.comparator, (cst.SimpleString, cst.Integer, cst.Float)):
            other = literal_value(compared.comparator)
            if isinstance(compared.operator, cst.GreaterThan) and isinstance(value.value, (int, float)):
                return bool(value.value > other)
            if isinstance(compared.operator, (cst.Equal, cst.NotEqual)):
                return bool(value.value == other) == isinstance(compared.operator, cst.Equal)
        return None
    negated = isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not)
    value = attribute(test.expression if negated else test, dataset, given)
    if isinstance(value, Instance) and value.family == "transform":
        return not negated
    return bool(value.value) != negated if isinstance(value, Const) else None


def attribute(node: Any, dataset: Instance, given: Mapping[str, Any] = NONE_GIVEN) -> Any:
    """The value of `self.name` in a data set's class, or of an argument that is `given`; there a literal is, too."""
    if isinstance(node, (cst.SimpleString, cst.Integer, cst.Float)):
        return Const(literal_value(node))
    name = dotted_name(node)
    return dataset.attrs.get(name.removeprefix("self.")) if name.startswith("self.") else given.get(name)


READS = ("PIL.Image.open", "cv2.imread", "skimage.io.imread", "imageio.imread", "imageio.v2.imread")
GREY = re.compile(r"""^["'](L|P|1|I)["']$|IMREAD_(GRAYSCALE|UNCHANGED)$|^(0|-1)$""")


def bindings(node: cst.CSTNode) -> Iterator[cst.With | cst.Assign]:
    """The statements of a piece of code that give names a value, in their order."""
    for child in node.children:
        if isinstance(child, (cst.With, cst.Assign)):
            yield child
        if not isinstance(child, (cst.Assign, cst.BaseExpression)):
            yield from bindings(child)


def read_apart(dataset: Instance) -> Iterator[tuple[cst.Call, Function]]:
    """The calls of a transform that a data set holds, in the method that reads a sample, which get a picture, but not
    the grey one that is read from a file of its own beside it and returned with it: its mask."""
    item = dataset.cls.find("__getitem__") if isinstance(dataset.cls, Class) else None
    if not isinstance(item, Function) or not isinstance(dataset.cls, Class):
        return
    made: dict[str, set[Any]] = {}  # from which readings each name has what it stands for
    grey: set[Any] = set()
    calls: list[tuple[cst.Call, set[Any]]] = []
    for node in bindings(item.node.body):
        if isinstance(node, cst.With):
            pairs: list[Any] = [(one.asname.name, one.item) for one in node.items if one.asname is not None]
        else:
            pairs = [(node.targets[0].target, node.value)]
        for name, value in pairs:
            inside = [part for part in nodes_in(value) if isinstance(part, cst.Call)]
            origins = {read for part in nodes_in(value) for read in made.get(getattr(part, "value", None) or "", ())}
            read = {part for part in inside if target(part, item, dataset.cls)[0] in READS}
            told = {cst.Module([]).code_for_node(one.value) for part in inside for one in part.args[-1:]}
            if any(map(GREY.search, told)) and len(origins | read) == 1:
                grey |= origins | read
            calls += ((part, origins) for part in inside if isinstance(attribute(part.func, dataset), Value))
            if isinstance(name, cst.Name) and (origins | read):
                made[name.value] = origins | read
    given = [node.value for node in nodes_in(item.node.body) if isinstance(node, cst.Return) and node.value is not None]
    handed = {read for value in given for name in names_in(value) for read in made.get(name, ())}
    turned = {read for _, origins in calls for read in origins}
    if (handed & grey) - turned:
        yield from ((call, item) for call, origins in calls if origins and origins.isdisjoint(grey))
