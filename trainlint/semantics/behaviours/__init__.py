"""What the rows of the knowledge tables name in `does`: the code behind the data, by subject."""

from trainlint.semantics.behaviours import (
    configs,
    data,
    engines,
    functional,
    graphs,
    hub,
    ignite,
    keras,
    layers,
    lists,
    pipelines,
    python,
    settings,
    skorch,
    tensors,
    training,
)

__all__ = [
    "configs",
    "data",
    "engines",
    "functional",
    "graphs",
    "hub",
    "ignite",
    "keras",
    "layers",
    "lists",
    "pipelines",
    "python",
    "settings",
    "skorch",
    "tensors",
    "training",
]
