"""What decorators make of functions and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics.values import (
    UNKNOWN,
    Api,
    Class,
    Function,
    Instance,
    Method,
    Partial,
    Union,
    Value,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import is_name

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter


def guarded(function: Value, guard: Any) -> Value:
    """A function each call of which enters a context manager."""
    if not isinstance(function, Function):
        return function
    return varied(function, function.defaults, (*function.guards, guard))


def varied(function: Function, defaults: dict[str, Value], guards: tuple[Any, ...]) -> Function:
    """A function with other defaults, or other contexts around it."""
    wrapped = Function(function.name, function.node, function.space, function.closure, defaults, function.owner)
    wrapped.guards = guards
    return wrapped


def decorate(interp: Interpreter, decorator: Value, function: Value, node: Any) -> Value:
    """What a decorator makes of a function or class."""
    from trainlint.semantics.interpreter import Arguments

    if isinstance(decorator, Api):
        last = decorator.path.rpartition(".")[2]
        if last in ("staticmethod", "classmethod", "property", "cached_property"):
            wrapper = Instance(None, "property" if last == "cached_property" else last)
            wrapper.attrs["function"] = function
            return wrapper
        if last == "contextmanager":
            return guarded(function, "contextmanager")
        row = interp.library.row(decorator.path)
        if row is not None and (last in ("no_grad", "inference_mode", "enable_grad") or row.raw.get("decorates")):
            return interp.library.call(interp, decorator.path, Arguments([function]), node)
        if decorator.path.partition(".")[0] in interp.library.harmless | {
            "hydra",
            "click",
            "typer",
            "pytest",
            "numba",
            "overrides",
            "typing_extensions",
        }:
            return function
        unsure = Instance(None, "context")  # what it puts around the function is out of view
        unsure.attrs["$grad"] = UNKNOWN
        return guarded(function, unsure)
    if isinstance(node, cst.Attribute) and node.attr.value in ("getter", "setter", "deleter"):
        owner = interp.peek(node.value)
        if isinstance(owner, Instance) and owner.family == "property":
            wrapper = Instance(None, "property")
            kept = "function" if node.attr.value == "getter" else f"${node.attr.value}"
            wrapper.attrs.update(owner.attrs | {kept: function})
            return wrapper
    if isinstance(decorator, Instance) and "$grad" in decorator.attrs:
        return guarded(function, decorator)
    if isinstance(decorator, Instance) and "$option" in decorator.attrs and isinstance(function, Function):
        return varied(function, {**function.defaults, **decorator.attrs["$option"]}, function.guards)
    if isinstance(decorator, Instance) and "$config" in decorator.attrs and isinstance(function, Function):
        from trainlint.semantics.behaviours.configs import configured

        return varied(function, configured(decorator, function), function.guards)
    if isinstance(decorator, (Function, Method, Partial)) or (
        isinstance(decorator, Instance) and isinstance(decorator.cls, Class)
    ):
        result = interp.call(decorator, Arguments([function]), node)
        if isinstance(result, Union) and all(isinstance(o, Function) for o in result.options):
            result = result.options[0]
        if isinstance(result, Function) and hands_through(interp, result, function):
            return function
        if isinstance(result, (Function, Class, Method, Partial, Instance)):
            return result
    return function


# What surely leaves models, data and random numbers alone.
HARMLESS = frozenset("builtins datetime functools gc logging os sys time tracemalloc typing warnings".split())


def hands_through(interp: Interpreter, wrapper: Function, function: Value) -> bool:
    """Whether a wrapper calls what it is put around once, with all that it is given, and gives what that gives, as one
    does that takes the time: then a call of one is a call of the other."""
    node, params = wrapper.node, wrapper.node.params
    star, stars = params.star_arg, params.star_kwarg
    if not isinstance(node, cst.FunctionDef) or not isinstance(star, cst.Param) or stars is None:
        return False
    if params.params or params.posonly_params or params.kwonly_params or wrapper.guards:
        return False
    given, named = star.name.value, stars.name.value
    results: list[cst.Return] = []
    inner: list[cst.Call] = []
    stored: list[str] = []
    uses = 0
    for part in nodes_in(node.body):
        if isinstance(part, cst.Call):
            inner.append(part)
        elif isinstance(part, cst.Return):
            results.append(part)
        elif isinstance(part, cst.AssignTarget):
            stored.append(getattr(part.target, "value", ""))
        elif isinstance(part, cst.Name):
            uses += part.value in (given, named)
        elif isinstance(part, (cst.If, cst.For, cst.While, cst.With, cst.Try, cst.FunctionDef, cst.Lambda, cst.Yield)):
            return False
    own = [call for call in inner if held_by(wrapper, call.func) is function]
    if len(own) != 1 or len(results) != 1 or uses != 2:
        return False
    stars_in = [(argument.star, getattr(argument.value, "value", "")) for argument in own[0].args]
    if stars_in != [("*", given), ("**", named)]:
        return False
    result = results[0].value
    if result is not own[0]:
        kept = next((n for n in nodes_in(node.body) if isinstance(n, cst.Assign) and n.value is own[0]), None)
        name = kept.targets[0].target if kept is not None and len(kept.targets) == 1 else None
        if not isinstance(name, cst.Name) or not is_name(result, name.value) or stored.count(name.value) != 1:
            return False
    return all(call is own[0] or is_harmless(interp, wrapper, call.func, stored) for call in inner)


def held_by(wrapper: Function, node: Any) -> Value | None:
    """What a name stands for in the body of a function that binds it nowhere itself."""
    if not isinstance(node, cst.Name):
        return None
    found = next((env[node.value] for env in wrapper.closure if node.value in env), None)
    return wrapper.space.attrs.get(node.value) if found is None else found


def is_harmless(interp: Interpreter, wrapper: Function, node: Any, stored: list[str]) -> bool:
    """Whether a function that is called cannot change what a training uses."""
    while isinstance(node, (cst.Attribute, cst.Call)):
        node = node.value if isinstance(node, cst.Attribute) else node.func
    if not isinstance(node, cst.Name) or node.value in stored:
        return isinstance(node, (cst.SimpleString, cst.FormattedString, cst.Name))
    found = held_by(wrapper, node)
    if found is None:
        found = interp.library.builtin(node.value)
    return isinstance(found, Api) and (found.path.partition(".")[0] in HARMLESS or found.path == node.value)
