"""Ignite's engines, which call one function for each batch of what they run on, and handlers in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainlint.semantics.behaviours.engines import batch_of, behind, inside, run
from trainlint.semantics.behaviours.layers import set_mode
from trainlint.semantics.behaviours.training import stepped
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.modules import contents
from trainlint.semantics.values import (
    FALSE,
    NONE,
    TRUE,
    UNKNOWN,
    Api,
    Instance,
    ListObject,
    Method,
    Tensor,
    Tuple,
    Value,
    const,
    options,
)

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter

HANDLERS = "$handlers"
TURN = "$turn"  # of an engine that Ignite makes for a model: what it does with a batch


@behaviour("process_run")
def process_run(call: Call) -> Value:
    """`engine.run(data)`: batch after batch for its function, which one engine may do within another, and then what
    was registered with it."""
    interp, engine, data = call.interp, call.receiver, call.value("data", 1) or NONE
    if not isinstance(engine, Instance):
        return UNKNOWN
    process = engine.attrs.get("process_function", UNKNOWN)
    function = behind(process)
    with interp.in_region("epochs", call.node):
        batches_of(call, engine, data)
        handlers, epochs = registered(interp.read(engine.attrs, HANDLERS)), call.value("max_epochs", 2)
        with interp.in_region("handlers", call.node) as region:
            for handler in handlers:
                run(interp, handler, engine)
        several = epochs is not None and const(epochs) != 1
        if several and function is not None and any(event.training is False for event in region.of("mode")):
            with inside(interp, function), interp.in_region("loop", function.node, data):
                run(interp, process, engine, batch_of(interp, data))  # the next epoch begins
    if region.has("step") and several and function is not None:
        with inside(interp, function), interp.in_region("loop", function.node):
            for handler in handlers:  # what learns at the end of each epoch
                run(interp, handler, engine)
    return UNKNOWN


def batches_of(call: Call, engine: Instance, data: Value) -> None:
    """The turns over the batches of an epoch."""
    interp, process, turn = call.interp, engine.attrs.get("process_function", UNKNOWN), engine.attrs.get(TURN)
    function = behind(process)
    if turn is not None and engine.born is not None and engine.born.space is interp.frame.space:
        with interp.in_region("loop", place_of(interp), data):
            for _ in range(2):
                turn(batch_of(interp, data))
    if function is not None:
        with inside(interp, function), interp.in_region("loop", function.node, data):
            for _ in range(2):
                output = run(interp, process, engine, batch_of(interp, data))
                for part in contents(output)[:-1] if isinstance(output, (Tuple, ListObject)) else ():
                    for scores in contents(part) if isinstance(part, (Tuple, ListObject)) else (part,):
                        if isinstance(scores, Tensor):
                            interp.event("compare", function.node, scores)  # metrics take the pair apart


@behaviour("supervised_trainer")
def supervised_trainer(call: Call) -> Value:
    """An engine that trains a model: forward, loss, backward, step, gradients cleared before."""
    from trainlint.semantics.interpreter import Arguments

    interp, engine = call.interp, Instance(Api("ignite.engine.Engine"), "process", call.interp.step(call.node, "made"))
    model, optimizer = call.value("model", 0) or UNKNOWN, call.value("optimizer", 1) or UNKNOWN
    loss_of, at = call.value("loss_fn", 2) or UNKNOWN, call.argument("loss_fn", 2)

    def turn(batch: Value) -> None:
        x, y = interp.items_for(batch, 2)
        if isinstance(model, Instance):
            set_mode(interp, model, TRUE)
        interp.write(interp.flags, "grad", TRUE)
        interp.event("clear", call.node, None)
        scores = interp.call(model, Arguments([x], nodes=[call.argument("model", 0)]), call.node)
        loss = interp.call(loss_of, Arguments([scores, y], nodes=[at, at]), call.node)
        interp.event("backward", call.node, loss if isinstance(loss, Tensor) else Tensor(), None, True)
        stepped(interp, call.node, optimizer)

    engine.attrs[TURN] = turn
    return engine


@behaviour("supervised_evaluator")
def supervised_evaluator(call: Call) -> Value:
    """An engine that runs a model in eval mode, without gradients, and hands what it gives to metrics."""
    from trainlint.semantics.interpreter import Arguments

    interp, engine = call.interp, Instance(Api("ignite.engine.Engine"), "process", call.interp.step(call.node, "made"))
    model = call.value("model", 0) or UNKNOWN

    def turn(batch: Value) -> None:
        if isinstance(model, Instance):
            set_mode(interp, model, FALSE)
        before = interp.read(interp.flags, "grad")
        interp.write(interp.flags, "grad", FALSE)
        x = interp.items_for(batch, 2)[0]
        scores = interp.call(model, Arguments([x], nodes=[call.argument("model", 0)]), call.node)
        interp.write(interp.flags, "grad", before)
        interp.event("compare", call.node, scores if isinstance(scores, Tensor) else Tensor())

    engine.attrs[TURN] = turn
    return engine


def place_of(interp: Interpreter) -> Any:
    """The code that stands for an engine's loop: the function at hand, or the program."""
    if interp.frame.function is not None:
        return interp.frame.function.node
    region = interp.region
    while region is not None and region.parent is not None:
        region = region.parent
    return region.node if region is not None else None


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
