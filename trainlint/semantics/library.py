"""What names outside the project mean: looks calls up in the knowledge tables and runs the behaviours they name."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from collections.abc import Sequence as Sequence_
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.config import UsageError
from trainlint.prefilter import OTHER_FRAMEWORKS
from trainlint.semantics import containers
from trainlint.semantics.dissection import tied
from trainlint.semantics.modules import FILLING, STEMS, leaf_kind, may_be_last
from trainlint.semantics.registry import registrar
from trainlint.semantics.shapes import form, of_frame, shaped, size, with_form
from trainlint.semantics.sizes import Size, is_fixed, is_of_axis
from trainlint.semantics.values import (
    ALIKE,
    CHOSEN,
    COLLATED,
    ELSEWHERE,
    FALSE,
    HELD,
    INDICES,
    LEAF,
    LOGITS,
    MASK,
    NAN,
    NO_DATA,
    NONE,
    NOTHING,
    OF_NODES,
    OF_PART,
    ONE_ROW,
    OWN_LOSS,
    PRESENT,
    RUN,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    DataInfo,
    Dep,
    DictObject,
    Function,
    Instance,
    ListObject,
    Method,
    Names,
    Number,
    Object,
    Partial,
    Sequence,
    Step,
    Super,
    Tally,
    Tensor,
    Tuple,
    Union,
    Value,
    count_of,
    counted,
    cut,
    is_bool,
    is_opaque,
    join_all,
    measured_on,
    options,
    truth,
)
from trainlint.syntax.code import called
from trainlint.syntax.index import nodes_in

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Arguments, Interpreter
    from trainlint.semantics.namespace import Namespace

Behaviour = Callable[["Call"], Value]

BEHAVIOURS: dict[str, Behaviour] = {}
BUILTINS: dict[str, Behaviour] = {}

COLUMN_NAMES = "names of columns"
ROW_NAMES = "names of rows"  # the nature of a table's index
PACKED = "a packed sequence"  # the nature of what pack_padded_sequence gives, whose elements are its input's

# Which table tells of a package; loaded when a file of the project first imports it.
NODE_MASKS = "$masks"  # in the interpreter's flags: the parts of nodes whose masks were looked at so far
NODE_PARTS = {"train_mask": "train", "val_mask": "val", "valid_mask": "val", "test_mask": "test"}
TABLES = {
    "torch": "torch",
    "torchvision": "vision",
    "torchaudio": "vision",
    "timm": "vision",
    "PIL": "images",
    "cv2": "images",
    "numpy": "data",
    "pandas": "data",
    "seaborn": "data",
    "sklearn": "data",
    "feature_engine": "data",
    "imblearn": "data",
    "scipy": "data",
    "xgboost": "data",
    "lightgbm": "data",
    "catboost": "data",
    "pytorch_tabnet": "data",
    "openml": "data",
    "optuna": "data",
    "albumentations": "vision",
    "imgaug": "vision",
    "kornia": "vision",
    "monai": "vision",
    "segmentation_models_pytorch": "vision",
    "lightning": "engines",
    "pytorch_lightning": "engines",
    "transformers": "engines",
    "accelerate": "engines",
    "diffusers": "engines",
    "evaluate": "engines",
    "datasets": "engines",
    "torchtext": "engines",
    "peft": "engines",
    "torch_geometric": "graphs",
    "dgl": "graphs",
    "ogb": "graphs",
    "ignite": "engines",
    "fastai": "engines",
    "skorch": "data",
    "braindecode": "data",
    "keras": "keras",
    "tensorflow": "keras",
    "tensorflow_datasets": "keras",
    "grain": "keras",
    "tf_keras": "keras",
    "keras_core": "keras",
    "keras_preprocessing": "keras",
    "jax": "jax",
    "flax": "jax",
    "optax": "jax",
    "equinox": "jax",
    "haiku": "jax",
    "neural_tangents": "jax",
    "argparse": "python",
    "functools": "python",
    "os": "python",
    "pathlib": "python",
}

MOVED = [
    (re.compile(r"^torch\.nn\.modules\.\w+\.(?=[A-Z])"), "torch.nn."),
    (re.compile(r"^torch\.optim\.[a-z]+\.(?=[A-Z])"), "torch.optim."),
    (re.compile(r"^torch\.utils\.data\.(dataloader|dataset|sampler|distributed)\."), "torch.utils.data."),
    (re.compile(r"^torch\.functional\."), "torch."),
    (re.compile(r"^torch\.(cuda\.)?amp\.(autocast_mode|grad_scaler)\."), "torch.amp."),
    (re.compile(r"^torch\.nn\.utils\.clip_grad\."), "torch.nn.utils."),
    (re.compile(r"^torch\.autograd\.grad_mode\."), "torch.autograd."),
    (re.compile(r"^(pytorch_lightning|lightning)\.(?!pytorch\.)"), "lightning.pytorch."),
    (re.compile(r"^torchvision\.models\.\w+\."), "torchvision.models."),
    (re.compile(r"^torchvision\.datasets\.\w+\."), "torchvision.datasets."),
    (re.compile(r"^torchtext\.legacy\."), "torchtext."),
    (re.compile(r"^torch\.distributions\.[a-z_]+\.(?=[A-Z])"), "torch.distributions."),
    (re.compile(r"^torchvision\.transforms\.(v2|transforms)\."), "torchvision.transforms."),
    (re.compile(r"^sklearn\.preprocessing\._\w+\."), "sklearn.preprocessing."),
    (re.compile(r"^sklearn\.cross_validation\."), "sklearn.model_selection."),
    (re.compile(r"^(xgboost|lightgbm)\.sklearn\."), r"\1."),
    (
        re.compile(
            r"^(tensorflow\.(compat\.v[12]\.)?(python\.)?keras|tf_keras|keras_core|keras\.(src|api)(\.legacy)?)\."
        ),
        "keras.",
    ),
    (re.compile(r"^keras_preprocessing\."), "keras.preprocessing."),
    (re.compile(r"^keras\.engine\.(\w+\.)?(?=(Model|Sequential|Input)$)"), "keras."),
    (re.compile(r"^tensorflow_recommenders\.(models\.)?(?=Model$)"), "keras."),
    (re.compile(r"^keras\.layers\.(core|convolutional|recurrent)\."), "keras.layers."),
    (re.compile(r"^tensorflow\.(?=(losses|optimizers|metrics)\.[A-Z])"), "keras."),
    (re.compile(r"^tensorflow\.compat\.v[12]\."), "tensorflow."),
    (re.compile(r"^jax\.(experimental|example_libraries)\.stax\."), "jax.stax."),
    (re.compile(r"^albumentations\.(core|augmentations)\.([a-z_]+\.)*(?=[A-Z])"), "albumentations."),
    (re.compile(r"^fastai\.([a-z_]+\.)+"), "fastai."),
]

# What `import *` takes from packages that import it themselves.
HANDED_ON = {
    "fastai": {
        "F": "torch.nn.functional", "nn": "torch.nn", "np": "numpy", "pd": "pandas", "plt": "matplotlib.pyplot",
        "torch": "torch",
    },
    "pylab": {"np": "numpy", "plt": "matplotlib.pyplot"},
}  # fmt: skip

# Packages whose functions do not change the mode or gradients of what they are given.
HARMLESS = frozenset(
    """torch torchvision torchaudio torchtext numpy np pandas sklearn scipy matplotlib seaborn PIL cv2 tqdm
    wandb tensorboardX tensorboard os sys time math random json pickle re collections itertools functools
    datetime logging argparse copy glob shutil pathlib warnings typing torchsummary torchinfo thop fvcore
    einops tensorflow keras skimage imageio albumentations nltk spacy gensim transformers tokenizers datasets
    h5py yaml joblib plotly visdom prettytable tabulate rich loguru mlflow neptune comet_ml gc abc imblearn
    xgboost lightgbm catboost timm torchmetrics monai dgl torch_geometric networkx gym gymnasium ray optuna
    builtins subprocess psutil signal string io csv zipfile tarfile urllib requests threading multiprocessing
    queue contextlib dataclasses enum operator statistics hashlib uuid platform socket inspect types numbers
    fractions decimal heapq bisect struct base64 tempfile traceback ignite evaluate ema_pytorch torch_ema
    tensorboard_logger tb_logger diffusers clearml swanlab GPUtil pynvml torchnet pytorch_tabnet""".split()
)


class Row:
    """One entry of a knowledge table."""

    __slots__ = ("does", "gives", "name", "order", "params", "raw")

    def __init__(self, name: str, raw: dict[str, Any], order: Sequence_[tuple[str, str]] = ()) -> None:
        self.name = name
        self.raw = raw
        # The parameters as this API takes them, and their names in `params`, where the two differ.
        self.order = order
        params = raw.get("params", "")
        self.params: list[str] = params.split() if params else []
        self.does: str = raw.get("does", "gives" if "gives" in raw else "mixed")
        self.gives: dict[str, Any] = raw.get("gives", {})


class Call:
    """One call of a known API: what rules and behaviours look at.

    `path` is the canonical name, `actual` the one that was called; `via` the class whose instance was called (a loss or
    layer object), with its options.
    """

    __slots__ = ("actual", "arguments", "interp", "node", "options", "path", "receiver", "result", "row", "via")

    def __init__(
        self,
        interp: Interpreter,
        node: Any,
        path: str,
        row: Row,
        arguments: Arguments,
        receiver: Value | None = None,
        options: dict[str, Value] | None = None,
        via: str = "",
        actual: str = "",
    ) -> None:
        self.actual = actual or via or path
        self.interp = interp
        self.node = node
        self.path = path
        self.row = row
        self.arguments = arguments
        self.receiver = receiver
        self.options = options or {}
        self.via = via
        self.result: Value = UNKNOWN

    def value(self, name: str, position: int | None = None) -> Value | None:
        """The value of a parameter, None when it is not given."""
        found = self.arguments.keywords.get(name)
        if found is None and name in OTHER_NAMES:
            found = self.arguments.keywords.get(OTHER_NAMES[name])
        if found is not None:
            return found
        if position is None:
            position = self.row.params.index(name) if name in self.row.params else None
        if position is not None and position < len(self.arguments.positional):
            return self.arguments.positional[position]
        return self.options.get(name)

    def argument(self, name: str, position: int | None = None) -> Any:
        """The node of an argument; the call itself when it has none of its own."""
        found = self.arguments.keyword_nodes.get(name)
        if found is None and name in OTHER_NAMES:
            found = self.arguments.keyword_nodes.get(OTHER_NAMES[name])
        if found is not None:
            return found
        if position is None:
            position = self.row.params.index(name) if name in self.row.params else None
        if position is not None and position < len(self.arguments.nodes):
            return self.arguments.nodes[position] or self.node
        return self.node

    @property
    def first(self) -> Value:
        """The first argument."""
        positional = self.arguments.positional
        if positional:
            return positional[0]
        if self.row.params:
            return self.arguments.keywords.get(self.row.params[0], UNKNOWN)
        return UNKNOWN

    @property
    def tensor(self) -> Tensor:
        """The first argument as a tensor; one of unknown content where it is not known to be one."""
        tensor = as_tensor(self.first)
        if tensor.lib == "?":
            if self.row.name.startswith("numpy."):
                return tensor.but(lib="numpy", graph=False)
            if not isinstance(self.receiver, Tensor) and self.is_torch:
                return tensor.but(lib="torch")
        return tensor

    @property
    def is_torch(self) -> bool:
        """Whether a function of PyTorch is called, and not one of another library that means the same."""
        return self.row.name.startswith("torch.") and self.actual.partition(".")[0] not in OTHER_FRAMEWORKS

    @property
    def short_name(self) -> str:
        """The name as users write it."""
        return self.actual.rpartition(".")[2]


def read_of(owner: Instance) -> Instance:
    """What a call of something from out of view gives, of which is known at most the part of the data."""
    result = Instance(None)
    if OF_PART in owner.attrs:
        result.attrs[OF_PART] = owner.attrs[OF_PART]
    return result


PLACES = frozenset((1,))  # the token of `list(range(n))`, which has no data of its own


def is_trainable(value: Instance) -> bool:
    """Whether an object is a model, or may be one, as its base is out of view."""
    unclear = isinstance(value.cls, Class) and "?" in value.cls.api
    return value.family == "module" or "training" in value.attrs or unclear


def run_of(call: Call) -> tuple[Value, Value] | None:
    """From where to where numbers go, each 1 more than the one before: `range(n)`, `torch.arange(start, stop)`."""
    given = call.arguments.positional[call.receiver is not None :]
    if call.arguments.open or not {"start", "stop", "end", "step"}.isdisjoint(call.arguments.keywords):
        return None
    ends = (Const(0), given[0]) if len(given) == 1 else (given[0], given[1]) if len(given) == 2 else None
    call.interp.keep += [end for end in ends or () if not isinstance(end, Const)]
    return ends


def at_run(ends: tuple[Value, Value]) -> DataInfo:
    """The rows whose places are numbers that go from one to another."""
    start, stop = (end.value if isinstance(end, Const) else id(end) for end in ends)
    return NO_DATA._replace(order=frozenset((("run", start or None, stop),)))


def as_tensor(value: Value) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Union):
        tensors = [o for o in value.options if isinstance(o, Tensor)]
        if len(tensors) == len([o for o in value.options if not (isinstance(o, Const) and o.value is None)]):
            return join_all(tensors)  # type: ignore[return-value]
        if all(isinstance(o, ListObject) for o in value.options):  # a list that grows, as it is after some turns
            filled = [o for o in value.options if isinstance(o, ListObject) and o.items != ()]
            return join_all(map(as_tensor, filled)) if filled else Tensor(lib="?")  # type: ignore[return-value]
        # Used as a tensor, it is one of those in it: where it comes from is known, what it holds is not.
        joined = join_all(
            [*tensors, *(t for o in value.options if isinstance(o, Tuple) for t in o.items if isinstance(t, Tensor))]
        )
        return joined.plain() if isinstance(joined, Tensor) else Tensor(lib="?")
    if isinstance(value, (Const, Number)):
        from trainlint.semantics.values import bounds

        lo, hi = bounds(value)
        if is_bool(value):  # a comparison of what is not known to be a tensor
            return Tensor(MASK, 0, 1, PRESENT if value is ALIKE else CHOSEN, graph=False, lib="?")
        return Tensor(lo=lo, hi=hi, graph=False, nature=getattr(value, "nature", None), data=part_measured(value))
    if isinstance(value, (ListObject, Instance)) and (rows := value.attrs.get(HELD)) is not None:
        one = value.attrs.get("element")
        if rows.tokens == PLACES:
            return Tensor(INDICES, nature=RUN, graph=False, lib="?", data=rows._replace(tokens=frozenset()))
        return (one if isinstance(one, Tensor) else Tensor(lib="?")).but(data=rows, shape=None)
    if isinstance(value, Sequence) and value.ends is not None:
        return Tensor(INDICES, nature=RUN, graph=False, lib="?", data=at_run(value.ends))
    if isinstance(value, (ListObject, Tuple, Sequence)):
        items = value.items if isinstance(value, (ListObject, Tuple)) else (value.element,)
        if value.__class__ is ListObject and items is None and isinstance(value.attrs["element"], Number):
            return Tensor(lib="?", data=part_measured(value.attrs["element"]))
        tensors = [o for o in items or () if isinstance(o, Tensor)]
        if tensors and len(tensors) == len(items or ()):
            joined = join_all(tensors)
            if isinstance(joined, Tensor):
                return gathered(joined)
        if isinstance(value, ListObject) and isinstance(value.attrs["element"], Tensor) and items is None:
            return gathered(value.attrs["element"])
    if isinstance(value, Method) and isinstance(value.receiver, Tensor) and value.receiver.lib == "frame":
        return column(value.receiver, value.name)
    if isinstance(value, Instance) and value.cls is None and "$whole" in value.attrs:
        layer = value.attrs["$whole"]
        if "$weight" in value.attrs and layer.attrs.get("$frozen", FALSE) is FALSE:
            return Tensor(graph=True, deps=frozenset((Dep(layer, None, None),)), nature="a parameter")
        return Tensor(lib="?", nature="a parameter")  # an attribute of a ready-made layer
    if isinstance(value, Instance) and value.cls is None and "$item" in value.attrs:
        return Tensor(graph=False, lib="?")  # data
    return Tensor(lib="?")


def part_measured(value: Value) -> DataInfo:
    """What is known of the data that a score was measured on."""
    parts = measured_on(value)
    return NO_DATA._replace(part=next(iter(parts))) if len(parts) == 1 else NO_DATA


def column(frame: Tensor, name: Any) -> Tensor:
    """A column of a frame."""
    columns = frame.data.columns
    kept = column_now(columns, name) if columns is not None else None
    found = ("only", frozenset((kept,)), *columns[2:]) if columns is not None and kept is not None else None
    return frame.but(shape=of_frame(frame, [Const(name)]).shape, data=frame.data._replace(columns=found))


def column_now(columns: tuple[Any, ...], name: Any) -> Any:
    """What stands for a column in a table: its name, or where it was overwritten; None where it is not there."""
    if columns[0] not in ("all", "only"):
        return None
    for mark in columns[1]:
        if isinstance(mark, tuple) and mark[1] == name:
            return mark
    return name if (name in columns[1]) == (columns[0] == "only") else None


def remade(columns: tuple[Any, ...] | None, node: Any) -> tuple[Any, ...] | None:
    """The columns of a table that was made of another here: nobody knows which, but all of its own."""
    return None if columns is None else ("all", frozenset(), hash((id(node), columns)))


behaviour = registrar(BEHAVIOURS)  # of the meaning that rows name in `does`
builtin = registrar(BUILTINS)  # of a Python builtin, or a method of a builtin type as `type.method`


@cache
def shipped(table: str) -> Mapping[str, Any]:
    """A table of our own, read once for all units."""
    import tomli

    return tomli.loads(resources.files("trainlint.knowledge").joinpath(f"{table}.toml").read_text("utf8"))


def given_to(function: Function | None, env: dict[str, Any]) -> list[Any]:
    """What the parameters of a method stand for, other than the object itself."""
    params = function.node.params.params[1:] if function is not None else ()
    return [env.get(param.name.value) for param in params]


def is_between_epochs(interp: Interpreter) -> bool:
    """Whether a method of a data set runs in a loop, and neither to make it nor to serve a sample."""
    frame: Any = interp.frame
    while frame is not None and (frame.function is None or frame.function.name not in SERVING):
        frame = frame.caller
    return frame is None and interp.nearest_loop() is not None


class Library:
    """The knowledge tables of a run."""

    def __init__(self, on_call: Callable[[Call], None], listened: Container[str] = ()) -> None:
        from trainlint.semantics import behaviours  # noqa: F401  (registers them)

        self.on_call = on_call
        self.listened = listened
        self.rows: dict[str, Row] = {}
        self.classes: dict[str, Row] = {}
        self.found: dict[str, Row | None] = {}
        self.found_classes: dict[str, Row | None] = {}
        self.loaded: set[str] = set()
        self.harmless = HARMLESS
        self.torch_files: dict[int, bool] = {}
        self.noises: dict[str, Dep] = {}
        self.need("python")

    # ----------------------------------------------------------------- tables

    def need(self, package: str) -> None:
        """Load the table that tells of a package."""
        table = TABLES.get(package, package if package in ("python", "torch", "data", "arrays") else "")
        if not table or table in self.loaded:
            return
        self.loaded.add(table)
        if table in ("vision", "engines"):
            self.need("torch")
        elif table in ("keras", "jax"):
            self.need("arrays")
        self.add(shipped(table))

    def add(self, table: Mapping[str, Any]) -> None:
        """Take in the rows of a table, a plugin's or a project's own too.

        Raises UsageError if a row names an API or a behaviour that there is not.
        """
        for raw in table.get("api", ()):
            calls = raw["calls"].split()
            row = self.like(raw, self.row) if "like" in raw else Row(calls[0], raw)
            if row.does not in BEHAVIOURS:
                raise UsageError(f"knowledge of `{calls[0]}`: there is no behaviour `{row.does}`")
            for path in calls:
                self.rows[path] = row
        for raw in table.get("class", ()):
            for path in raw["names"].split():
                self.classes[path] = self.like(raw, self.class_row) if "like" in raw else Row(path, raw)
        if "harmless" in table:
            self.harmless |= frozenset(table["harmless"])
        self.found.clear()
        self.found_classes.clear()

    def like(self, raw: Mapping[str, Any], lookup: Callable[[str], Row | None]) -> Row:
        """The row of the API that `raw` says its own is like, with other names or another order of the parameters."""
        row = (self.rows if "calls" in raw else self.classes).get(raw["like"])
        if row is None:  # else what is known of its package is left for programs that use it
            self.need(raw["like"].partition(".")[0])
            row = lookup(raw["like"])
        if row is None:
            raise UsageError(f"knowledge of an API like `{raw['like']}`: that one is not known")
        if "params" not in raw:
            return row
        pairs = [item.partition("=") for item in raw["params"].split()]
        return Row(row.name, row.raw, [(given, meant or given) for given, _, meant in pairs])

    def row(self, path: str) -> Row | None:
        """The row of a call, whatever module path it was imported through."""
        found = self.rows.get(path)
        if found is not None:
            return found
        if path in self.found:
            return self.found[path]
        for pattern, replacement in MOVED:
            moved, count = pattern.subn(replacement, path)
            if count:
                found = self.rows.get(moved) or self.rows.get(moved.rpartition(".")[0] + ".*")
                break
        if found is None:
            found = self.rows.get(path.rpartition(".")[0] + ".*")
        self.found[path] = found
        return found

    def class_row(self, path: str) -> Row | None:
        found = self.classes.get(path)
        if found is not None:
            return found
        if path in self.found_classes:
            return self.found_classes[path]
        for pattern, replacement in MOVED:
            moved, count = pattern.subn(replacement, path)
            found = self.classes.get(moved) or self.classes.get(f"{moved.rpartition('.')[0]}.*") if count else None
            if found is not None:
                break
        else:
            package, _, name = path.rpartition(".")
            found = self.classes.get(f"{package}.*")
            if found is not None and found.raw.get("family") in ("keras", "flax") and not name[:1].isupper():
                found = None  # a function among the layers
        self.found_classes[path] = found
        return found

    def handed_on(self, package: str, name: str) -> str | None:
        """The path that a name stands for which `import *` takes from a package: of its own, or of what it imports."""
        found = HANDED_ON.get(package.partition(".")[0], {}).get(name)
        if found is not None:
            self.need(found.partition(".")[0])
            return found
        path = f"{package}.{name}"
        own = path in self.rows or path in self.classes  # a row for all of a package does not tell which names it has
        return path if own or (not hasattr(builtins, name) and self.knows(path)) else None

    def knows(self, path: str) -> bool:
        return self.row(path) is not None or self.class_row(path) is not None

    def family(self, cls: Class) -> str:
        """What kind of modelled object instances of a project class are."""
        for path in cls.api:
            row = self.class_row(path)
            if row is not None:
                return str(row.raw.get("family", ""))
            if path.startswith(("torch.nn.", "torchvision.models", "timm.models")):
                return "module"
            if path.endswith(("Module", "PreTrainedModel")) and path.split(".")[0] in self.harmless | {
                "lightning",
                "pytorch_lightning",
                "mmcv",
                "mmengine",
                "fairseq",
            }:
                return "module"
        return ""

    def serves(self, cls: Class) -> bool:
        """Whether a base out of view serves the samples of a class of data sets one by one, as they are stored."""
        rows = map(self.class_row, cls.api)
        return any(row is not None and "serves" in row.raw for row in rows)

    # ------------------------------------------------------------------- calls

    def call(self, interp: Interpreter, path: str, arguments: Arguments, node: Any) -> Value:
        """Call something outside the project by its path."""
        if path in BUILTINS:
            return BUILTINS[path](Call(interp, node, path, BUILTIN_ROW, arguments))
        row = self.row(path)
        if row is not None:
            return self.perform(interp, row, arguments, node, actual=path)
        row = self.class_row(path)
        if row is not None:
            return self.construct(interp, path, row, arguments, node)
        first, (base, _, name) = next(iter(arguments.positional), None), path.rpartition(".")
        if isinstance(first, Instance) and base.rpartition(".")[2][:1].isupper() and self.class_row(base) is not None:
            # `nn.Linear.__init__(self, …)`
            return self.call_method(interp, Method(first, name), arguments.without_first(), node)
        if (optimizer := self.made_outside(interp, path, arguments, node)) is not None:
            return optimizer
        package = path.partition(".")[0]
        if package not in self.harmless:
            self.escape(interp, arguments, node)
        interp.event("outside", node, path, tuple(arguments.values()))
        return self.outside_result(interp, path, arguments, node)

    def made_outside(self, interp: Interpreter, path: str, arguments: Arguments, node: Any) -> Value | None:
        """An optimizer that code out of view makes."""
        from trainlint.semantics.behaviours.training import from_outside

        return from_outside(interp, path, arguments, node) if "torch" in self.loaded else None

    def outside_result(self, interp: Interpreter, path: str, arguments: Arguments, node: Any) -> Value:
        last = path.rpartition(".")[2]
        if (ready := READY_MADE.fullmatch(path)) is not None:
            flavour = ready[1] or ready[2]
            born = Step(interp.frame.space, node, last)
            model = Instance(Api(path), FRAMEWORKS[flavour], born) if flavour else Instance(None, "", born)
            if not flavour:
                interp.write(model.attrs, "training", FALSE if last == "from_pretrained" else TRUE)
            head = path.rpartition(".")[0].rpartition("For")[2]
            model.attrs["$head"] = Const(head)
            given = arguments.keywords
            if head == "SequenceClassification":
                model.attrs["$classes"] = given.get("num_labels", UNKNOWN)
            model.attrs["$named"] = Const(bool({"id2label", "label2id", "problem_type"} & given.keys()))
            model.attrs["$task"] = given.get("problem_type", NONE)
            return model
        if last[:1].isupper() and path.partition(".")[0] != "builtins":
            instance = Instance(Api(path), self.guess_family(path), Step(interp.frame.space, node, last))
            if instance.family:
                interp.write(instance.attrs, "training", TRUE)  # as each module begins
            elif path.partition(".")[0] in self.harmless:
                instance.attrs["$harmless"] = TRUE
            for name, value in arguments.keywords.items():
                instance.attrs[name] = value
            return instance
        tensors = [v for v in arguments.values() if isinstance(v, Tensor)]
        package = path.partition(".")[0]
        if tensors and package in ("torch", "einops", "numpy", "torchvision", "jax", "flax", "tensorflow", "keras"):
            return unsure_graph(mixed_tensor(interp, tensors))
        return UNKNOWN if path.partition(".")[0] in self.harmless else Instance(None)

    def guess_family(self, path: str) -> str:
        return "module" if path.startswith(MODULES) else ""

    def perform(
        self,
        interp: Interpreter,
        row: Row,
        arguments: Arguments,
        node: Any,
        receiver: Value | None = None,
        options: dict[str, Value] | None = None,
        via: str = "",
        actual: str = "",
    ) -> Value:
        """Run a row's behaviour and tell the rules that listen to it."""
        if row.order:
            arguments = arguments.named(row.order)
        call = Call(interp, node, row.name, row, arguments, receiver, options, via, actual)
        run = BEHAVIOURS.get(row.does)
        result = UNKNOWN if run is None else run(call)
        if result.__class__ in SHAPED:
            result = shaped(call, result)
        if row.name in self.listened:
            call.result = result
            self.on_call(call)
        return result

    def construct(self, interp: Interpreter, path: str, row: Row, arguments: Arguments, node: Any) -> Value:
        """Build an instance of an outside class whose row says how it behaves."""
        instance = Instance(
            Api(path), str(row.raw.get("family", "")), Step(interp.frame.space, node, path.rpartition(".")[2])
        )
        attrs = instance.attrs
        if instance.family == "module":
            interp.write(attrs, "training", TRUE)
            if "weights" in row.raw:
                interp.write(attrs, "$init", "")  # how its weights were drawn, where that was said
            elif "model" not in row.raw and row.raw.get("forward") not in ("sequential", "mixed"):
                attrs["$bare"] = TRUE  # it has no parameters: two models may share it, as one of an argument's default
        for name, value in zip(row.params, arguments.positional):
            attrs[name] = value
        attrs.update(arguments.keywords)
        if arguments.open and instance.family == "engine_settings":
            attrs["$open"] = True  # others may be among them
        if instance.family == "mapping":
            containers.fill(interp, instance, arguments.positional)
            if "plain" in row.raw and not arguments.positional and not arguments.open:
                interp.write(attrs, "$closed", TRUE)  # all that is in it was put there in view
        if row.raw.get("forward") in ("sequential",) or path.endswith(("ModuleList", "ModuleDict")):
            self.add_children(interp, instance, arguments)
        if row.name in self.listened:
            self.on_call(Call(interp, node, row.name, row, arguments, instance))
        return instance

    def add_children(self, interp: Interpreter, instance: Instance, arguments: Arguments) -> None:
        """Members of a Sequential, ModuleList or ModuleDict: `$children` is a list of their values."""
        positional = arguments.positional
        children: ListObject
        if len(positional) == 1 and not arguments.open and isinstance(positional[0], DictObject):
            source = positional[0]
            for key, value in source.known():
                instance.attrs[key if isinstance(key, str) else str(key)] = value
            children = (
                ListObject(tuple(v for _, v in source.known())) if source.rest is None else ListObject(None, UNKNOWN)
            )
        elif len(positional) == 1 and not arguments.open and not isinstance(positional[0], Instance):
            known = interp.known_items(positional[0])
            if known is None:
                ends = interp.ends_of(positional[0])
                children = counted(ListObject(None, interp.element_of(positional[0]), ends), count_of(positional[0]))
            else:
                children = ListObject(known)
            if known is not None and all(isinstance(k, Tuple) and len(k.items) == 2 for k in known) and known:
                children = ListObject(tuple(k.items[1] for k in known))  # type: ignore[attr-defined]
        elif arguments.open:
            children = ListObject(None, join_all(positional), arguments.ends)
        else:
            children = ListObject(tuple(positional))
        instance.attrs["$children"] = children
        if children.items is not None and len(children.items) <= 256:
            for i, child in enumerate(children.items):
                instance.attrs.setdefault(str(i), child)

    def initialise_base(self, interp: Interpreter, instance: Instance, arguments: Arguments, node: Any) -> None:
        """`__init__` of an outside base class: its known parameters become attributes."""
        cls = instance.cls
        for path in cls.api if isinstance(cls, Class) else ():
            row = self.class_row(path)
            if row is not None:
                for name, value in zip(row.params, arguments.positional):
                    interp.write(instance.attrs, name, value)
                if instance.family == "mapping":
                    containers.fill(interp, instance, arguments.positional)
                if row.raw.get("forward") == "sequential" or path.endswith(("ModuleList", "ModuleDict")):
                    self.add_children(interp, instance, arguments)
                break
        for name, value in arguments.keywords.items():
            if name not in instance.attrs:
                interp.write(instance.attrs, name, value)

    def call_method(self, interp: Interpreter, method: Method, arguments: Arguments, node: Any) -> Value:
        """Call a named method of a value that the engine models."""
        receiver, name = method.receiver, method.name
        if isinstance(receiver, Tensor):
            return self.tensor_method(interp, receiver, name, arguments, node)
        if isinstance(receiver, Instance):
            row = self.method_row(receiver, name)
            if row is not None:
                actual = f"{row.name.rpartition('.')[0]}.{name}"
                return self.perform(interp, row, arguments.with_first(receiver), node, receiver, actual=actual)
            if receiver.family:
                if "$outside" in receiver.attrs:
                    self.escape(interp, arguments.with_first(receiver), node)
                return UNKNOWN
            return self.opaque_method(interp, receiver, name, arguments, node)
        if isinstance(receiver, Class):
            return self.restore(interp, receiver, name, arguments, node)
        for prefix in containers.types_of(receiver):
            run = BUILTINS.get(f"{prefix}.{name}")
            if run is not None:
                return run(
                    Call(interp, node, f"{prefix}.{name}", BUILTIN_ROW, arguments.with_first(receiver), receiver)
                )
        return self.unknown_method(interp, receiver, name, arguments, node)

    def restore(self, interp: Interpreter, cls: Class, name: str, arguments: Arguments, node: Any) -> Value:
        """`Model.from_pretrained(name, …)`: made with its configuration and the other arguments, in eval mode.
        Lightning's `Model.load_from_checkpoint(path, …)` takes what the file holds as well, and stays in train mode."""
        from trainlint.semantics.behaviours.layers import set_mode
        from trainlint.semantics.classes import instantiate

        keywords = dict(arguments.keywords)
        if name == "from_pretrained":
            config = keywords.pop("config", UNKNOWN)
            given = type(arguments)([config, *arguments.positional[1:]], keywords, open_=arguments.open)
        else:
            for own in ("checkpoint_path", "map_location", "hparams_file", "strict", "weights_only"):
                keywords.pop(own, None)
            given = type(arguments)([], keywords, open_=True)
        model = instantiate(interp, cls, given, node)
        if isinstance(model, Instance):
            if name == "from_pretrained":
                set_mode(interp, model, FALSE)
            else:
                interp.event("loaded", node, model, False)
            for inner in modules_in(model):
                if inner is model or (isinstance(inner.cls, Api) and not self.is_model(inner.cls.path)):
                    interp.write(inner.attrs, "$loaded", TRUE)
        return model

    def own_step(self, interp: Interpreter, method: Method, arguments: Arguments, node: Any) -> Value:
        """The step of an optimizer that the project writes itself."""
        from trainlint.semantics.behaviours.training import stepped, take_step

        optimizer, function = method.receiver, method.function
        assert isinstance(optimizer, Instance)
        assert function is not None
        before = interp.read(optimizer.attrs, "$state")
        result = interp.call_function(function, arguments.with_first(optimizer), node)
        if interp.read(optimizer.attrs, "$state") in (before, frozenset(("fresh",))):  # a closure may have filled them
            take_step(interp, optimizer, node)
        else:
            stepped(interp, node, optimizer, before)
        return result

    def own_move(self, interp: Interpreter, method: Method, arguments: Arguments, node: Any) -> Value:
        """Another method of an optimizer that the project writes itself: it uses the gradients where it moves weights
        along them, as the first of two steps does."""
        from trainlint.semantics.behaviours.training import sharing, use_gradients

        optimizer, function, region = method.receiver, method.function, interp.region
        assert isinstance(optimizer, Instance)
        assert function is not None
        held = [(o, interp.read(o.attrs, "$state")) for o in (optimizer, *sharing(interp, optimizer))]
        since = len(region.events) if region is not None else 0
        result = interp.call_function(function, arguments.with_first(optimizer), node)
        done = {event.kind for event in region.events[since:]} if region is not None else set()
        if {"gradient", "edit"} <= done and "step" not in done:
            for other, before in held:
                use_gradients(interp, other, before, node)
        return result

    def own_zero_grad(self, interp: Interpreter, method: Method, arguments: Arguments, node: Any) -> Value:
        """A `zero_grad` that the project writes itself, of an object that holds an optimizer: what it clears by other
        means than that optimizer's own is not seen."""
        from trainlint.semantics.behaviours.training import lose_track

        receiver, function = method.receiver, method.function
        assert isinstance(receiver, Instance)
        assert function is not None
        held = [v for v in receiver.attrs.values() if isinstance(v, Instance) and "$state" in v.attrs]
        before = [interp.read(optimizer.attrs, "$state") for optimizer in held]
        result = interp.call_function(function, arguments.with_first(receiver), node)
        for optimizer, state in zip(held, before, strict=True):
            if interp.read(optimizer.attrs, "$state") == state:
                lose_track(interp, optimizer)
        return result

    def method_row(self, receiver: Instance, name: str) -> Row | None:
        found = self.rows.get(f"{receiver.family}.{name}") if receiver.family else None
        if found is None and isinstance(receiver.cls, Api):
            found = self.rows.get(f"{receiver.cls.path}().{name}")
            if found is None and receiver.family == "opaque":
                found = self.rows.get(f"opaque.{name}")
        return found

    def tensor_row(self, tensor: Tensor, name: str) -> Row | None:
        rows = self.rows
        if tensor.lib in ("torch", "keras", "?"):
            found = (
                rows.get(f"torch.Tensor.{name}") or rows.get(f"torch.{name}") or rows.get(f"torch.nn.functional.{name}")
            )
            if found is None and name.endswith("_") and not name.startswith("_"):
                bare = name[:-1]
                found = rows.get(f"torch.Tensor.{bare}") or rows.get(f"torch.{bare}")
            return found
        if tensor.lib == "numpy":
            return rows.get(f"numpy.ndarray.{name}") or rows.get(f"numpy.{name}")
        return rows.get(f"pandas.DataFrame.{name}")

    def tensor_method(self, interp: Interpreter, tensor: Tensor, name: str, arguments: Arguments, node: Any) -> Value:
        if name == "backward" and tensor.lib != "torch":
            tensor = tensor.but(lib="torch")
        elif tensor.lib == "?":
            written_for_torch = name not in ARRAY_METHODS or not arguments.keywords.keys().isdisjoint(
                ("dim", "keepdim")
            )
            if (written_for_torch and name in TENSOR_METHODS) or self.only_torch(interp.frame.space):
                tensor = tensor.but(lib="torch")
        row = self.tensor_row(tensor, name)
        if row is None:
            others = [v for v in arguments.values() if isinstance(v, Tensor)]
            return mixed_tensor(interp, [tensor, *others])
        result = self.perform(
            interp,
            row,
            arguments.with_first(tensor),
            node,
            tensor,
            actual=f"{row.name.partition('.')[0]}.Tensor.{name}",
        )
        if tensor.nature == "a gradient" and name in SCALING:
            from trainlint.semantics.behaviours.training import rescale_gradient

            rescale_gradient(interp, tensor, name, arguments, node)
        if name.endswith("_") and isinstance(result, Tensor) and not name.startswith("_"):
            if name not in PURE:
                interp.emit("edited", (node, tensor))
            if leaf_kind(interp, tensor) == "parameter" and result is not tensor:  # one it stays, whatever it holds
                result = result.but(graph=True, deps=tensor.deps, lib=tensor.lib, nature=tensor.nature)
                interp.modules.same(tensor, result)
            if tensor.nature == "random numbers" and result.nature is None and name not in FILLING_IN:
                result = result.but(nature=tensor.nature)  # computed of what was drawn
            if tensor.deps and name not in PURE:
                self.edit(interp, tensor, node, drawn=name in DRAWING)
            target = getattr(getattr(node, "func", None), "value", None)
            if target.__class__.__name__ == "Call":  # `x.detach().clamp_(…)` changes x, `x.clone().clamp_(…)` does not
                inner = getattr(target, "func", None)
                target = getattr(inner, "value", None) if is_same_tensor(inner) else None
                if target is not None and isinstance(interp.peek(target), (Api, Object)):
                    return result  # `torch.empty(3).uniform_()` changes nothing that has a name
            if target is not None and target.__class__.__name__ in ("Name", "Attribute"):
                held = interp.peek(target.value) if is_data(target) else None
                if isinstance(held, Tensor):  # `weight.data.uniform_()` was told above
                    self.set_data(interp, held, result, target)
                elif tensor.graph is not False:
                    interp.bind(target, result)  # a parameter stays one for whoever has it, whatever is drawn for it
                else:
                    interp.mutate(target, result)
        return result

    def edit(self, interp: Interpreter, tensor: Tensor, node: Any, drawn: bool = False) -> None:
        """A tensor is changed in place: parameters of a module hold something else from here on, if only other numbers
        that are `drawn` at random or bounded."""
        from trainlint.semantics.behaviours.training import move_weights

        if tensor.nature == "a gradient" or any(dep.node is not None for dep in tensor.deps):
            return  # what a model gave is no parameter itself, whatever else it was computed with
        for dep in tensor.deps:
            if dep.node is None and not dep.scales:
                move_weights(interp, partial(holds, inner=dep.module))
                if not drawn:
                    interp.write(dep.module.attrs, "$edited", TRUE)
                interp.event("edit", node, dep.module, tensor)

    def chosen(self, params: Value, conditions: Iterable[Any]) -> Value | None:
        """What stands for those parameters of a model that a comprehension takes because they are learnt."""
        from trainlint.semantics.behaviours.training import asks_for_gradients, learnt_only

        return learnt_only(params) if any(asks_for_gradients(condition.test) for condition in conditions) else None

    def only_torch(self, space: Namespace) -> bool:
        """Whether torch is the only array library that a file imports."""
        found = self.torch_files.get(id(space))
        if found is None:
            packages = {v.path.partition(".")[0] for v in space.attrs.values() if isinstance(v, Api)}
            found = self.torch_files[id(space)] = "torch" in packages and not packages & OTHER_ARRAYS
        return found

    def opaque_method(
        self, interp: Interpreter, receiver: Instance, name: str, arguments: Arguments, node: Any
    ) -> Value:
        """A method of an object of unknown class: states by the names only those objects have, tensors by theirs."""
        is_model = name == "requires_grad_" and "training" in receiver.attrs
        row = self.rows.get(f"{'module' if is_model else 'opaque'}.{name}")
        if row is not None:
            return self.perform(interp, row, arguments.with_first(receiver), node, receiver)
        if receiver.cls is None and (name in TENSOR_METHODS):
            if name == "size" and "$item" in receiver.attrs and len(arguments.positional) == 1:
                return self.get_item(
                    interp, interp.get_attribute(receiver, "shape", node), [*arguments.positional], node
                )
            return self.tensor_method(interp, as_tensor(receiver), name, arguments, node)
        if (optimizer := self.made_outside(interp, "", arguments, node)) is not None:
            return optimizer
        if name not in TELLING:
            self.escape(interp, arguments, node)
        interp.event("outside", node, name, tuple(arguments.values()))
        return UNKNOWN if receiver.cls is not None else read_of(receiver)

    def unknown_method(self, interp: Interpreter, receiver: Value, name: str, arguments: Arguments, node: Any) -> Value:
        if isinstance(receiver, Number) and receiver.tally is not None and name in ("sum", "mean", "item"):
            return receiver  # what the processes have gathered, a number of each
        if receiver is UNKNOWN or isinstance(receiver, (Number, Union)):
            owner = getattr(getattr(node, "func", None), "value", None)
            if receiver is UNKNOWN and name in MOVES and owner.__class__.__name__ == "Call":
                return Instance(None)  # `build(...).cuda()`: a model as well as a tensor
            if name in TENSOR_METHODS:
                return self.tensor_method(interp, as_tensor(receiver), name, arguments, node)
            row = self.rows.get(f"opaque.{name}")
            if row is not None:
                return self.perform(interp, row, arguments.with_first(receiver), node, receiver)
        if name == "backward":
            return self.tensor_method(interp, Tensor(lib="?"), name, arguments, node)
        if (optimizer := self.made_outside(interp, "", arguments, node)) is not None:
            return optimizer
        self.escape(interp, arguments, node)
        return UNKNOWN

    def call_instance(self, interp: Interpreter, instance: Instance, arguments: Arguments, node: Any) -> Value:
        """Call an object that is no module: a transform, a metric, something unknown."""
        row = self.method_row(instance, "__call__")
        if row is not None:
            return self.perform(interp, row, arguments.with_first(instance), node, instance)
        if "$grad" in instance.attrs and isinstance(
            arguments.positional[0] if arguments.positional else None, Function
        ):
            from trainlint.semantics.behaviours.decorators import guarded

            return guarded(arguments.positional[0], instance)
        if instance.cls is None or "training" in instance.attrs:
            return self.call_opaque(interp, instance, arguments, node)
        interp.event("outside", node, instance.api_path, tuple(arguments.values()))
        from trainlint.semantics.interpreter import METERS

        if instance.api_path.startswith(METERS):
            interp.event("meter", node, instance, "")
        tensors = [v for v in arguments.values() if isinstance(v, Tensor)]
        if not tensors:
            return UNKNOWN
        # It may detach, and it may have weights of its own and be recorded whatever it is given.
        result = mixed_tensor(interp, tensors)
        return result.but(graph=None) if interp.grad and result.lib == "torch" else unsure_graph(result)

    def call_opaque(self, interp: Interpreter, instance: Instance, arguments: Arguments, node: Any) -> Value:
        """Call an object nothing is known of. Where a mode was set on it, it is a model; else what it gets escapes."""
        if "training" in instance.attrs:
            return self.call_module(interp, instance, arguments, node)
        if (optimizer := self.made_outside(interp, "", arguments, node)) is not None:
            return optimizer
        harmless = "$harmless" in instance.attrs and not any(
            isinstance(v, Instance) and v.family for v in arguments.values()
        )
        if not harmless and called(node) not in TELLING:
            self.escape(interp, arguments, node)
        interp.event("outside", node, "?", tuple(arguments.values()))
        if "$meter" in instance.attrs:
            metric, what = instance.attrs["$meter"]
            if what == "clone":
                return Instance(metric.cls, metric.family, Step(interp.frame.space, node, metric.describe()))
            interp.event("meter", node, metric, what)
            if (measured := self.metered(interp, metric, what, arguments)) is not None:
                return measured
        if "$whole" in instance.attrs and called(node) in FILLING:
            part = getattr(getattr(node, "func", None), "value", None)  # `model.classifier.append(layer)`
            owner = interp.peek(part) if part is not None else None
            if isinstance(owner, Instance) and may_be_last(part):
                *_, layer = (UNKNOWN, *arguments.values())
                self.set_attribute(interp, owner, "", layer if isinstance(layer, Instance) else UNKNOWN, node)
        tensors = [v for v in arguments.values() if isinstance(v, Tensor)]
        if tensors and "$whole" in instance.attrs:
            from trainlint.semantics.behaviours.layers import part_output

            return part_output(interp, instance, tensors)
        if tensors:
            given = mixed_tensor(interp, tensors)
            return Tensor(deps=given.deps | {ELSEWHERE}) if given.deps else Tensor()
        # A method of a ready-made model, such as `get_classifier()`, gives a part of it, or puts another in.
        if "$whole" in instance.attrs or "$of_model" in instance.attrs:
            interp.event("released", node)
        return interp.opaque_child(instance, "()") if "$whole" in instance.attrs else read_of(instance)

    def metered(self, interp: Interpreter, metric: Instance, what: str, arguments: Arguments) -> Value | None:
        """What a metric of Keras gives when it is read: a number that knows on which parts it was measured."""
        from trainlint.semantics.interpreter import FEEDS

        fed = interp.read(metric.attrs, "$fed")
        known: frozenset[str] = fed if isinstance(fed, frozenset) else NOTHING
        if what in FEEDS:
            interp.write(metric.attrs, "$fed", known | measured_on(*arguments.values()))
        elif what.startswith("reset"):
            interp.write(metric.attrs, "$fed", NOTHING)
        elif what == "result" and known:
            return Number(of=known)
        return None

    def noise(self, what: str, node: Any) -> Dep:
        """What stands for all layers of a kind that do something else in training, as far as a result tells of them."""
        found = self.noises.get(what)
        if found is None:
            marker = Instance(None, "noise")
            marker.attrs["$noise"] = what
            found = self.noises[what] = Dep(marker, None, node)
        return found

    def call_layer(self, interp: Interpreter, layer: Instance, arguments: Arguments, node: Any) -> Value:
        """Run a module of a library that has no `forward`."""
        from trainlint.semantics.behaviours.keras import put_through

        return put_through(interp, layer, arguments, node)

    def call_module(self, interp: Interpreter, module: Instance, arguments: Arguments, node: Any) -> Value:
        """Run a module's forward; the outermost call leaves its mark on what comes out."""
        from trainlint.semantics.behaviours.layers import mark_output, run_forward

        outermost, region = interp.module_depth == 0, interp.region
        happened = len(region.events) if region is not None else 0
        training = interp.read(module.attrs, "training")
        begun, before = interp.steps, interp.journal.mark()
        interp.modules.runs(module)
        interp.module_depth += 1
        try:
            result = run_forward(interp, module, arguments, node)
        finally:
            interp.module_depth -= 1
            if outermost:
                interp.aside += interp.steps - begun
        if outermost and is_learner(self, module):
            quiet = bool(interp.grad) and interp.is_unrecorded(module, result, arguments, node)
            result = mark_output(interp, module, training, result, arguments, node, before, quiet)
            interp.emit("output", (node, module, result))
            if region is not None and any(event.kind == "severed" for event in region.events[happened:]):
                if found := interp.dissect(module, arguments, node):
                    interp.event("dissected", node, module, found)
        elif interp.dissecting and module.cls.__class__ is Api:
            result = tied(interp, module, result, node)
        return result

    def call_decorated(self, interp: Interpreter, function: Function, arguments: Arguments, node: Any) -> Value:
        """A call of a function whose decorators enter contexts around it."""
        if "contextmanager" in function.guards:
            manager = Instance(None, "contextmanager")
            manager.attrs["call"] = Partial(function, tuple(arguments.positional), dict(arguments.keywords))
            return manager
        result: list[Value] = []

        def body(rest: tuple[Value, ...]) -> bool:
            if rest:
                return interp.enter(rest[0], node, lambda _: body(rest[1:]))
            result.append(interp.run(function, interp.bind_arguments(function, arguments), node))
            return True

        body(function.guards)
        return result[0] if result else UNKNOWN

    def give_up(self, interp: Interpreter, arguments: Arguments, node: Any, trains: bool = True) -> Value:
        """A call of the project that is not followed any more, and that may train, if nothing tells otherwise. In a
        forward pass nobody trains or switches modes."""
        if interp.module_depth == 0:
            self.escape(interp, arguments, node, trains)
            for value in arguments.values():
                if isinstance(value, Instance) and value.family == "module":
                    interp.write(value.attrs, "$unseen", TRUE)  # it may have got more than what is known of it
            return UNKNOWN
        tensors = [v for v in arguments.values() if isinstance(v, Tensor)]
        # The parameters that it may use record gradients, whatever the inputs do.
        return mixed_tensor(interp, tensors).but(graph=None) if tensors else UNKNOWN

    def escape(self, interp: Interpreter, arguments: Arguments, node: Any, trains: bool = False) -> None:
        """Arguments reach code that is not in view: whatever it could change becomes unknown. It may run a backward if
        it is given an optimizer or its result is thrown away: what is called for its result computes something."""
        values = tuple(arguments.values())
        if interp.module_depth and not trains and node is not interp.discarded:
            values = tuple(v for v in values if not isinstance(v, Tensor))  # in a forward pass nobody trains on them
        interp.event("escape", node, values)
        interp.handed.update(id(value.node) for value in values if value.__class__ is Function)
        trains = (
            trains or node is interp.discarded or any(isinstance(v, Instance) and "$state" in v.attrs for v in values)
        )
        fills: bool | None = trains
        if not trains and any(isinstance(v, Instance) and is_trainable(v) for v in values):
            from trainlint.semantics.behaviours.training import is_learnt_from

            fills = None if is_learnt_from(interp, node) else False
        seen: set[int] = set()
        for value in values:
            for option in options(value):
                self.forget(interp, option, 0, seen, fills)

    def forget(self, interp: Interpreter, value: Value, depth: int, seen: set[int], trains: bool | None) -> None:
        """What code out of view may do to a value. It `trains` what it is given, or not (None: surely not)."""
        if depth > 3 or id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, Instance):
            self.forget_object(interp, value, depth, seen, trains)
        elif isinstance(value, ListObject):
            for item in value.items or ():
                self.forget(interp, item, depth + 1, seen, trains)
            if value.items is not None and depth == 0 and not value.items:
                interp.write(value.attrs, "items", None)
        elif isinstance(value, DictObject):
            for _, item in list(value.known()):
                self.forget(interp, item, depth + 1, seen, trains)
        elif isinstance(value, (Tuple, Union)):
            for item in value.items if isinstance(value, Tuple) else value.options:
                self.forget(interp, item, depth + 1, seen, trains)
        elif isinstance(value, Method):
            self.forget(interp, value.receiver, depth + 1, seen, trains)
        elif isinstance(value, Function):
            self.forget_filled(interp, value)
        elif trains and isinstance(value, Tensor) and value.deps and value.graph is not False:
            from trainlint.semantics.behaviours.training import gradients_may_arrive

            gradients_may_arrive(interp, value)

    def forget_filled(self, interp: Interpreter, function: Function) -> None:
        """What a function that runs whenever somebody else likes may have put into lists that were empty around it."""
        empty = {
            name: held
            for env in function.closure
            for name, held in env.items()
            if isinstance(held, ListObject) and held.items == ()
        }
        if empty:
            for node in nodes_in(function.node):
                if isinstance(node, cst.Name) and node.value in empty:
                    interp.write(empty[node.value].attrs, "items", None)

    def forget_object(
        self, interp: Interpreter, value: Instance, depth: int, seen: set[int], trains: bool | None
    ) -> None:
        if is_trainable(value):
            if depth == 0 and trains is not None:
                from trainlint.semantics.behaviours.training import parameters_escape

                parameters_escape(interp, value)
            for module in modules_in(value):
                seen.add(id(module))
                if "training" in module.attrs and module.attrs["training"] is not UNKNOWN:
                    interp.write(module.attrs, "training", UNKNOWN)
        for name in ("$state", "$steps", "$scale"):
            if name in value.attrs:
                interp.write(value.attrs, name, frozenset(("?",)))
        for child in list(value.attrs.values()):
            if isinstance(child, Instance) and (child.family or "training" in child.attrs):
                self.forget(interp, child, depth + 1, seen, trains)

    # -------------------------------------------------------------- attributes

    def node_mask(self, interp: Interpreter, name: str) -> Tensor | None:
        """The mask by which PyTorch Geometric and DGL tell which nodes of a graph are a part of the data."""
        part = NODE_PARTS.get(name.strip("[]'")) if "graphs" in self.loaded else None
        if part is None:
            return None
        interp.write(interp.flags, NODE_MASKS, interp.flags.get(NODE_MASKS, frozenset()) | {part})
        nature = next(nature for nature, of in OF_NODES.items() if of == part)
        return Tensor(MASK, 0, 1, nature, graph=False)

    def api_attribute(self, interp: Interpreter, owner: Api, name: str) -> Value:
        if owner.path == "torch.nn.functional" or owner.path == "torch":
            self.need("torch")
        path = f"{owner.path}.{name}"
        constant = CONSTANTS.get(path)
        if name == "__name__" and self.class_row(owner.path) is not None:
            return Const(owner.path.rpartition(".")[2])
        if constant is None and owner.path in ("absl.flags.FLAGS", "wandb.config"):
            constant = interp.flags.get(path)
        return constant if constant is not None else Api(path)

    def attribute(self, interp: Interpreter, owner: Value, name: str, node: Any) -> Value:
        """An attribute of a value that is no object of the project."""
        if isinstance(owner, Tensor):
            return self.tensor_attribute(interp, owner, name, node)
        if isinstance(owner, Method) and isinstance(owner.receiver, Tensor) and owner.receiver.lib == "frame":
            return self.tensor_attribute(interp, column(owner.receiver, owner.name), name, node)  # it was no method
        return Method(owner, name)

    def tensor_attribute(self, interp: Interpreter, owner: Tensor, name: str, node: Any) -> Value:
        if owner.lib == "frame":
            if name in ("iloc", "loc", "at", "iat", "ix"):
                return owner
            if name == "values":
                self.need("numpy")
                return owner.but(lib="numpy")
            if name == "shape":
                first = Number(1, integer=True, share=owner.data.length)
                return Sequence(Number(1, integer=True), first=first)
            if name == "T":
                return owner.but(data=owner.data._replace(order=None, columns=None))
            if name == "index":
                return Tensor(lib="numpy", graph=False, nature=ROW_NAMES, data=owner.data._replace(columns=None))
            if name == "columns":
                kept = owner.data.columns if owner.data.columns and owner.data.columns[0] == "all" else None
                return Tensor(lib="numpy", nature=COLUMN_NAMES, data=NO_DATA._replace(columns=kept))
            if f"pandas.DataFrame.{name}" in self.rows:
                return Method(owner, name)
            return owner if name in ("str", "dt", "cat") else Method(owner, name)
        if name == "data" and owner.nature == PACKED:
            return owner.but(nature=None)  # a field of a `PackedSequence`, which is no tensor
        if name == "data":
            deps = severed(interp, owner, interp.step(node, ".data"))
            return owner.but(graph=False, grown=frozenset(), deps=deps, trace=owner.trace)
        if name in ("T", "mT", "H", "real"):
            flat = owner.shape is not None and len(owner.shape) == 2 and name != "real"
            data = owner.data._replace(columns=None) if owner.data.columns else owner.data
            return owner.but(shape=owner.shape[::-1] if flat and owner.shape else None, data=data)
        if name == "shape":
            served = owner.shape is None and bool(owner.data.tokens) and not owner.deps
            owner = interp.name_axes(owner, node)
            shape = form(owner).shape
            tally = Tally("size") if served else None
            if shape is None:
                first = Number(1, integer=True, batch=owner.batched, tally=tally, share=owner.data.length)
                return Sequence(Number(1, integer=True), first=first)
            axes = tuple(map(number_of, shape))
            if shape and (shape[0] is None or is_of_axis(shape[0])):
                named = shape[0] if isinstance(shape[0], Size) else None
                whole = owner.data.length
                first = Number(1, integer=True, batch=owner.batched, tally=tally, size=named, share=whole)
                axes = (first, *axes[1:])
            return Tuple(axes)
        if name == "logits" and (classes := classes_of(owner)) is not None:
            return owner.but(kinds=LOGITS if classes > 1 else owner.kinds, shape=(None, classes), batched=True)
        if name == "grad":
            interp.event("gradient", node)
            own = owner.trace if owner.trace and owner.trace[0].label == LEAF else ()
            return Tensor(nature="a gradient", graph=False, deps=owner.deps, lib=owner.lib, trace=own)
        if name == "requires_grad":
            ran = [dep for dep in owner.deps if dep.node is not None]
            if owner.graph is True and any(dep.live for dep in ran):
                return TRUE  # what came out of a model while it was recorded
            return FALSE if owner.graph is False and ran and len(ran) == len(owner.deps) else UNKNOWN
        if name in ("is_cuda", "grad_fn", "is_leaf"):
            return UNKNOWN
        if name in ("target", "images", "feature_names", "target_names", "frame") and owner.lib == "numpy":
            return owner  # a bundle of arrays, as scikit-learn's loaders give
        if name in ("ndim",):
            return Const(len(owner.shape)) if owner.shape is not None else Number(0, integer=True)
        if name in ("size",) and owner.lib == "numpy":
            return Number(1, integer=True)
        if name in ("device", "dtype"):
            return UNKNOWN
        if self.tensor_row(owner, name) is not None or name in TENSOR_METHODS:
            return Method(owner, name)
        if name == "loss" and owner.deps:
            return owner.plain().but(nature=OWN_LOSS)
        if name in ("logits", "loss", "last_hidden_state", "pooler_output", "hidden_states", "prediction_logits"):
            return owner.plain()
        if name == "sample" and not is_called(interp, node):  # what diffusers' models put their output in
            return owner.plain()
        return Method(owner, name)

    def instance_attribute(self, interp: Interpreter, owner: Instance, name: str, node: Any) -> Value | None:
        """A modelled attribute or method of an object; None when the object has none of that name."""
        if owner.family == "namespace":
            return None
        if "$weight" in owner.attrs and name in ("T", "mT", "t"):
            return self.attribute(interp, as_tensor(owner), name, node)
        if name == "shape" and owner.cls is None and "$item" in owner.attrs:
            first = Number(1, integer=True, tally=Tally("size"))
            return Sequence(Number(1, integer=True), first=first)
        if COLLATED in owner.attrs and name not in ("to", "batch_size", "dataset", "fields"):
            batch: Value = owner.attrs[COLLATED]
            return batch
        if name in WRAPPED and (owner.family == "module" or (owner.family == "" and "training" in owner.attrs)):
            return owner
        row = self.method_row(owner, name)
        if row is not None:
            return Method(owner, name)
        if owner.family == "mapping" and f"dict.{name}" in BUILTINS:
            return Method(Names(owner), name)
        if name == "hparams" and isinstance(owner.cls, Class) and any("Lightning" in path for path in owner.cls.api):
            interp.write(owner.attrs, name, settings := Instance(Api("omegaconf.DictConfig"), "mapping"))
            return settings
        if owner.cls is None or isinstance(owner.cls, Api):
            if owner.family in ("", "opaque") or isinstance(owner.cls, Api):
                if owner.family and owner.family not in ("opaque",):
                    return None
                parent = node.__class__.__name__ == "Attribute"
                if parent and (name in TENSOR_METHODS or f"opaque.{name}" in self.rows):
                    return Method(owner, name)
        elif name == "zero_grad" and "?" in owner.cls.api:
            return Method(owner, name)  # of a base out of view
        return None

    def super_attribute(self, interp: Interpreter, owner: Super, name: str) -> Value:
        receiver = owner.receiver
        if name == "__init__" and isinstance(receiver, Instance):
            return Method(receiver, "__init__")
        if isinstance(receiver, Instance):
            row = self.method_row(receiver, name)
            if row is not None:
                return Method(receiver, name)
            if receiver.family == "mapping" and f"dict.{name}" in BUILTINS:
                return Method(Names(receiver), name)
        return UNKNOWN

    def set_attribute(self, interp: Interpreter, owner: Object, name: str, value: Value, node: Any) -> bool:
        """Assignments that mean more than storing; True when that is all."""
        layer = value if isinstance(value, Instance) and value.family == "module" else None
        if isinstance(owner, Instance) and (layer is not None or ((name or "head") in HEADS and may_be_layer(value))):
            # A layer put into a ready-made model is its new head; into a part of it, the head of the whole.
            model = owner.attrs.get("$whole", owner)
            if (
                name not in STEMS
                and isinstance(model, Instance)
                and (isinstance(model.cls, Api) or (isinstance(model.cls, Class) and name in HEADS))
                and any(map(self.is_model, (model.cls.path,) if isinstance(model.cls, Api) else model.cls.api))
            ):
                interp.write(model.attrs, "$head", value if isinstance(value, Union) or layer is not None else UNKNOWN)
        elsewhere = getattr(getattr(node, "value", None), "value", None) != "self"
        if isinstance(owner, Instance) and "$made" in owner.attrs and "transform" not in name:
            if elsewhere:
                interp.write(owner.attrs, "$made", ())  # other samples, it may be, than those it was made with
            elif any(given is value for given in given_to(interp.frame.function, interp.frame.env)) or (
                value.__class__ in ROWS and owner.attrs.get(name).__class__ in ROWS and is_between_epochs(interp)
            ):
                interp.write(owner.attrs, "$switched", TRUE)  # a method of its own chooses what it serves next
        return False

    def is_model(self, path: str) -> bool:
        """Whether a path names a ready-made model."""
        row = self.class_row(path)
        return row is not None and "model" in row.raw

    def set_tensor_attribute(self, interp: Interpreter, owner: Tensor, name: str, value: Value, node: Any) -> None:
        if name in ("grad", "_grad"):
            from trainlint.semantics.behaviours.training import set_gradients

            set_gradients(interp, owner, value, node)
        elif name == "data" and isinstance(value, Tensor) and node is not None:
            self.edit(interp, owner.but(graph=False), node)
            self.set_data(interp, owner, value, node)
        elif name == "requires_grad":
            if leaf_kind(interp, owner) == "parameter":
                interp.write(interp.flags, asking(owner), value)
            elif node is not None and truth(value) and not any(is_leaf(dep) for dep in owner.deps):
                if owner.graph is False:
                    leaf = interp.step(node, LEAF)
                    owner = owner.but(deps=cut(owner.deps, leaf), trace=(leaf,))
                interp.rebind(node.value, owner.but(graph=True))
            from trainlint.semantics.behaviours.training import set_requires_grad

            set_requires_grad(interp, owner, value, node)
        elif owner.lib == "frame" and node is not None:
            self.set_item(interp, owner, [Const(name)], value, node)  # a column

    def set_data(self, interp: Interpreter, owner: Tensor, value: Tensor, node: Any) -> None:
        """A tensor holds other numbers, put there by its `data`."""
        nature = owner.nature if owner.nature == "a parameter" else value.nature  # what is trained does not stay so
        changed = with_form(owner.but(lo=value.lo, hi=value.hi, nature=nature), form(value))
        interp.modules.same(owner, changed)
        interp.mutate(node.value, changed)

    # --------------------------------------------------------------- iteration

    def module_items(self, interp: Interpreter, module: Instance) -> tuple[Value, ...] | None:
        children = module.attrs.get("$children")
        return children.items if isinstance(children, ListObject) else None

    def unpack_tensor(self, value: Tensor, count: int) -> list[Value]:
        element = gathered(self.tensor_element(value))  # hardly rows
        if value.shape is None and any(dep.node is not None for dep in value.deps):
            # More likely a model gave several things, of which some may be numbers.
            element = unsure_graph(element)
        return [element.but() for _ in range(count)]

    def tensor_element(self, value: Tensor) -> Tensor:
        data = value.data
        if data.tokens:
            data = data._replace(order=None, columns=None if value.lib == "frame" else ONE_ROW)
        return value.but(shape=value.shape[1:] if value.shape else None, data=data)

    def iterate(self, interp: Interpreter, owner: Instance) -> Value:
        """What walking over an object gives."""
        if isinstance(owner.cls, Class):
            iterator = owner.cls.find("__iter__")
            if isinstance(iterator, Function):
                result = interp.call(Method(owner, "__iter__", iterator), _no_arguments(), owner.cls.node)
                if result is not owner:
                    return interp.element_of(result)
            for name in ("__next__", "__getitem__"):
                member = owner.cls.find(name)
                if isinstance(member, Function):
                    arguments = _no_arguments()
                    if name == "__getitem__":
                        arguments.positional.append(Number(0, integer=True))
                    return interp.call(Method(owner, name, member), arguments, owner.cls.node)
        children = owner.attrs.get("$children")
        if isinstance(children, ListObject):
            return interp.element_of(children)
        row = self.method_row(owner, "__iter__")
        if row is not None:
            from trainlint.semantics.interpreter import Arguments as Args

            return self.perform(interp, row, Args([owner]), None, owner)
        if owner.cls is None:
            item = interp.opaque_child(owner, "[]")
            if isinstance(item, Instance) and "$computed" not in owner.attrs:
                item.attrs["$item"] = TRUE  # data, as far as anyone can tell
            return item
        return UNKNOWN

    # ------------------------------------------------------------- delegations

    def enter(self, interp: Interpreter, manager: Value, node: Any, body: Callable[[Value], bool]) -> bool:
        """Run a block inside a context manager from outside the project."""
        interp.emit("enter", (node, manager))
        setting = manager.attrs.get("$grad") if isinstance(manager, Instance) else None
        if isinstance(setting, Value):
            old = interp.read(interp.flags, "grad")
            interp.write(interp.flags, "grad", setting)
            before = interp.exits()
            with interp.in_region("no_grad" if setting.key == Const(False).key else "with", node):
                alive = body(manager)
            mark = interp.journal.mark()
            interp.write(interp.flags, "grad", old)
            interp.settle(before, interp.journal.delta(mark))
            return alive
        if isinstance(manager, Instance) and manager.family == "tape":
            from trainlint.semantics.behaviours.keras import recording

            return recording(interp, manager, body)
        if isinstance(manager, Instance) and "$autocast" in manager.attrs:
            with interp.in_region("autocast", node, manager):
                return body(manager)
        if called(node) in FAILING or (isinstance(manager, Instance) and "$expected" in manager.attrs):
            with interp.in_region("expected failure", node):
                return body(manager)
        return body(manager)

    def decorate(self, interp: Interpreter, decorator: Value, function: Value, node: Any) -> Value:
        from trainlint.semantics.behaviours.decorators import decorate

        return decorate(interp, decorator, function, node)

    def builtin(self, name: str) -> Value:
        return Api(name) if name in BUILTINS else (Api(f"builtins.{name}") if name in PYTHON_NAMES else UNKNOWN)

    extend = staticmethod(containers.extend)
    put = staticmethod(containers.put)
    get_item = staticmethod(containers.get_item)
    set_item = staticmethod(containers.set_item)
    container_operation = staticmethod(containers.container_operation)
    contains = staticmethod(containers.contains)
    as_instance = staticmethod(containers.as_instance)
    delete_item = staticmethod(containers.delete_item)
    without = staticmethod(containers.without)

    def is_instance(self, interp: Interpreter, value: Value, wanted: Value) -> bool | None:
        return containers.is_instance(value, wanted)


def _no_arguments() -> Arguments:
    from trainlint.semantics.interpreter import Arguments as Args

    return Args()


def gathered(row: Tensor) -> Tensor:
    """An array of rows like this one."""
    return row.but(data=row.data._replace(columns=None)) if row.data.columns == ONE_ROW else row


def mixed_tensor(interp: Interpreter, tensors: list[Tensor]) -> Tensor:
    """A tensor of unknown content computed from others."""
    from trainlint.semantics.arithmetic import graph_of
    from trainlint.semantics.values import NO_DEPS, mix_data

    deps, data = NO_DEPS, NO_DATA
    grown: frozenset[Any] = frozenset()
    for tensor in tensors:
        deps = deps | tensor.deps
        data = mix_data(data, tensor.data)
        grown = grown | tensor.grown
    if deps and any(map(is_opaque, tensors)):
        deps |= {ELSEWHERE}
    if data.columns or data.scale:
        data = data._replace(columns=None, scale=None)
    return Tensor(
        graph=graph_of(interp, *tensors) if tensors else None, deps=deps, data=data, grown=grown,
        lib=tensors[0].lib if tensors else "torch",
    )  # fmt: skip


def is_of_torch(space: Namespace) -> bool:
    """Whether what is not known in a file may be of PyTorch: it is of the framework that the code imports."""
    used = {value.path.partition(".")[0] for value in space.attrs.values() if isinstance(value, Api)}
    return "torch" in used or used.isdisjoint(OTHER_FRAMEWORKS)


def asking(parameter: Tensor) -> str:
    """The flag of whether gradients are asked of a parameter that is no module's, where that was set."""
    return f"gradients of {id(parameter)}"  # which stays as long as the run: it is in the index of modules


def number_of(size: int | None) -> Value:
    """What a program gets that asks for a size."""
    if size is None or isinstance(size, Size):
        return Number(1, integer=True, size=size)
    return Const(size)


def classes_of(owner: Tensor) -> int | None:
    """How many classes a classifier of Transformers scores that a tensor is from, where it was told."""
    models = [dep.module for dep in owner.deps if dep.node is not None]
    given = models[0].attrs.get("$classes") if len(models) == 1 else None
    count = size(given) if isinstance(given, Value) else None
    return count if is_fixed(count) else None


def unsure_graph(tensor: Tensor) -> Tensor:
    """What code out of view computes may be detached."""
    return tensor.but(graph=None) if tensor.graph else tensor


def holds(outer: Instance, inner: Instance) -> bool:
    """Whether a module is another, or has it inside."""
    return any(module is inner for module in modules_in(outer))


def is_leaf(dep: Dep) -> bool:
    """Whether a dependency says that a value is a parameter itself, not that it was computed with it."""
    return dep.node is None and dep.module is not ELSEWHERE.module


def is_called(interp: Interpreter, node: Any) -> bool:
    """Whether an attribute is looked up to be called at once."""
    source = interp.frame.space.source
    above = source.index.parent(node) if source is not None else None
    return isinstance(above, cst.Call) and above.func is node


def taken_apart(call: Call) -> int:
    """How many names an assignment takes apart what a call gives into; 0 where it does not."""
    source = call.interp.frame.space.source
    statement = source.index.parent(call.node) if source is not None else None
    target = statement.targets[0].target if isinstance(statement, cst.Assign) else None
    return len(target.elements) if isinstance(target, (cst.Tuple, cst.List)) else 0


def is_same_tensor(method: Any) -> bool:
    """Whether what a method gives is the tensor that it is called on, or shares all its elements in their shape."""
    name = getattr(getattr(method, "attr", None), "value", "")
    return name == "detach" or (name.endswith("_") and not name.startswith("_"))


def is_data(node: Any) -> bool:
    """Whether an expression is the `data` of something."""
    return bool(getattr(getattr(node, "attr", None), "value", "") == "data")


def is_learner(library: Library, module: Instance) -> bool:
    """Whether calling this module as a whole is running a model: losses and activations by themselves are not."""
    if isinstance(module.cls, Class) or module.cls is None:
        return True
    row = library.class_row(module.cls.path)
    return row is None or bool(row.raw.get("weights")) or row.raw.get("forward") == "sequential" or "model" in row.raw


def children_of(module: Instance) -> Iterator[Instance]:
    """The modules directly inside a module."""
    seen: set[int] = set()
    for name, value in list(module.attrs.items()):
        for child in children_of_entry(name, value):
            if id(child) not in seen:
                seen.add(id(child))
                yield child


def severed(interp: Interpreter, tensor: Tensor, step: Step) -> frozenset[Dep]:
    """What a tensor descends from, of which gradients reach nothing behind an operation."""
    interp.severs(step.node, tensor)
    if not tensor.deps and interp.module_depth and tensor.graph:
        return frozenset((ELSEWHERE._replace(live=False, cut=step),))  # of the model that is running, told by its mark
    return cut(tensor.deps, step)


def modules_in(module: Instance) -> list[Instance]:
    """A module and all modules inside it, each once."""
    found, waiting = [module], [module]
    seen = {id(module)}
    for current in waiting:
        for name, value in current.attrs.items():
            kind = value.__class__
            if kind is Instance:
                registers = name.__class__ is str and name[:1] != "$"
                if id(value) in seen or not registers:
                    continue
                if not (value.family == "module" or "training" in value.attrs):
                    if "$whole" in value.attrs:  # of a ready-made model, into which modules may have been put
                        seen.add(id(value))
                        waiting.append(value)
                    continue
                children: Any = (value,)
            elif kind is Union or kind is ListObject:
                children = children_of_entry(name, value)
            else:
                continue
            for child in children:
                if id(child) not in seen and len(found) < 2000:
                    seen.add(id(child))
                    found.append(child)
                    waiting.append(child)
    return found


def children_of_entry(name: Any, value: Any) -> Iterator[Instance]:
    """The modules that one attribute registers: a plain list registers none."""
    if not isinstance(name, str) or (name.startswith("$") and name != "$children"):
        return
    if isinstance(value, ListObject):
        if name != "$children":
            return
        for item in value.items if value.items is not None else (value.attrs["element"],):
            yield from leaves(item)
    else:
        for option in options(value):
            if not isinstance(option, ListObject):
                yield from leaves(option)


def leaves(value: Any) -> Iterator[Instance]:
    """The modules among the alternatives or items of a value."""
    if isinstance(value, Union):
        for option in value.options:
            yield from leaves(option)
    elif isinstance(value, Instance):
        if value.family == "module" or "training" in value.attrs:
            yield value
    elif isinstance(value, ListObject):
        for item in value.items if value.items is not None else (value.attrs["element"],):
            yield from leaves(item)


def may_be_layer(value: Value) -> bool:
    """Whether a value may be a module that nothing is known of, or one of several."""
    return any(
        o is UNKNOWN or (isinstance(o, Instance) and (o.cls is None or o.family == "module")) for o in options(value)
    )


SHAPED = frozenset((Tensor, Tuple, Sequence))
ROWS = frozenset((Tensor, ListObject, Sequence))
SERVING = frozenset(("__init__", "__getitem__", "__getitems__", "__iter__", "__len__"))


BUILTIN_ROW = Row("builtin", {})
# Libraries whose functions mean the same as those of PyTorch, but give arrays of their own.
CONSTANTS: dict[str, Value] = {
    "math.pi": Const(3.141592653589793),
    "math.e": Const(2.718281828459045),
    "numpy.pi": Const(3.141592653589793),
    "torch.pi": Const(3.141592653589793),
    **dict.fromkeys(("math.nan", "numpy.nan", "numpy.NaN", "numpy.NAN", "torch.nan"), NAN),
    "sys.maxsize": Const(2**63 - 1),
}
WRAPPED = ("module", "_orig_mod")  # where what is distributed or compiled has the model itself
HEADS = frozenset(("classifier", "fc", "head", "heads"))  # what their last layers are called
OTHER_ARRAYS = frozenset(("numpy", "pandas", "tensorflow", "jax", "mxnet", "cupy", "scipy", "sklearn", "polars"))
# Methods that arrays and frames have too.
ARRAY_METHODS = frozenset(
    """abs clip argmax item mean std var max min sum reshape transpose squeeze flatten repeat dot cumsum prod
    round all any size dim copy sort fill backward detach numpy cpu cuda""".split()
)
# Methods with an underscore at their end that leave the elements as they are.
PURE = frozenset(("requires_grad_", "detach_", "share_memory_", "retain_grad_", "squeeze_", "unsqueeze_", "t_"))
# What gives a parameter new numbers without teaching it anything.
DRAWING = frozenset(("normal_", "uniform_", "trunc_normal_", "fill_", "zero_", "clamp_", "clip_"))
SCALING = frozenset(("clamp_", "clip_", "div_", "mul_"))
FILLING_IN = frozenset(("fill_", "zero_", "copy_", "set_"))
PYTHON_NAMES = frozenset(dir(builtins))
# What gives a model whose layers are out of view; with weights in eval mode.
READY_MADE = re.compile(
    r"transformers\.(?:[\w.]+\.)?(Flax(?=[A-Z])|TF(?=[A-Z]))?\w*(?:Model|For[A-Z])\w*\.from_(?:pretrained|config)"
    r"|diffusers\.(?:[\w.]+\.)?(Flax(?=[A-Z]))?(?:\w*Model|Autoencoder\w+)(?<!EMAModel)(?:\.from_(?:pretrained|config))?"
)
FRAMEWORKS = {"Flax": "flax", "TF": "keras"}  # of models that are not PyTorch's, by how their names begin
# Where classes of modules are that need no row of their own.
MODULES = ("torch.nn.", "timm.models", "torchvision.models", "torch_geometric.nn.", "dgl.nn.")
# What loggers do with what they are given: they read it.
TELLING = frozenset(("debug", "info", "warning", "warn", "error", "exception", "critical", "add_scalar", "add_graph"))
# What NumPy calls the keywords of torch's functions, which take both.
OTHER_NAMES = {"dim": "axis", "keepdim": "keepdims", "x": "X"}  # of NumPy and scikit-learn
# Methods of `unittest.TestCase` that expect an exception.
FAILING = frozenset(("assertRaises", "assertRaisesRegex"))
MOVES = frozenset(("to", "cuda", "cpu", "float", "half"))
# Methods that only tensors have: calling one tells what an unknown value is.
TENSOR_METHODS = frozenset(
    """softmax log_softmax sigmoid log log2 log10 log1p exp sqrt rsqrt abs clamp clamp_ clamp_min view reshape
    permute transpose squeeze unsqueeze argmax backward detach item cpu cuda numpy float long norm mean std
    var softplus tanh relu matmul mm bmm contiguous flatten masked_fill masked_fill_ scatter_ gather expand
    expand_as repeat size dim numel requires_grad_ topk max min sum pow square""".split()
)
