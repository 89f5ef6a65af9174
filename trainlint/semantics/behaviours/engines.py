"""Training engines as callers: which hooks they run, in which modes, and on which data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics.behaviours.layers import set_mode
from trainlint.semantics.behaviours.training import run_backward, stepped
from trainlint.semantics.library import Call, as_tensor, behaviour
from trainlint.semantics.modules import carried
from trainlint.semantics.values import (
    FALSE,
    NONE,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    DictObject,
    Function,
    Instance,
    ListObject,
    Method,
    Number,
    Tensor,
    Tuple,
    Union,
    Value,
    join_all,
    options,
    truth,
)

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter


# ------------------------------------------------------------------------ Lightning


def hook(owner: Value | None, name: str) -> Function | None:
    """A method of the project's own class that an engine calls by its name."""
    found = owner.cls.find(name) if isinstance(owner, Instance) and isinstance(owner.cls, Class) else None
    return found if isinstance(found, Function) else None


def run_hook(interp: Interpreter, owner: Value | None, name: str, *given: Value) -> Value | None:
    """What a hook returns; None where there is no such hook."""
    function = hook(owner, name)
    return None if function is None or owner is None else run(interp, Method(owner, name, function), *given)


def run(interp: Interpreter, callee: Value, *given: Value) -> Value:
    """Call a function of the project as an engine does, with as many of the arguments as it takes."""
    from trainlint.semantics.interpreter import Arguments

    function = behind(callee)
    if function is None:
        return UNKNOWN
    params = function.node.params
    any_number = isinstance(params.star_arg, cst.Param)
    room = len(given) if any_number else max(len(params.params) - isinstance(callee, Method), 0)
    return interp.call(callee, Arguments(list(given[:room])), function.node)


def behind(callee: Value | None) -> Function | None:
    """The function of the project that a callable runs."""
    if isinstance(callee, Method):
        return callee.function
    return callee if isinstance(callee, Function) else None


@contextmanager
def inside(interp: Interpreter, function: Function | None) -> Iterator[None]:
    """Be at a hook's own file, where the engine's loops around it are told of."""
    from trainlint.semantics.interpreter import Frame

    if function is None:
        yield
        return
    outer = interp.frame
    interp.frame = Frame(function.space.attrs, (), function.space, None, interp.journal.mark())
    try:
        yield
    finally:
        interp.frame = outer


def served(interp: Interpreter, module: Value | None, data: Value | None, given: Value | None, part: str) -> Value:
    """The loader that an engine takes for a part of the data: given to it, or of a hook."""
    if given is not None and given.key != NONE.key:
        return given
    for owner in (data, module):
        loader = run_hook(interp, owner, f"{part}_dataloader")
        if loader is not None:
            return loader
    return NONE


def loaders_in(interp: Interpreter, value: Value) -> list[Instance]:
    """The loaders among what a hook returns: one, or several in a container."""
    if isinstance(value, DictObject):
        found = [v for _, v in value.known()]
    else:
        found = list(interp.known_items(value) or options(value)) if value.__class__ is not Instance else [value]
    return [v for v in found if isinstance(v, Instance) and v.family == "loader"]


def lightning(
    interp: Interpreter,
    module: Instance | None,
    data: Value | None,
    train: Value | None = None,
    val: Value | None = None,
    test: Value | None = None,
    trainer: Value | None = None,
    named: Any = None,
) -> None:
    """What `Trainer.fit` and then `Trainer.test` do with a module, a data module, or both. What a trial validates on
    is no matter: nobody asks it what the model is worth. `named` is the expression that the validation data came by."""
    trial = is_trial(trainer)
    tests = test is not None or hook(module, "test_step") or any(hook(o, "test_dataloader") for o in (module, data))
    for stage in ("fit", "test") if tests else ("fit",):
        for owner in (data, module):
            run_hook(interp, owner, "prepare_data")
            run_hook(interp, owner, "setup", Const(stage))
        if stage == "fit":
            trained = served(interp, module, data, train, "train")
            held_out = NONE if trial else served(interp, module, data, val, "val")
            learn(interp, module, data, trained, begin(interp, module, trainer))
            judge(interp, module, data, held_out, "validation_step", "val_dataloader")
            if trained is not NONE and held_out is not NONE:
                judged = loaders_in(interp, held_out)
                interp.emit("validated", (loaders_in(interp, trained), judged, named))
                if isinstance(trainer, Instance) and interp.region is not None:
                    interp.event("watched", named or interp.region.node, trainer, judged, named)
        else:
            tested = served(interp, module, data, test, "test")
            judge(interp, module, data, tested, "test_step", "test_dataloader")
            if test is None and tested is not NONE and interp.region is not None:
                interp.event("tested", interp.region.node, loaders_in(interp, tested))


def learn(interp: Interpreter, module: Instance | None, data: Value | None, loader: Value, optimizer: Value) -> None:
    """An epoch of training, run by the engine: forward and loss are the module's, all else is the engine's."""
    step = hook(module, "training_step")
    place = step or hook(data, "train_dataloader")
    if place is None:
        return
    if module is not None:
        set_mode(interp, module, TRUE)
        for name in ("on_train_start", "on_train_epoch_start"):
            run_hook(interp, module, name)
    for number, one in in_turn(step, optimizer):
        turn = () if number is None else (Const(number),)
        with inside(interp, place), interp.in_region("loop", place.node, loader):
            loss: Value = UNKNOWN
            if module is not None and step is not None:
                interp.write(interp.flags, "grad", TRUE)
                given = (batch_of(interp, loader), Number(0, integer=True), *turn)
                run_hook(interp, module, "on_train_batch_start", *given[:2])
                loss = run_hook(interp, module, "training_step", *given) or loss
                interp.emit("training_loss", (step.node, loss))
                interp.emit("training_step", (step, module, loss, interp.region))
                interp.event("escape", step.node, (loss,))
                if not automatic(module):
                    run_hook(interp, module, "training_step", batch_of(interp, loader), Number(0, integer=True))
                    return
            interp.event("clear", place.node, None)
            interp.event("backward", place.node, loss_in(loss), None, True)
            stepped(interp, place.node, one)


def loss_in(given: Value) -> Tensor:
    """What Lightning runs backward of what `training_step` gives: None skips the batch."""
    found = [one.attrs.get("loss", UNKNOWN) if isinstance(one, DictObject) else one for one in options(given)]
    loss = join_all(one for one in found if one.key != NONE.key)
    return loss if isinstance(loss, Tensor) else Tensor()


def in_turn(step: Function | None, optimizer: Value) -> list[tuple[int | None, Value]]:
    """What steps after a batch: the optimizer, or in Lightning 1 each of several with a loss of its own, for which the
    hook is called with its number. The gradients of the others are not kept."""
    if step is not None and asks_whose_turn(step) and isinstance(optimizer, Tuple):
        return [(i, one if isinstance(one, Instance) else UNKNOWN) for i, one in enumerate(optimizer.items)]
    return [(None, optimizer if isinstance(optimizer, Instance) else UNKNOWN)]


def asks_whose_turn(step: Function) -> bool:
    """Whether a `training_step` takes the number of an optimizer, if only for that of a base class."""
    params = step.node.params
    if [param.name.value for param in params.params[3:4]] == ["optimizer_idx"]:
        return True
    bases = step.owner.bases if step.owner is not None and isinstance(params.star_arg, cst.Param) else ()
    above = (base.find("training_step") for base in bases if isinstance(base, Class))
    return any(isinstance(other, Function) and asks_whose_turn(other) for other in above)


def begin(interp: Interpreter, module: Instance | None, trainer: Value | None = None) -> Value:
    """The optimizers that the engine steps. How their schedules are set up is told where the hook runs alone."""
    function = hook(module, "configure_optimizers")
    if module is None or function is None or not automatic(module):
        return UNKNOWN
    reached = id(function.node) in interp.visited
    made = made_by(interp, module, function, trainer)
    if not reached:
        interp.visited.discard(id(function.node))
    return made


def judge(
    interp: Interpreter, module: Instance | None, data: Value | None, loader: Value, name: str, source: str
) -> None:
    """An evaluation, run by the engine."""
    step = hook(module, name)
    place = step or hook(data, source)
    if place is None:
        return
    with inside(interp, place), interp.in_region("loop", place.node, loader) as region:
        if module is not None and step is not None:
            set_mode(interp, module, FALSE)
            before = interp.read(interp.flags, "grad")
            interp.write(interp.flags, "grad", FALSE)
            value = run_hook(interp, module, name, batch_of(interp, loader), Number(0, integer=True))
            interp.event("escape", step.node, (value,))
            interp.write(interp.flags, "grad", before)
            set_mode(interp, module, UNKNOWN)
        if not region.has("model"):
            for one in loaders_in(interp, loader):
                interp.event("evaluated", place.node, one)


def batch_of(interp: Interpreter, loader: Value) -> Value:
    """What a loader serves; something unknown that is a batch where that is not in view."""
    value = interp.element_of(loader) if loader is not NONE else UNKNOWN
    if value is not UNKNOWN and not (isinstance(value, Instance) and value.cls is None):
        return value
    batch = Instance(None)
    batch.attrs["$item"] = TRUE
    return batch


def automatic(module: Instance) -> bool:
    """Whether Lightning itself runs backward and step."""
    name = "automatic_optimization"
    wanted = module.attrs.get(name) or (module.cls.find(name) if isinstance(module.cls, Class) else None)
    return wanted is None or truth(wanted) is True


def is_trial(trainer: Value | None) -> bool:
    """Whether a `Trainer` surely runs only to see that the code does, or that a few batches can be learnt by heart."""
    settings = trainer.attrs if isinstance(trainer, Instance) else {}
    return any(truth(settings.get(name, FALSE)) is True for name in ("fast_dev_run", "overfit_batches"))


def configured(value: Value) -> Value:
    """The optimizers among what `configure_optimizers` returns."""
    if isinstance(value, DictObject):
        optimizer: Value = value.attrs.get("optimizer", UNKNOWN)
        return optimizer
    items = value.items if isinstance(value, (Tuple, ListObject)) else None
    if not items:
        return value
    if isinstance(items[0], (Tuple, ListObject)):  # and schedulers beside them
        return configured(items[0])
    found = tuple(configured(item) for item in items)
    return found[0] if len(found) == 1 else Tuple(found)


def made_for(interp: Interpreter, module: Value | None) -> Value:
    """The optimizers of a Lightning module, made once by its hook."""
    function = hook(module, "configure_optimizers")
    if not isinstance(module, Instance) or function is None:
        return UNKNOWN
    made = interp.read(module.attrs, "$optimizers")
    if not isinstance(made, Value):
        made = made_by(interp, module, function)
        interp.write(module.attrs, "$optimizers", made)
    return made


def made_by(interp: Interpreter, module: Instance, function: Function, trainer: Value | None = None) -> Value:
    """The optimizers that the hook of a Lightning module makes. The engine may move the schedulers beside them."""
    given = run_hook(interp, module, "configure_optimizers") or UNKNOWN
    schedulers = (v for v in carried(given) if isinstance(v, Instance) and v.family == "scheduler")
    interp.event("escape", function.node, tuple(schedulers))
    if isinstance(trainer, Instance):
        interp.emit("configured", (function.node, given, trainer.attrs.get("max_epochs")))
    return configured(given)


@behaviour("lightning_optimizers")
def lightning_optimizers(call: Call) -> Value:
    """`self.optimizers()` in a module that steps by itself."""
    return made_for(call.interp, call.receiver)


@behaviour("lightning_hyperparameters")
def hyperparameters(call: Call) -> Value:
    """`self.save_hyperparameters()` in an `__init__`: what it was given, as `self.hparams`."""
    interp, module = call.interp, call.receiver
    function = interp.frame.function
    if not isinstance(module, Instance) or function is None or function is not hook(module, "__init__"):
        return NONE
    given = call.value("arguments", 1)
    if given is None or (isinstance(given, Const) and isinstance(given.value, str)):
        params = function.node.params
        names = [param.name.value for param in (*params.params[1:], *params.kwonly_params)]
        given = Instance(None)
        given.attrs.update((name, interp.frame.env[name]) for name in names if name in interp.frame.env)
    interp.write(module.attrs, "hparams", given)
    return NONE


@behaviour("lightning_backward")
def lightning_backward(call: Call) -> Value:
    loss = call.value("loss", 1)
    run_backward(call.interp, as_tensor(loss) if isinstance(loss, (Tensor, Union)) else Tensor(), call.node)
    return NONE


@behaviour("lightning_trainer")
def lightning_trainer(call: Call) -> Value:
    """`Trainer.from_argparse_args(options, …)`."""
    trainer = Instance(Api("lightning.pytorch.Trainer"), "engine", call.interp.step(call.node, "Trainer"))
    trainer.attrs.update(call.arguments.keywords)
    return trainer


@behaviour("lightning_fit")
def lightning_fit(call: Call) -> Value:
    """`trainer.fit(model, train_dataloaders, val_dataloaders, datamodule)`."""
    module, data = call.value("model", 1), call.value("datamodule")
    train, val = call.value("train_dataloaders", 2), call.value("val_dataloaders", 3)
    if hook(train, "train_dataloader") is not None:
        data, train = train, None
    if isinstance(module, Instance) and hook(module, "training_step") is not None:
        named = None if val is None else call.argument("val_dataloaders", 3)
        lightning(call.interp, module, data, train, val, trainer=call.receiver, named=named)
        call.interp.event("escape", call.node, (module,))
    return NONE


@behaviour("lightning_test")
def lightning_test(call: Call) -> Value:
    """`trainer.test(model, dataloaders)`: what the model is worth."""
    interp = call.interp
    loader = served(interp, None, call.value("datamodule"), call.value("dataloaders", 2), "test")
    interp.event("tested", call.node, loaders_in(interp, loader))
    return UNKNOWN
