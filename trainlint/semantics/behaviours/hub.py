"""Hugging Face: data sets by their parts, and metrics."""

from __future__ import annotations

from typing import Any

import libcst as cst

from trainlint.semantics.behaviours.data import dataset_part, predicted, sameness
from trainlint.semantics.behaviours.engines import behind, hook, run
from trainlint.semantics.behaviours.layers import set_mode
from trainlint.semantics.behaviours.training import stepped
from trainlint.semantics.library import Call, behaviour, builtin
from trainlint.semantics.values import (
    ANSWERS,
    FALSE,
    LOGITS,
    NO_DATA,
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
    Partial,
    Shape,
    Step,
    Tensor,
    Tuple,
    Value,
    bounds,
    const,
    not_none,
    options,
    truth,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, keyword

PARTS = {"train": "train", "validation": "val", "test": "test"}


def dataset(call: Call, part: str = "") -> Instance:
    data = Instance(Api("datasets.Dataset"), "dataset", call.interp.step(call.node, call.short_name))
    if part in PARTS:
        data.attrs["$part"] = PARTS[part]
    return data


@behaviour("hub_data")
def hub_data(call: Call) -> Value:
    """`load_dataset(…)`: one part, or all that there may be."""
    split = call.value("split")
    if truth(call.value("streaming") or FALSE) is not False:
        return Instance(None)
    if split is not None and split.key != NONE.key:
        return asked_for(call, split)
    parts = DictObject({name: loaded(call, name) for name in PARTS})
    parts.attrs[DictObject.REST] = UNKNOWN
    return parts


def asked_for(call: Call, split: Value) -> Value:
    """What `split=` asks for: a part, some of its rows, or several of these."""
    if isinstance(split, (ListObject, Tuple)) and split.items is not None:
        return Tuple(tuple(asked_for(call, one) for one in split.items))
    name = const(split)
    if not isinstance(name, str):
        return Instance(None)
    if name.isalpha():
        return loaded(call, name)
    stem, _, rows = name.partition("[")
    few = dataset(call)
    few.attrs["$few"] = TRUE  # some rows of a part, perhaps just to try
    if "+" not in name and stem.isalpha():
        few.attrs.update({"dataset": loaded(call, stem), "$indices": Const(rows)})
    return few


def loaded(call: Call, part: str) -> Instance:
    """A part of the data of that name, which is the same whenever it is asked for."""
    data = dataset(call, part)
    if not call.arguments.open:
        given = (call.value(name) or NONE for name in call.row.params if name != "split")
        data.attrs["$made"] = ("load_dataset", *map(sameness, given), part)
    return data


@behaviour("hub_stored")
def hub_stored(call: Call) -> Value:
    """`load_from_disk(…)`: one part, or several by their names."""
    stored = dataset(call)
    stored.attrs["$parts"] = dataset(call)
    return stored


@builtin(
    "dict.map", "dict.cast_column", "dict.remove_columns", "dict.rename_column", "dict.rename_columns",
    "dict.select_columns", "dict.with_format", "dict.set_format", "dict.cast", "dict.class_encode_column",
    "dict.flatten", "dict.align_labels_with_mapping", "dict.flatten_indices", "dict.sort",
)  # fmt: skip
@behaviour("hub_kept")
def hub_kept(call: Call) -> Value:
    """The same rows, in the same order or in that of a column."""
    return call.first


@builtin("dict.shuffle", "dict.filter", "dict.with_transform", "dict.set_transform")
def of_each(call: Call) -> Value:
    """A method of a `DatasetDict`, which goes to all of its parts."""
    parts, name = call.receiver, call.path.removeprefix("dict.")
    assert isinstance(parts, DictObject)
    given = call.arguments.without_first()
    made: dict[Any, Value] = {}
    for key, part in parts.known():
        if not isinstance(part, Instance) or part.family != "dataset":
            return UNKNOWN
        made[key] = call.interp.library.call_method(call.interp, Method(part, name), given, call.node)
    if DictObject.REST in parts.attrs:
        made[DictObject.REST] = UNKNOWN
    return NONE if name == "set_transform" else DictObject(made)


@behaviour("hub_filtered")
def hub_filtered(call: Call) -> Value:
    """Some of the rows."""
    made, whole = dataset(call), call.receiver
    if isinstance(whole, Instance) and "$part" in whole.attrs:
        made.attrs["$part"] = whole.attrs["$part"]
    return made


@behaviour("hub_shuffled")
def hub_shuffled(call: Call) -> Value:
    """The same rows in a random order."""
    made, whole = dataset(call), call.receiver
    if isinstance(whole, Instance):
        made.attrs["dataset"], made.attrs["$shuffled"] = whole, TRUE
    return made


@behaviour("hub_chosen")
def hub_chosen(call: Call) -> Value:
    """The rows at some places."""
    made, indices, whole = dataset(call), call.value("indices", 1), call.receiver
    if isinstance(indices, Value) and isinstance(whole, Instance):
        made.attrs["dataset"] = whole
        made.attrs["$indices"] = indices
    return made


@behaviour("hub_joined")
def hub_joined(call: Call) -> Value:
    """The rows of several data sets, or the columns of several."""
    made, axis = dataset(call), call.value("axis")
    if axis is None or const(axis) == 0:
        made.attrs["$members"] = call.first
    return made


@behaviour("hub_split")
def hub_split(call: Call) -> Value:
    whole = call.receiver
    part = dataset_part(whole)
    names = (
        ("validation", "test") if part in ("val", "test") else ("train", "validation" if part == "train" else "test")
    )
    parts = {key: dataset(call, name) for key, name in zip(("train", "test"), names, strict=True)}
    options_given = call.arguments.keywords
    seed, sizes = options_given.get("seed"), [options_given.get(name, NONE) for name in ("test_size", "train_size")]
    drawn: tuple[Any, ...] | None = ("drawn", call.interp.step(call.node, "split"))
    if seed is not None:
        known = all(isinstance(value, Const) for value in (seed, *sizes))
        drawn = ("drawn", "hub", seed.key, *(size.key for size in sizes)) if known else None
    for place, one in enumerate(parts.values()):
        one.attrs.update({"$random": TRUE, "$draw": drawn, "$place": (place, 2)})
        if isinstance(whole, Instance):
            one.attrs["dataset"] = whole
    return DictObject(dict(parts))


@behaviour("hub_transform")
def hub_transform(call: Call) -> Value:
    """Rows that pass a function when they are asked for, and perhaps the transform that it applies."""
    whole, function = call.receiver, call.value("transform", 1)
    if not isinstance(whole, Instance):
        return call.first
    in_place = called(call.node) == "set_transform"
    data = whole if in_place else dataset(call)
    if not in_place:
        data.attrs.update(whole.attrs)
        data.attrs["dataset"] = whole
    function, given = filled_in(function)
    applied = applied_in(function, given) if function is not None else []
    if in_place or len(applied) == 1:
        call.interp.write(data.attrs, "transform", applied[0] if len(applied) == 1 else UNKNOWN)
    if len(applied) == 1 and function is not None and only_applies(function, given):
        call.interp.write(data.attrs, "$alone", TRUE)
    call.interp.emit("dataset", (call.node, data, call))
    return NONE if in_place else data


def filled_in(given: Value | None) -> tuple[Function | None, dict[str, Value]]:
    """A function over rows, and the arguments that `partial`, or a lambda around a call of it, fills in."""
    args: tuple[Value, ...] = ()
    keywords: dict[str, Value] = {}
    while isinstance(given, Partial):
        args, keywords, given = given.args + args, given.keywords | keywords, given.callee
    if not isinstance(given, Function):
        return None, {}
    keywords.update(zip(names_of_params(given), args))
    inner: Any = given.node.body
    if isinstance(given.node, cst.Lambda) and isinstance(inner, cst.Call):
        called_there = value_of(inner.func, given, keywords)
        if isinstance(called_there, Function) and not any(argument.star for argument in inner.args):
            told = [(argument.keyword, value_of(argument.value, given, keywords)) for argument in inner.args]
            names = [*names_of_params(called_there), *("" for _ in told)]
            pairs = ((word.value if word else name, v) for (word, v), name in zip(told, names))
            return called_there, {name: value for name, value in pairs if value is not None}
    return given, keywords


def names_of_params(function: Function) -> list[str]:
    """The names of what a function takes by position."""
    params = function.node.params
    return [param.name.value for param in (*params.posonly_params, *params.params)]


def applied_in(function: Function, given: dict[str, Value]) -> list[Instance]:
    """The transforms around a function, or given to it, that it calls by their names."""
    found: dict[int, Instance] = {}
    body: Any = nodes_in(function.node.body)
    for node in body:
        if isinstance(node, cst.Call) and isinstance(value := value_of(node.func, function, given), Instance):
            if value.family == "transform":
                found[id(value)] = value
    return list(found.values())


def value_of(name: Any, function: Function, given: dict[str, Value]) -> Value | None:
    """What a name stands for that a function is given, or finds around itself."""
    if not isinstance(name, cst.Name):
        return None
    if name.value in given or name.value in names_of_params(function):
        return given.get(name.value)
    scopes = (*reversed(function.closure), function.space.attrs)
    return next((scope[name.value] for scope in scopes if name.value in scope), None)


# Calls of a function over samples that leave the numbers in images as they are.
HARMLESS = frozenset("convert stack append items values pop copy zip list len range enumerate dict tensor".split())


def only_applies(function: Function, arguments: dict[str, Value]) -> bool:
    """Whether the transforms that a function calls by their names are all that it does to images."""
    body: Any = list(nodes_in(function.node.body))
    calls = [node for node in body if isinstance(node, cst.Call)]
    given = {id(transform) for transform in applied_in(function, arguments)}
    others = [node for node in calls if called(node) not in HARMLESS]
    computed = any(isinstance(node, (cst.BinaryOperation, cst.AugAssign)) for node in body)
    return not computed and all(id(value_of(node.func, function, arguments)) in given for node in others)


@behaviour("hub_trainer")
def trainer(call: Call) -> Value:
    """A `Trainer`, which hands all answers of an evaluation to a function for the metrics."""
    made = Instance(Api(call.actual), "engine", call.interp.step(call.node, call.short_name))
    equip(call, made, dict(zip(call.row.params, call.arguments.positional)))
    return made


@behaviour("initialise_engine")
def initialise_engine(call: Call) -> Value:
    """`super().__init__(…)` of a `Trainer` of the project's own."""
    if isinstance(call.first, Instance):
        equip(call, call.first, dict(zip(call.row.params[1:], call.arguments.positional[1:])))
    return NONE


def equip(call: Call, made: Instance, given: dict[str, Value]) -> None:
    """Note what a `Trainer` is made with, and run its function for the metrics."""
    for name, value in (given | call.arguments.keywords).items():
        call.interp.write(made.attrs, name, value)
    if made.born is not None:
        made.attrs["$given"] = made.born._replace(node=keyword(made.born.node, "eval_dataset"))
    measure = call.value("compute_metrics")
    if behind(measure) is not None and measure is not None:
        call.interp.library.need("numpy")  # the arrays are its own, whether the file imports it or not
        model = made.attrs.get("model")
        shape, trace = shape_of_answers(model), trace_of_scores(made)
        answers = Tensor(
            LOGITS if trace else 0, lib="numpy", graph=False, nature=ANSWERS, batched=True, shape=shape, trace=trace,
            data=predicted(call, None),
        )  # fmt: skip
        asked = NO_DATA._replace(tokens=frozenset((id(made),)))
        labels = Tensor(lib="numpy", graph=False, batched=True, data=asked)
        run(call.interp, measure, Tuple((answers, labels), ("predictions", "label_ids")))


# Heads of the hub's models that give scores for each class, and how many axes these have then.
AXES = {
    **dict.fromkeys(("SequenceClassification", "ImageClassification", "AudioClassification", "MultipleChoice"), 2),
    **dict.fromkeys(("TokenClassification", "MaskedLM", "CausalLM"), 3),
}


def shape_of_answers(model: Value | None) -> Shape | None:
    """The axes of what a model answers to samples, where its class tells; their sizes are not known."""
    heads = {const(o.attrs.get("$head", NONE)) if isinstance(o, Instance) else None for o in options(model or UNKNOWN)}
    axes = AXES.get(heads.pop() or "", 0) if len(heads) == 1 else 0
    return (None,) * axes or None


def trace_of_scores(trainer: Instance) -> tuple[Step, ...]:
    """Where the model of a `Trainer` was made, if it answers with its raw scores for several classes."""
    own = isinstance(trainer.cls, Class) and trainer.cls.find("prediction_step")
    return () if own or "preprocess_logits_for_metrics" in trainer.attrs else gives_scores(trainer.attrs.get("model"))


def gives_scores(model: Value | None) -> tuple[Step, ...]:
    """Where a ready-made model was made that answers with raw scores for several classes; with one output only, it may
    be meant for a number."""
    if not isinstance(model, Instance) or not model.born:
        return ()
    classes, task = model.attrs.get("$classes", NONE), const(model.attrs.get("$task", NONE))
    if const(model.attrs.get("$head", NONE)) not in AXES or task == "regression" or bounds(classes)[1] < 2:
        return ()
    several = bounds(classes)[0] > 1 or truth(model.attrs.get("$named", NONE)) is True
    return (model.born,) if several or "$classes" not in model.attrs else ()


@behaviour("hub_train")
def train(call: Call) -> Value:
    """`trainer.train()`: on one data set, while it is judged on another."""
    trainer = call.receiver
    if isinstance(trainer, Instance):
        both = [options(not_none(trainer.attrs.get(name, NONE))) for name in ("train_dataset", "eval_dataset")]
        own = isinstance(trainer.cls, Class) and any(map(trainer.cls.find, LOADERS))
        # Which of several goes with which is known only where they are the same.
        told = all(len(held) == 1 for held in both) or (both[0] and list(map(id, both[0])) == list(map(id, both[1])))
        served = [
            [server(o, trainer) for o in held if isinstance(o, Instance) and o.family == "dataset"] for held in both
        ]
        if told and list(map(len, served)) == list(map(len, both)) and not own and may_judge(trainer):
            written = trainer.attrs.get("$given")
            given = written.node if written is not None and written.space is call.interp.frame.space else None
            call.interp.emit("validated", (served[0], served[1], given))
            call.interp.event("watched", call.node, trainer, served[1], given)
        rated(call, trainer)
        learn(call, trainer)
        leave_mode(call, trainer)
    return UNKNOWN


def leave_mode(call: Call, trainer: Instance) -> None:
    """A ready-made model is left in the mode of training, unless the last thing done was to judge it."""
    model = trainer.attrs.get("model")
    if isinstance(model, Instance) and "$head" in model.attrs:
        call.interp.write(model.attrs, "training", UNKNOWN if may_judge(trainer) else TRUE)
        call.interp.write(model.attrs, "$explicit", TRUE)


def may_judge(trainer: Instance) -> bool:
    """Whether a `Trainer` may judge its model while it trains it, which it does only where a setting says how often."""
    settings = trainer.attrs.get("args")
    if not isinstance(settings, Instance) or settings.family != "engine_settings":
        return True
    return "$open" in settings.attrs or any("eval" in name for name in settings.attrs if isinstance(name, str))


def learn(call: Call, trainer: Instance) -> None:
    """A step of the training of a module of the project's own, which gives its loss itself."""
    interp, model = call.interp, trainer.attrs.get("model")
    function = hook(model, "forward")
    if function is None or not isinstance(model, Instance) or hook(trainer, "compute_loss") is not None:
        return
    from trainlint.semantics.interpreter import Arguments

    batch = NO_DATA._replace(tokens=frozenset((id(trainer),)))
    given: dict[str, Value] = {
        param.name.value: Tensor(graph=False, batched=True, data=batch) for param in function.node.params.params[1:]
    }
    set_mode(interp, model, TRUE)
    with interp.in_region("loop", call.node):
        result = interp.library.call_module(interp, model, Arguments([], given), call.node)
        loss = loss_in(result)
        interp.event("clear", call.node, None)
        interp.event("backward", call.node, loss, None, True)
        interp.emit("backward", (call.node, loss))
        stepped(interp, call.node, UNKNOWN)


def loss_in(result: Value) -> Tensor:
    """The loss among what a model gives to a `Trainer`: under its name, or the first of several."""
    if isinstance(result, (Instance, DictObject)):
        found = result.attrs.get("loss")
    else:
        found = result.items[0] if isinstance(result, Tuple) and result.items else None
    return found if isinstance(found, Tensor) else Tensor(lib="?")


@behaviour("hub_evaluate")
def evaluate(call: Call) -> Value:
    """`trainer.evaluate(…)` or `trainer.predict(…)`: on the data set given, or on the one it was made with."""
    trainer, given = call.receiver, call.arguments.positional[1:] or [*call.arguments.keywords.values()]
    if isinstance(trainer, Instance):
        judged = given[0] if given else trainer.attrs.get("eval_dataset")
        if isinstance(judged, Instance) and judged.family == "dataset":
            call.interp.event("tested", call.node, [server(judged, trainer)])
    return UNKNOWN


LOADERS = ("get_train_dataloader", "get_eval_dataloader")  # with one of its own, a class decides what is served


def rated(call: Call, trainer: Instance) -> None:
    """Note the optimizer that a `Trainer` makes for itself where nothing is said of it but its rate."""
    settings = trainer.attrs.get("args")
    if not isinstance(settings, Instance) or settings.family != "engine_settings":
        return
    rate = settings.attrs.get("learning_rate")
    own = "optimizers" in trainer.attrs or (isinstance(trainer.cls, Class) and trainer.cls.find("create_optimizer"))
    if isinstance(rate, Value) and not own and "optim" not in settings.attrs:
        optimizer = Instance(Api("torch.optim.AdamW"), "engine_optimizer", settings.born)
        optimizer.attrs["learning_rate"] = rate
        model = trainer.attrs.get("model")
        if isinstance(model, Instance) and "$head" in model.attrs and "$adapted" not in model.attrs:
            optimizer.attrs["$ready"] = model
        call.interp.event("rated", call.node, optimizer)


def server(dataset: Instance, trainer: Instance) -> Instance:
    """The loader that a `Trainer` makes for a data set."""
    made = Instance(Api("torch.utils.data.DataLoader"), "loader", trainer.born)
    made.attrs["dataset"] = dataset
    return made


@behaviour("adapted")
def adapted(call: Call) -> Value:
    """`get_peft_model(model, config)`: the model with adapters put into it. What else it had is frozen."""
    model = call.value("model", 0)
    call.interp.library.escape(call.interp, call.arguments, call.node)
    if not isinstance(model, Instance):
        return Instance(None)
    call.interp.event("adapted", call.node, model)
    call.interp.write(model.attrs, "$adapted", TRUE)
    return model


@behaviour("metric")
def metric(call: Call) -> Value:
    return Instance(Api("evaluate.Metric"), "metric", call.interp.step(call.node, call.short_name))


@behaviour("metric_fed")
def metric_fed(call: Call) -> Value:
    """A metric compares predictions with references."""
    predictions = call.value("predictions", 1)
    for option in options(predictions or NONE):
        if isinstance(option, Tensor):
            call.interp.event("compare", call.node, option)
    return UNKNOWN
