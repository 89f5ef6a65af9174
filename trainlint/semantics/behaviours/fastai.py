"""fastai: learners, which bring a model, a loss and data together and fit the model."""

from __future__ import annotations

from typing import Any

import libcst as cst

from trainlint.semantics.behaviours.keras import as_part
from trainlint.semantics.behaviours.layers import set_mode
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.values import NONE, UNKNOWN, Api, Instance, Tensor, Value
from trainlint.syntax.code import keyword

RATES = ("lr", "lr_max", "base_lr")  # what methods that fit call their rate


@behaviour("learner_fit")
def fit(call: Call) -> Value:
    """A learner fits its model, at the highest of its rates."""
    learner = call.receiver
    if not isinstance(learner, Instance):
        return NONE
    judge(call, learner)
    model = learner.attrs.get("model")
    if isinstance(model, Instance):
        set_mode(call.interp, model, UNKNOWN)
        call.interp.event("escape", call.node, (model,))
    given = [*call.arguments.positional[2:3], *(call.arguments.keywords.get(name) for name in RATES)]
    rate = next((value for value in given if value is not None), None)
    if rate is not None and "opt_func" not in learner.attrs and "$open" not in learner.attrs:
        optimizer = Instance(Api("torch.optim.Adam"), "engine_optimizer", call.interp.step(call.node, "fit"))
        optimizer.attrs["learning_rate"] = rate
        call.interp.event("rated", call.node, optimizer)
    return NONE


def judge(call: Call, learner: Instance) -> None:
    """Give the loss what the model of a learner makes of a batch."""
    from trainlint.semantics.interpreter import Arguments

    model, loss = learner.attrs.get("model"), learner.attrs.get("loss_func")
    if not isinstance(model, Instance) or not isinstance(loss, Value) or model.cls is None:
        return
    with as_part(call.interp):
        scores = call.interp.call(model, Arguments([Tensor()]), call.node)
    if isinstance(scores, Tensor):
        node = told(call, learner)
        call.interp.call(loss, Arguments([scores, Tensor()], nodes=[node, node]), call.node)


def told(call: Call, learner: Instance) -> Any:
    """Where a learner was told its loss, or fits."""
    born = learner.born
    given = keyword(born.node, "loss_func") if born is not None and isinstance(born.node, cst.Call) else None
    return given if given is not None and born is not None and born.space is call.interp.frame.space else call.node
