"""Data sets of graphs: a slice of one is a data set again."""

from __future__ import annotations

from trainlint.semantics.behaviours.data import part_of_arguments, sameness
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.values import NONE, TRUE, UNKNOWN, Api, Instance, Value, const

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


def piece(call: Call, ends: tuple[Value | None, ...]) -> Instance:
    """Some graphs of a data set: as a run of stored ones, where the ends of a slice are given."""
    data = data_set(call)
    data.attrs["dataset"] = call.first
    plain = len(ends) == 3 and const(ends[2] or NONE) is None
    data.attrs["$span" if plain else "$indices"] = ends[:2] if plain else UNKNOWN
    return data
