"""skorch: estimators of scikit-learn's kind around a module, with a loss and an optimizer that they make themselves."""

from __future__ import annotations

from typing import Any

import libcst as cst

from trainlint.semantics.behaviours.keras import as_part
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.values import NONE, UNKNOWN, Api, Class, Instance, ListObject, Tensor, Tuple, Value
from trainlint.syntax.code import keyword, names_in

# What they judge by where no loss is named.
DEFAULTS = {
    "NeuralNetBinaryClassifier": "torch.nn.BCEWithLogitsLoss",
    "NeuralNetRegressor": "torch.nn.MSELoss",
    "EEGRegressor": "torch.nn.MSELoss",
    "NeuralNetClassifier": "torch.nn.NLLLoss",
}


def fitted(call: Call) -> None:
    """A net is fitted: its module runs, its loss gets what that gives, and its optimizer steps."""
    net = net_in(call.receiver)
    if net is None or net.born is None:
        return
    names = [path.rpartition(".")[2] for path in (net.cls.api if isinstance(net.cls, Class) else (net.api_path,))]
    own = {name for name in OWN_STEPS if isinstance(net.cls, Class) and net.cls.find(name) is not None}
    if "get_loss" not in own:
        judge(call, net, names)
    if own or is_clipped(net):
        return
    optimizer, rate = net.attrs.get("optimizer"), net.attrs.get("optimizer__lr", net.attrs.get("lr"))
    if isinstance(optimizer, Api) and isinstance(rate, Value):
        stepping = Instance(optimizer, "optimizer", net.born)
        stepping.attrs["lr"] = rate
        call.interp.event("rated", call.node, stepping)


OWN_STEPS = ("get_loss", "train_step", "train_step_single", "initialize_optimizer")


def is_clipped(net: Instance) -> bool:
    """Whether callbacks of a net may clip its gradients, which lets it learn at high rates."""
    given = keyword(net.born.node, "callbacks") if net.born is not None else None
    return given is not None and (
        not isinstance(given, (cst.List, cst.Tuple)) or any("Clip" in name for name in names_in(given))
    )


def net_in(estimator: Value | None, depth: int = 0) -> Instance | None:
    """The net that an estimator is, or is around: as the last step of a pipeline, or in a search."""
    if not isinstance(estimator, Instance) or depth > 3:
        return None
    if "module" in estimator.attrs:
        return estimator
    steps = estimator.attrs.get("steps")
    last = steps.items[-1] if isinstance(steps, ListObject) and steps.items else None
    inner = last.items[1] if isinstance(last, Tuple) and len(last.items) == 2 else estimator.attrs.get("estimator")
    return net_in(inner, depth + 1) if isinstance(inner, Value) else None


def judge(call: Call, net: Instance, names: list[str]) -> None:
    from trainlint.semantics.interpreter import Arguments

    default = next((DEFAULTS[name] for name in names if name in DEFAULTS), None)
    loss = part(call, net, "criterion", Api(default) if default else UNKNOWN)
    if not isinstance(loss, Instance):
        return
    module = part(call, net, "module", UNKNOWN)
    if not isinstance(module, Instance):
        return
    with as_part(call.interp):
        scores = call.interp.call(module, Arguments([Tensor()]), call.node)
    first = scores.items[0] if isinstance(scores, Tuple) and scores.items else scores
    node = told(call, net)
    if isinstance(first, Tensor) and loss.describe() == "NLLLoss" and any("Classifier" in name for name in names):
        call.interp.library.need("keras")
        row = call.interp.library.row("keras.crossentropy")  # a classifier takes the logarithm for this loss
        assert row is not None
        given = Arguments([first, Tensor()], nodes=[node, node])
        call.interp.library.perform(call.interp, row, given, call.node, actual="skorch.NLLLoss")
    elif isinstance(first, Tensor):
        call.interp.call(loss, Arguments([first, Tensor()], nodes=[node, node]), call.node)


def told(call: Call, net: Instance) -> Any:
    """Where a net was told its loss, or is fitted."""
    born = net.born
    given = keyword(born.node, "criterion") if born is not None and isinstance(born.node, cst.Call) else None
    return given if given is not None and born is not None and born.space is call.interp.frame.space else call.node


def part(call: Call, net: Instance, name: str, default: Value) -> Value:
    """The module or the loss of a net, made of the options that begin with its name where it is given as a class."""
    from trainlint.semantics.interpreter import Arguments

    given, start = net.attrs.get(name, default), f"{name}__"
    if not isinstance(given, (Class, Api)):
        return given if isinstance(given, Value) else UNKNOWN
    options = {k.removeprefix(start): v for k, v in net.attrs.items() if isinstance(k, str) and k.startswith(start)}
    return call.interp.call(given, Arguments([], options), call.node)


@behaviour("skorch_split")
def predefined(call: Call) -> Value:
    """`predefined_split(dataset)`: what a net is judged on while it learns."""
    made = Instance(Api(call.actual), "skorch_split", call.interp.step(call.node, call.short_name))
    made.attrs["dataset"] = call.value("dataset", 0) or NONE
    return made
