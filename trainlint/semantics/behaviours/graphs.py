"""Data sets of graphs: a slice of one is a data set again."""

from __future__ import annotations

from trainlint.semantics.behaviours.data import part_of_arguments, sameness, samples
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.values import (
    INDICES,
    NONE,
    OF_NODES,
    TRUE,
    UNKNOWN,
    Api,
    DictObject,
    Instance,
    Number,
    Tensor,
    Value,
    const,
    measured_on,
)

GRAPHS = "torch_geometric.data.InMemoryDataset"


@behaviour("graphs")
def graphs(call: Call) -> Value:
    """A ready-made data set: many graphs, in the order in which they are stored."""
    data = data_set(call)
    given = {**{str(i): v for i, v in enumerate(call.arguments.positional)}, **call.arguments.keywords}
    data.attrs["$part"] = part_of_arguments(given)
    data.attrs["$made"] = (call.actual, *((k, sameness(v)) for k, v in sorted(given.items()) if "transform" not in k))
    call.interp.event("dataset", call.node, data)
    call.interp.emit("dataset", (call.node, data, call))
    return data


@behaviour("one_graph")
def one_graph(call: Call) -> Value:
    """A ready-made data set that is one graph, of which nothing is known but that it is the same at each look."""
    data = Instance(None)
    data.attrs["$harmless"] = TRUE
    return data


def data_set(call: Call) -> Instance:
    data = Instance(Api(GRAPHS), "dataset", call.interp.step(call.node, call.short_name))
    data.attrs["$serves"] = TRUE
    return data


@behaviour("graphs_chosen")
def graphs_chosen(call: Call) -> Value:
    """Other graphs of a data set, or the same in another order."""
    return piece(call, (UNKNOWN,)) if is_graphs(call.receiver) else UNKNOWN


@behaviour("graphs_between")
def graphs_between(call: Call) -> Value:
    """`data[start:stop]`: the graphs between two places, in their order."""
    ends = (call.value("start", 1), call.value("stop", 2), call.value("step", 3))
    return piece(call, ends) if is_graphs(call.receiver) else UNKNOWN


def is_graphs(data: Value | None) -> bool:
    return isinstance(data, Instance) and "$serves" in data.attrs


@behaviour("split_places")
def split_places(call: Call) -> Value:
    """`dataset.get_idx_split()` of OGB: the places of the nodes, or graphs, of each part."""
    natures = {part: nature for nature, part in OF_NODES.items()}
    names = {"train": "train", "valid": "val", "test": "test"}
    return DictObject({name: Tensor(INDICES, 0, nature=natures[part], graph=False) for name, part in names.items()})


@behaviour("graphs_at")
def graphs_at(call: Call) -> Value:
    """`data[index]`: a graph, or the graphs of a part."""
    index = call.value("index", 1)
    if not is_graphs(call.receiver) or not isinstance(index, Tensor) or index.nature not in OF_NODES:
        return samples(call)
    data = piece(call, (UNKNOWN,))
    data.attrs.update({"$indices": index, "$part": OF_NODES[index.nature]})
    return data


@behaviour("judged_outputs")
def judged_outputs(call: Call) -> Value:
    """`evaluator.eval({"y_true": …, "y_pred": …})` of OGB: scores, by their names."""
    given = call.value("input_dict", 1)
    values = tuple(value for _, value in given.known()) if isinstance(given, DictObject) else ()
    parts = measured_on(*values)
    call.interp.event("outside", call.node, call.actual, values)
    call.interp.event("measured", call.node, parts, frozenset())
    for value in values:
        if isinstance(value, Tensor) and value.deps:
            call.interp.event("compare", call.node, value)
    return DictObject({DictObject.REST: Number(of=parts)})


def piece(call: Call, ends: tuple[Value | None, ...]) -> Instance:
    """Some graphs of a data set: as a run of stored ones, where the ends of a slice are given."""
    data = data_set(call)
    data.attrs["dataset"] = call.first
    plain = len(ends) == 3 and const(ends[2] or NONE) is None
    data.attrs["$span" if plain else "$indices"] = ends[:2] if plain else UNKNOWN
    return data
