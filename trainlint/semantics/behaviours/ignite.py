"""Ignite's engines, which call one function for each batch of what they run on, and handlers in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainlint.semantics.behaviours.engines import batch_of, behind, inside, run
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.modules import contents
from trainlint.semantics.values import NONE, UNKNOWN, Instance, ListObject, Method, Tensor, Tuple, Value, const, options

if TYPE_CHECKING:
    pass

HANDLERS = "$handlers"


@behaviour("process_run")
def process_run(call: Call) -> Value:
    """`engine.run(data)`: batch after batch for its function, which one engine may do within another, and then what
    was registered with it."""
    interp, engine, data = call.interp, call.receiver, call.value("data", 1) or NONE
    if not isinstance(engine, Instance):
        return UNKNOWN
    process = engine.attrs.get("process_function", UNKNOWN)
    function = behind(process)
    if function is not None:
        with inside(interp, function), interp.in_region("loop", function.node, data):
            for _ in range(2):
                output = run(interp, process, engine, batch_of(interp, data))
                for part in contents(output)[:-1] if isinstance(output, (Tuple, ListObject)) else ():
                    for scores in contents(part) if isinstance(part, (Tuple, ListObject)) else (part,):
                        if isinstance(scores, Tensor):
                            interp.event("compare", function.node, scores)  # metrics take the pair apart
    handlers, epochs = registered(interp.read(engine.attrs, HANDLERS)), call.value("max_epochs", 2)
    with interp.in_region("handlers", call.node) as region:
        for handler in handlers:
            run(interp, handler, engine)
    if region.has("step") and epochs is not None and const(epochs) != 1 and function is not None:
        with inside(interp, function), interp.in_region("loop", function.node):
            for handler in handlers:  # what learns at the end of each epoch
                run(interp, handler, engine)
    return UNKNOWN


def registered(handlers: object) -> tuple[Value, ...]:
    """What is registered with an engine, be it under some condition."""
    found = options(handlers) if isinstance(handlers, Value) else ()
    return tuple(dict.fromkeys(handler for tuple_ in found if isinstance(tuple_, Tuple) for handler in tuple_.items))


@behaviour("process_handler")
def process_handler(call: Call) -> Value:
    """`engine.add_event_handler(event, handler)`."""
    engine, handler = call.receiver, call.value("handler")
    if isinstance(engine, Instance) and behind(handler) is not None:
        assert handler is not None
        call.interp.write(engine.attrs, HANDLERS, Tuple((*registered(engine.attrs.get(HANDLERS)), handler)))
    return UNKNOWN


@behaviour("process_on")
def process_on(call: Call) -> Value:
    """`@engine.on(event)`."""
    return Method(call.receiver, "handled_by") if isinstance(call.receiver, Instance) else UNKNOWN
