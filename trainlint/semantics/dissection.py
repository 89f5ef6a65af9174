"""A second look at a forward pass, layer by layer: which layers does no gradient reach?

The first look ties what a model gives to the model as a whole, which is what most questions are about. Where an
operation in it stopped gradients, the pass is interpreted once more with each layer tied to what it gives, as models
are otherwise. Nothing that happens then is told to anybody or kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trainlint.semantics.values import (
    ELSEWHERE,
    UNKNOWN,
    Dep,
    DictObject,
    Instance,
    ListObject,
    Sequence,
    Step,
    Tensor,
    Tuple,
    Union,
    Value,
    join_all,
)

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Arguments, Interpreter

Unreached = tuple[tuple[Instance, Step], ...]


def unreached(interp: Interpreter, module: Instance, arguments: Arguments, node: Any) -> Unreached:
    """The layers from which all ways to what a module gives lead through an operation that stops gradients, each with
    that operation. None where a way may lead through code out of view, or where no layer is reached."""
    values = look_again(interp, module, arguments, node)
    deps: set[Dep] = set()
    for tensor in (tensor for value in values for tensor in tensors_in(value)):
        if tensor is None:
            return ()
        deps |= tensor.deps
    reached = {id(dep.module) for dep in deps if dep.live}
    if ELSEWHERE in deps or not reached:
        return ()
    reached.add(id(module))  # as a whole, it gave what it keeps from the call before
    stopped = {dep.module: dep.cut for dep in deps if dep.cut is not None and id(dep.module) not in reached}
    return tuple((layer, stopped[layer]) for layer in sorted(stopped, key=lambda layer: layer.number))


def runs_quietly(interp: Interpreter, module: Instance, arguments: Arguments, node: Any) -> bool:
    """Whether all layers that what a model gives comes from run where gradients are not recorded."""
    tensors = [tensor for value in look_again(interp, module, arguments, node)[:1] for tensor in tensors_in(value)]
    deps = {dep for tensor in tensors if tensor is not None for dep in tensor.deps}
    return None not in tensors and bool(deps) and not any(dep.live or dep.cut is not None for dep in deps)


def look_again(interp: Interpreter, module: Instance, arguments: Arguments, node: Any) -> list[Value]:
    """What a module gives, and what it keeps, with the layers tied to it."""
    from trainlint.semantics.behaviours.layers import run_forward
    from trainlint.semantics.library import modules_in

    library, mark = interp.library, interp.journal.mark()
    quiet: dict[str, Any] = {"emit": lambda kind, fact: None, "region": None, "memos": {}, "dissecting": True}
    quiet |= {"runs": {}, "spent": {k: list(v) for k, v in interp.spent.items()}, "reads": []}
    quiet |= {"steps": interp.steps, "aside": interp.aside}
    before = {name: getattr(interp, name) for name in quiet}
    on_call, library.on_call = library.on_call, lambda call: None
    for name, value in quiet.items():
        setattr(interp, name, value)
    interp.module_depth += 1
    try:
        result = run_forward(interp, module, arguments, node)
        inside = {id(inner.attrs) for inner in modules_in(module)}
        written = interp.journal.delta(mark).values()
        return [
            result,
            *(v for where, name, v in written if id(where) in inside and v.__class__ in (Tensor, ListObject)),
        ]
    finally:
        interp.module_depth -= 1
        for name, value in before.items():
            setattr(interp, name, value)
        library.on_call = on_call
        interp.journal.undo(mark)


def tensors_in(value: Value, depth: int = 0) -> Iterator[Tensor | None]:
    """The tensors that a value holds; None for what may hold any."""
    if isinstance(value, Tensor):
        yield value
    elif value is UNKNOWN or depth > 4:
        yield None
    else:
        for inner in parts_of(value):
            yield from tensors_in(inner, depth + 1)


def parts_of(value: Value) -> list[Value]:
    if isinstance(value, (Tuple, ListObject)):
        return list(value.items) if value.items is not None else [value.attrs["element"]]
    if isinstance(value, Sequence):
        return [value.element, *([] if value.first is None else [value.first])]
    if isinstance(value, DictObject):
        return [entry for _, entry in value.known()]
    if isinstance(value, Union):
        return list(value.options)
    if isinstance(value, Instance) and value.family != "module":
        return [entry for entry in value.attrs.values() if isinstance(entry, Value)]
    return []


def tied(interp: Interpreter, layer: Instance, value: Value, node: Any) -> Value:
    """What a layer gives, with its parameters among what gradients reach from there."""
    if isinstance(value, Tensor):
        recorded = interp.grad is not False
        return value.but(graph=recorded, deps=value.deps | {Dep(layer, None, node, recorded)})
    if isinstance(value, Tuple):
        return Tuple(tuple(tied(interp, layer, item, node) for item in value.items), value.names)
    if isinstance(value, Sequence):
        first = None if value.first is None else tied(interp, layer, value.first, node)
        return Sequence(tied(interp, layer, value.element, node), value.source, first)
    if isinstance(value, Union):
        return join_all(tied(interp, layer, option, node) for option in value.options)
    return value
