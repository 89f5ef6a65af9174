"""The model: what it registers, what it runs, how its layers follow each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import pairwise, takewhile
from typing import Any, ClassVar

import libcst as cst

from trainlint.api import Draft, Report, Rule, on, on_call
from trainlint.checks.losses import BCE, BCE_WITH_LOGITS, CROSS_ENTROPY, KERAS, LOG_SOFTMAX
from trainlint.checks.optimisation import held_by_optimizers, trained_modules
from trainlint.checks.repairs import argument_for, assigned, attribute_targets, attribute_uses, definition, index_of
from trainlint.edits import imported, insert_at_start, overwrite, rename, replace, set_argument
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.keras import plain_path
from trainlint.semantics.behaviours.layers import DRAWN
from trainlint.semantics.containers import derives
from trainlint.semantics.interpreter import Frame, Interpreter, Region
from trainlint.semantics.library import Call, Library, as_tensor, leaves, modules_in
from trainlint.semantics.modules import (
    FILLING,
    Flow,
    ModuleIndex,
    Stored,
    contents,
    is_plain_module,
    is_self,
    is_weighted,
    leaf_kind,
    may_run_base,
    methods_from,
    related,
)
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    FALSE,
    HIDDEN,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    DictObject,
    Function,
    Instance,
    ListObject,
    Step,
    Tensor,
    Tuple,
    Union,
    Value,
    bounds,
    const,
    is_number,
    not_none,
    options,
    truth,
    usual,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, contains, is_literal, is_name, is_plain_call, positional
from trainlint.syntax.index import BindingKind, Index, ScopeKind

LINEAR = "torch.nn.Linear"
CONVOLUTIONS = ("torch.nn.Conv1d", "torch.nn.Conv2d", "torch.nn.Conv3d")
TRANSPOSED = ("torch.nn.ConvTranspose1d", "torch.nn.ConvTranspose2d", "torch.nn.ConvTranspose3d")
RECURRENT = ("torch.nn.LSTM", "torch.nn.GRU", "torch.nn.RNN", "torch.nn.LSTMCell", "torch.nn.GRUCell")
ACTIVATED = (LINEAR, *CONVOLUTIONS)
NORMS = ("torch.nn.BatchNorm1d", "torch.nn.BatchNorm2d", "torch.nn.BatchNorm3d", "torch.nn.LayerNorm")
DROPOUT = ("torch.nn.Dropout", "torch.nn.Dropout1d", "torch.nn.Dropout2d", "torch.nn.Dropout3d")
# Layers of Keras and of the libraries of JAX, with the name of an attribute for the width of what they put out.
DENSE = dict.fromkeys(("keras.layers.Dense", "flax.nnx.Linear", "haiku.Linear", "equinox.nn.Linear"), "units")
DENSE["flax.linen.Dense"] = "features"
OTHER_CONVOLUTIONS = ("keras.layers.Conv1D",)
OTHER_NORMS = ("keras.layers.BatchNormalization", "flax.linen.BatchNorm", "flax.nnx.BatchNorm")
OTHER_DROPOUT = ("keras.layers.Dropout", "flax.linen.Dropout", "flax.nnx.Dropout", "equinox.nn.Dropout")
F_DROPOUT = "torch.nn.functional.dropout"
WEIGHTED = (
    LINEAR, *CONVOLUTIONS, *RECURRENT, *NORMS, "torch.nn.ConvTranspose2d", "torch.nn.Embedding",
    "torch.nn.MultiheadAttention", "torch.nn.TransformerEncoderLayer",
)  # fmt: skip


def passed_in(interp: Interpreter, call: Any, values: Iterator[Value]) -> set[int]:
    """Identities of the modules that arguments bring along, but for those in containers that are written in the call
    itself, or filled for it alone: nobody else has them."""
    index = interp.frame.space.source.index if interp.frame.space.source is not None else None
    names = [a.value for a in getattr(call, "args", ()) if isinstance(a.value, cst.Name)] if index is not None else []
    for_it = {id(interp.peek(name)) for name in names if index is not None and is_filled_for(index, name)}
    found: set[int] = set()
    for value in values:
        if isinstance(value, Instance):
            found |= {id(module) for module in modules_in(value)}
        for inner in held(value) if id(value) not in for_it else ():
            if inner.born is None or not contains(call, inner.born.node):
                found.add(id(inner))
    return found


def is_filled_for(index: Index, argument: cst.Name) -> bool:
    """Whether nothing is done with a variable of a function but to fill it and to hand it over here."""
    bindings = index.lookup(argument)
    if not bindings or any(b.kind not in MADE_HERE or b.scope.kind is not ScopeKind.FUNCTION for b in bindings):
        return False
    return all(name is argument or is_filled_at(index, name) for name in index.references(bindings[0]))


MADE_HERE = (BindingKind.ASSIGNMENT, BindingKind.AUGMENTED_ASSIGNMENT)


def is_filled_at(index: Index, name: cst.Name) -> bool:
    """Whether a list is only given something where it is named: `layers.append(…)`, `layers += …`."""
    method = index.parent(name)
    if isinstance(method, cst.AugAssign):
        return method.target is name
    call = index.parent(method) if isinstance(method, cst.Attribute) else None
    if not isinstance(call, cst.Call) or call.func is not method:
        return False
    return called(call) in FILLING and isinstance(index.parent(call), cst.Expr)


def held(value: Value) -> Iterator[Instance]:
    """The modules in a plain container, however deep."""
    for item in contents(value):
        if isinstance(item, (Tuple, DictObject, ListObject)):
            yield from held(item)
        else:
            yield from leaves(item)


# What a file calls or names that gives an optimizer what a module does not see.
COLLECTING = ("parameters(", "optim", "register_", "setattr", "add_module")


def has_strangers(module: Instance) -> bool:
    """Whether a module registers a container of who knows what."""
    for value in module.attrs.values():
        members = value.attrs.get("$children") if isinstance(value, Instance) else None
        if isinstance(members, ListObject) and members.items is None:
            element = options(members.attrs["element"])
            if not all(isinstance(one, Instance) and one.family == "module" for one in element):
                return True
    return False


# Trainable tensors that are no parameters, by what was done to make them so.
PLAIN_TENSORS = ("tensor", "moved", "drawn", "random")


class HiddenRule(Rule):
    """A rule on what a module keeps where it does not see it. What is collected by hand somewhere stays unreported."""

    kinds: tuple[str, ...] = ()

    @on("project")
    def judge(self, spaces: list[Namespace], report: Report) -> None:
        index = report.interp.modules
        for stored, kind in index.hidden.values():
            if kind not in self.kinds:
                continue
            if id(stored.node) in index.untrained or not self.collected(stored, kind, spaces, report.interp):
                self.tell(stored, kind, report)

    def tell(self, stored: Stored, kind: str, report: Report) -> None:
        report(stored.node, stored.space, name=stored.name, kind=kind)

    def collected(self, stored: Stored, kind: str, spaces: list[Namespace], interp: Interpreter) -> bool:
        index = interp.modules
        if any(isinstance(stored.cls.find(name), Function) for name in ("parameters", "named_parameters")):
            return True
        for space in spaces:
            if space.source is None or stored.name not in space.source.text:
                continue
            uses = index.uses(space)
            if stored.name in uses.names:
                return True
            reads = uses.elsewhere.get(stored.name, [])
            if kind in PLAIN_TENSORS:
                reads = [node for node in reads if not looks_only(space.source.index, node)]
            if index.are_reads(reads) and any(word in space.source.text for word in COLLECTING):
                return True
            for own in uses.classes.values():
                given = own.kept if kind in PLAIN_TENSORS else own.passed  # a tensor is computed with, too
                if stored.name in given or (stored.name in own.read and own.gathers):
                    if not own.makes(stored.name) or related(own.cls, stored.cls):
                        return True
        return False


LOOKS = frozenset("data detach dim item mean numel shape size tolist".split())


def looks_only(index: Index, node: Any) -> bool:
    """Whether an attribute is set, or asked for what no optimizer takes: its numbers or its shape."""
    parent = index.parent(node)
    return parent.__class__ is cst.AssignTarget or (isinstance(parent, cst.Attribute) and parent.attr.value in LOOKS)


# Before the kind of a container that holds more than layers, such as lists of them.
MIXED = "mixed "


class ModulesInPlainContainer(HiddenRule):
    """Layers are kept in a plain list or dict."""

    code, name = "TL601", "modules-in-plain-container"
    message = "`{name}` is a plain {kind} of layers: they are not registered, so they are not trained, moved or saved"
    fixable = Safety.UNSAFE
    kinds = tuple(mixed + kind for kind in ("list", "dict", "tuple") for mixed in ("", MIXED))
    # What the registering containers can do as well.
    METHODS: ClassVar[dict[str, tuple[str, ...]]] = {
        "ModuleList": ("append", "extend", "insert"),
        "ModuleDict": ("keys", "values", "items"),
    }
    READERS = frozenset("enumerate len zip reversed iter list".split())

    @on("built")
    def check(self, fact: Any, report: Report) -> None:
        node, instance, arguments = fact
        interp = report.interp
        attrs = instance.attrs
        plain = [
            (name, option)
            for name, value in attrs.items()
            if isinstance(name, str)
            for option in options(value)
            if isinstance(option, (ListObject, DictObject, Tuple))
        ]
        if not plain or any(isinstance(name, str) and name.startswith(("$member", "$unseen")) for name in attrs):
            return
        seen: set[int] | None = None
        for name, value in plain:
            if name.startswith("$"):
                continue
            items = contents(value)
            inside = list(held(value))
            single = len(items) == 1 and isinstance(value, (ListObject, Tuple)) and value.items is not None
            if not inside or (single and not isinstance(written(interp, instance, name), cst.ListComp)):
                continue  # a single module in a list is there to be hidden
            if has_strangers(instance):
                return  # the layers of a module that is kept in a dict to choose from, taken apart
            if seen is None:
                seen = {id(m) for m in modules_in(instance)} | passed_in(interp, node, arguments.values())
            if all(id(m) not in seen and m.born is not None for m in inside) and any(
                is_weighted(interp, m) for m in inside
            ):
                kind = "dict" if isinstance(value, DictObject) else "tuple" if isinstance(value, Tuple) else "list"
                alone = all(isinstance(item, Instance) and item.family == "module" for item in items)
                hide(interp, instance, name, kind if alone else MIXED + kind, value)

    @on("program", having="backward step")
    def missed(self, region: Region, report: Report) -> None:
        """A program trains a model, and no optimizer gets the layers that it keeps in plain containers, however they
        are handed around."""
        owned, interp = held_by_optimizers(region, report), report.interp
        if not owned or not interp.modules.hidden:
            return
        learnt = (m for m in trained_modules([event.loss for event in region.of("backward")]) if id(m) in owned)
        for module in (part for model in learnt for part in modules_in(model)):
            for name, value in module.attrs.items():
                stored = store_of(interp, module, name, value) if is_plain_container(name, value) else None
                if stored is None or id(stored.node) not in interp.modules.hidden:
                    continue
                inside = [m for part in held(value) for m in modules_in(part)]
                kept = (m for m in inside if m.attrs.get("$frozen", FALSE) is not FALSE or "$edited" in m.attrs)
                if owned.isdisjoint(map(id, inside)) and not any(kept):
                    interp.modules.untrained.add(id(stored.node))

    def tell(self, stored: Stored, kind: str, report: Report) -> None:
        draft = report(stored.node, stored.space, name=stored.name, kind=kind.removeprefix(MIXED))
        if not kind.startswith(MIXED):
            draft.repair(self.register)

    def register(self, draft: Draft) -> None:
        """Offer a `ModuleList` or `ModuleDict`, where it can do all that the class does with the container."""
        index, target = index_of(draft.space), draft.node
        if not isinstance(target, cst.Attribute) or not is_self(target.value):
            return
        made = assigned(index.statement(target), target)
        uses = [use for use in attribute_uses(index, target) if use is not target]
        if made is None or attribute_targets(index, target) != [target]:
            return
        name = "ModuleDict" if isinstance(made, cst.Dict) else "ModuleList"
        if not all(self.suits(name, index, use) for use in uses):
            return
        pieces: tuple[Any, ...] = ("(", made, ")")
        if isinstance(made, cst.Dict):
            if not made.elements or not all(is_layer_name(element) for element in made.elements):
                return
        elif isinstance(made, (cst.List, cst.Tuple)):
            if not made.elements:
                pieces = ("()",)
            elif isinstance(made, cst.Tuple) and not made.lpar:
                pieces = ("((", made, "))")
        elif not isinstance(made, (cst.ListComp, cst.Call)):
            return
        draft.fix(f"make it a `{name}`", replace(made, imported(f"torch.nn.{name}"), *pieces))

    def suits(self, name: str, index: Any, use: cst.Attribute) -> bool:
        """Whether a `ModuleList` or `ModuleDict` serves in a place as well."""
        parent = index.parent(use)
        if isinstance(parent, (cst.For, cst.CompFor)):
            return parent.iter is use
        if isinstance(parent, cst.Subscript):
            stores = isinstance(index.parent(parent), (cst.AssignTarget, cst.Del, cst.AugAssign))
            return parent.value is use and not stores
        if isinstance(parent, cst.Attribute):
            return parent.attr.value in self.METHODS[name]
        if isinstance(parent, cst.ComparisonTarget):
            return name == "ModuleDict"
        call = index.parent(parent) if isinstance(parent, cst.Arg) else None
        return isinstance(call, cst.Call) and isinstance(call.func, cst.Name) and call.func.value in self.READERS


# Names that a module has already.
TAKEN = frozenset(
    """train eval training type float double half bfloat16 to cpu cuda xpu ipu mtia keys values items pop update clear
    forward modules children parameters buffers apply compile dump_patches call_super_init share_memory extra_repr
    register_buffer register_module add_module state_dict zero_grad T_destination""".split()
)


def is_layer_name(element: Any) -> bool:
    """Whether a member of a dict can be one of a `ModuleDict`: its key is a string that can be an attribute."""
    if not isinstance(element, cst.DictElement) or not isinstance(element.key, cst.SimpleString):
        return False
    key = element.key.evaluated_value
    return isinstance(key, str) and key.isidentifier() and key not in TAKEN


def is_plain_container(name: Any, value: Any) -> bool:
    """Whether an attribute holds a container that registers no layers."""
    return isinstance(name, str) and name[:1] != "$" and isinstance(value, (ListObject, DictObject, Tuple))


def hide(interp: Interpreter, instance: Instance, name: str, kind: str, value: Value | None = None) -> None:
    """Note that an attribute keeps something that its module does not register."""
    stored = store_of(interp, instance, name, value)
    if stored is not None:
        interp.modules.hidden[id(stored.node)] = (stored, kind)


def store_of(interp: Interpreter, instance: Instance, name: str, value: Value | None = None) -> Stored | None:
    """Where an attribute of a module is set in its class: to a certain value, if there is a choice."""
    found = [
        stored
        for stored in interp.modules.stored.values()
        if stored.name == name and isinstance(instance.cls, Class) and in_line(instance.cls, stored.cls)
    ]
    return next((stored for stored in found if stored.value is value), found[0] if found else None)


def written(interp: Interpreter, instance: Instance, name: str) -> Any:
    """The expression that an attribute of a module is set to."""
    stored = store_of(interp, instance, name)
    return assigned(index_of(stored.space).statement(stored.node), stored.node) if stored is not None else None


def in_line(cls: Class, wanted: Class) -> bool:
    return cls.node is wanted.node or any(isinstance(base, Class) and in_line(base, wanted) for base in cls.bases)


class ParameterNotRegistered(HiddenRule):
    """A trainable tensor of a module is no parameter of it."""

    code, name = "TL602", "parameter-not-registered"
    message = "`{name}` {kind}, so the module does not register it: no optimizer gets it and it is not saved"
    kinds = (*PLAIN_TENSORS, "parameters")
    WORDS: ClassVar[dict[str, str]] = {
        "drawn": "is a plain tensor with weights drawn for it, not a `Parameter`",
        "random": "is a plain tensor of random numbers, neither a `Parameter` nor a buffer",
        "tensor": "is a plain tensor that asks for gradients, not a `Parameter`",
        "moved": "is what moving or scaling a `Parameter` gives, which is a plain tensor",
        "parameters": "keeps parameters in a plain container",
    }

    @on("built")
    def check(self, fact: Any, report: Report) -> None:
        _, instance, arguments = fact
        interp = report.interp
        given = any(isinstance(value, Tensor) and value.nature == "random numbers" for value in arguments.values())
        for name, value in list(instance.attrs.items()):
            if not isinstance(name, str) or name.startswith("$"):
                continue
            held = not_none(value)  # a switch may leave it out
            if isinstance(held, Tensor):
                # What `forward` does not read is what its parameters are made of.
                drawn = held.nature == DRAWN and runs_with(instance, name)
                kind = "drawn" if drawn else leaf_kind(interp, held)
                # Random numbers that the module is given stand for data.
                if not kind and held.nature == "random numbers" and not given and runs_with(instance, name):
                    kind = "random"
                if kind in PLAIN_TENSORS:
                    hide(interp, instance, name, kind, held)
            elif not interp.modules.leaves:
                continue
            elif isinstance(value, (ListObject, DictObject, Tuple)):
                others = instance.attrs.get("$registered") or ()  # by names that are not known
                registered = {id(other) for other in (*instance.attrs.values(), *others)}
                hidden = (item for item in contents(value) if id(item) not in registered)
                if any(leaf_kind(interp, item) == "parameter" for item in hidden):
                    hide(interp, instance, name, "parameters")

    def tell(self, stored: Stored, kind: str, report: Report) -> None:
        report(stored.node, stored.space, name=stored.name, kind=self.WORDS[kind])


def runs_with(module: Instance, name: str) -> bool:
    """Whether the `forward` of a module's class, or a method that it calls, reads an attribute."""
    return any(name in named for _, named in methods_from(module.cls, "forward"))


class LayerUnused(Rule):
    """A layer is made and never used."""

    code, name = "TL603", "layer-unused"
    message = "`{name}` is made but never used, so it is not part of what is computed and is never trained"
    severity = Severity.WARNING

    @on("project")
    def check(self, spaces: list[Namespace], report: Report) -> None:
        index = report.interp.modules
        ran = index.have_run()
        for stored in list(index.layers()):
            layers = [option for option in options(stored.value or UNKNOWN) if isinstance(option, Instance)]
            if id(stored.node) in ran or not layers or stored.name.startswith("_"):
                continue
            if not is_plain_module(stored.cls) or not computes(stored.cls):
                continue
            if not stored.weighted and any(not is_dropout(o) or is_kept_elsewhere(o, stored, index) for o in layers):
                continue
            if stored.space.source is not None and stored.space.source.problems:
                continue  # it may be used where the file cannot be read
            if not any(registers_others(o, report.interp.library) for o in layers) and not index.is_used(
                stored, spaces
            ):
                report(stored.node, stored.space, name=stored.name)


# What the first argument of a layer is called that is a width, so that no other layer is given there.
WIDTHS = frozenset(
    """in_features in1_features in_channels num_features normalized_shape num_embeddings embed_dim d_model input_size
    out_features out_channels""".split()
)


def registers_others(layer: Instance, library: Library) -> bool:
    """Whether a container is made of layers that are attributes already, so that the module knows them."""
    row = library.class_row(layer.cls.path) if isinstance(layer.cls, Api) else None
    if row is not None and row.params and row.params[0] in WIDTHS:
        return False
    call = layer.born.node if layer.born is not None else None
    given = next(iter(positional(call)), None) if isinstance(call, cst.Call) else None
    if layer.born is None or given is None or isinstance(given, (cst.List, cst.Tuple, cst.Dict, cst.BaseComp)):
        return False
    index = index_of(layer.born.space)
    named = (n for n in (given, *nodes_in(given)) if isinstance(n, cst.Attribute) and is_self(n.value))
    return not all(is_width(name, index, library) for name in named)


def is_width(name: cst.Attribute, index: Index, library: Library) -> bool:
    """Whether an attribute is an argument of a layer that is made of numbers."""
    call = next((around for around in index.ancestors(name) if isinstance(around, cst.Call)), None)
    rows = [library.class_row(path) for path in index.qualified_names(call.func)] if call is not None else []
    return any(row is not None and row.params and row.params[0] in WIDTHS for row in rows)


def is_dropout(layer: Instance) -> bool:
    return isinstance(layer.cls, Api) and plain_path(layer.cls.path) in (*DROPOUT, *OTHER_DROPOUT)


def is_kept_elsewhere(layer: Instance, stored: Stored, modules: ModuleIndex) -> bool:
    """Whether the rate of a dropout is an attribute too, which the class reads for a dropout by other means."""
    call, index = layer.born.node if layer.born is not None else None, index_of(stored.space)
    rate = next(iter(positional(call)), None) if isinstance(call, cst.Call) else None
    names = [n for made in index.lookup(rate) for n in index.references(made)] if isinstance(rate, cst.Name) else []
    assigned_to = [around for name in names if isinstance(around := index.parent(name), cst.Assign)]
    kept = [target.target for around in assigned_to if around.value in names for target in around.targets]
    return not all(isinstance(t, cst.Attribute) and not modules.own(stored.cls).reaches(t.attr.value) for t in kept)


def computes(cls: Class) -> bool:
    """Whether a class has a `forward` of its own that does something."""
    found = next((member for name in ("forward", "call", "__call__") if (member := cls.find(name))), None)
    forward = found if isinstance(found, Function) else None
    if forward is None or not isinstance(forward.node, cst.FunctionDef):
        return False
    return any(inner.__class__ is cst.Return or inner.__class__ is cst.Yield for inner in nodes_in(forward.node.body))


def is_layer(interp: Interpreter, cls: Class) -> bool:
    """Whether a class is one of torch's layers with another constructor."""
    return len(cls.api) == 1 and cls.api[0].startswith("torch.nn.") and interp.library.class_row(cls.api[0]) is not None


class MissingSuperInit(Rule):
    """A module's `__init__` does not call its base's."""

    code, name = "TL604", "missing-super-init"
    message = "`{cls}.__init__` {what}"
    fixable = Safety.SAFE

    @on("built")
    def bare(self, fact: Any, report: Report) -> None:
        """Without a part to register, the first call fails instead."""
        _, instance, _ = fact
        interp, cls = report.interp, instance.cls
        if "$ready" in instance.attrs or not isinstance(cls, Class) or cls.node.decorators:
            return
        init = cls.find("__init__")
        if not isinstance(init, Function) or not is_bare(interp, init):
            return
        if not (computes(cls) if is_plain_module(cls) else is_layer(interp, cls)):
            return
        if any(cls.find(name) is not None for name in ("__new__", "__call__")):
            return
        if not any(is_part(interp, value) for value in instance.attrs.values()):  # else that is what fails
            interp.modules.bare[id(init.node)] = (cls, init)

    @on("project")
    def called(self, spaces: list[Namespace], report: Report) -> None:
        """A class whose `forward` is called by name works as it is."""
        index = report.interp.modules
        for cls, init in index.bare.values():
            node: Any = init.node
            naming = [s for s in (cls.space, *spaces) if s.source is not None and cls.name in s.source.text]
            if not any(index.is_read(index.uses(space), "forward") for space in naming):
                what = "does not call `super().__init__()`, so calling the module fails"
                draft = report(node.name, init.space, cls=(init.owner or cls).name, what=what)
                if is_plain_module(cls):
                    draft.fix("call it first", insert_at_start(node, "super().__init__()", space=init.space))

    @on_call("module.append")
    def added(self, call: Call, report: Report) -> None:
        """`add_module` stands for the assignment."""
        if called(call.node) in ("add_module", "register_module"):
            label, value = const(call.value("name", 1) or UNKNOWN), call.value("module", 2)
            if isinstance(label, str) and value is not None:
                self.check((call.receiver, label, value, call.node), report)

    @on("store")
    def check(self, fact: Any, report: Report) -> None:
        owner, name, value, node = fact
        if not isinstance(owner, Instance) or owner.family != "module" or "$ready" in owner.attrs:
            return
        interp, cls = report.interp, owner.cls
        if not isinstance(cls, Class) or "?" in cls.api or cls.node.decorators or cls.find("__new__") is not None:
            return
        if not is_part(interp, value):
            return
        here = interp.frame.function
        init = here if here is not None and here.name == "__init__" and here.owner else cls.find("__init__")
        if isinstance(init, Function) and init.owner is not None and not derives(cls, init.owner):
            return  # another object sets it
        if not isinstance(init, Function) or not isinstance(init.node, cst.FunctionDef):
            return
        if init.node.name.value != "__init__":
            return  # a decorator's wrapper
        statements = init.node.body.body
        calls = next((i for i, s in enumerate(statements) if calls_base(s)), None)
        what = f"assigns `{name}` without `super().__init__()` before it, which fails"
        if calls is not None and not any(contains(statement, node) for statement in statements[:calls]):
            base = bare_init(interp, init.owner or cls) if is_plain_module(cls) else None
            if base is None:
                return
            init, calls = base, None
            what = f"does not call `super().__init__()`, so that `{cls.name}` fails to assign `{name}`"
        place: Any = init.node
        draft = report(place.name, init.space, cls=(init.owner or cls).name, what=what)
        if calls is None:
            draft.fix("call it first", insert_at_start(place, "super().__init__()", space=init.space))


def bare_init(interp: Interpreter, cls: Class) -> Function | None:
    """The `__init__` of a class's only base, if it plainly leaves its own base's out. Of several bases the first one's
    is run, and that of `nn.Module` runs no other."""
    base = cls.bases[0] if len(cls.bases) == 1 else None
    init = base.find("__init__") if isinstance(base, Class) else None
    if not isinstance(init, Function) or init.owner is None or init.owner.node.decorators:
        return None
    return init if is_bare(interp, init) else None


def is_bare(interp: Interpreter, init: Function) -> bool:
    """Whether nothing in an `__init__` and the class around it could run a base's."""
    node = init.node
    if not isinstance(node, cst.FunctionDef) or node.name.value != "__init__" or node.decorators:
        return False
    return not (calls_base(node) if init.owner is None else interp.modules.own(init.owner).runs_base)


def is_part(interp: Interpreter, value: object) -> bool:
    """Whether a value is one that a module registers: another module, or a parameter."""
    if isinstance(value, Union):  # a choice of models
        return all(isinstance(option, Instance) and option.family == "module" for option in value.options)
    return (isinstance(value, Instance) and value.family == "module") or leaf_kind(interp, value) == "parameter"


def calls_base(statement: Any) -> bool:
    """Whether a statement could run a base's `__init__`."""
    return any(map(may_run_base, nodes_in(statement)))


class ModuleBuiltInForward(Rule):
    """A layer is made anew on every call."""

    code, name = "TL608", "module-built-in-forward"
    message = "`{cls}` is made on every call of the model, so its weights are always new and never trained"

    @on_call(*WEIGHTED, "torch.nn.Sequential")
    def check(self, call: Call, report: Report) -> None:
        if call.interp.module_depth and isinstance(call.receiver, Instance):
            self.judge(call.node, call.receiver, report)

    @on("built")
    def built(self, fact: Any, report: Report) -> None:
        node, instance, arguments = fact
        lent = any(isinstance(value, Instance) and value.family == "module" for value in arguments.values())
        if report.interp.module_depth and not lent:  # else the weights may be those of what it is given
            self.judge(node, instance, report)

    def judge(self, node: Any, layer: Instance, report: Report) -> None:
        interp = report.interp
        function = interp.frame.function
        if function is None or not isinstance(function.node, cst.FunctionDef) or interp.grad is False:
            return
        if any(const(layer.attrs.get(k, TRUE)) is False for k in ("affine", "elementwise_affine")):
            return
        if is_weighted(interp, layer) and runs_at_once(function, node):
            report(node, cls=layer.describe())


MOVES = frozenset(("to", "cuda", "cpu", "type", "float", "double", "half", "train", "type_as"))


def runs_at_once(function: Function, made: Any) -> bool:
    """Whether what is made at a node is only called, in that same function, and made each time it is."""
    wanted, target = made, None
    nodes: list[Any] = list(nodes_in(function.node.body))
    grown = True
    while grown:  # `nn.Linear(…).to(device)` is still the layer
        grown = False
        for node in nodes:
            if node.__class__ is cst.Call and node.func.__class__ is cst.Attribute and node.func.value is wanted:
                if node.func.attr.value not in MOVES:
                    return False
                wanted, grown = node, True
    for node in nodes:
        if node.__class__ is cst.Call and node.func is wanted:
            return True
        if node.__class__ is cst.Assign and node.value is wanted and len(node.targets) == 1:
            target = node.targets[0].target
    if target.__class__ is cst.Name:
        return only_called(nodes, target)
    if target.__class__ is cst.Attribute and is_self(target.value) and function.name == "forward":
        block: Any = function.node.body
        body = block.body
        always = any(
            inner.value is wanted
            for statement in body
            if statement.__class__ is cst.SimpleStatementLine
            for inner in statement.body
            if inner.__class__ is cst.Assign
        )
        return always and only_called(nodes, target)
    return False


def only_called(nodes: list[Any], target: Any) -> bool:
    """Whether a name or `self.name` is used for nothing but calls, and is assigned once."""
    name = target.value if target.__class__ is cst.Name else target.attr.value
    uses, calls, stores = 0, 0, 0

    def is_it(node: Any) -> bool:
        if target.__class__ is cst.Name:
            return node.__class__ is cst.Name and node.value == name
        return node.__class__ is cst.Attribute and is_self(node.value) and node.attr.value == name

    for node in nodes:
        if is_it(node):
            uses += 1
        elif node.__class__ is cst.Call and is_it(node.func):
            calls += 1
        elif node.__class__ is cst.AssignTarget and is_it(node.target):
            stores += 1
    return calls > 0 and stores == 1 and uses == calls + stores


# What leaves two linear layers one: a batch norm, too, shifts and scales each column by itself. Programs for PyTorch
# may have just that on purpose.
BETWEEN = ("dropout", "batchnorm")


class LinearWithoutNonlinearity(Rule):
    """Linear layers follow each other with nothing in between."""

    code, name = "TL609", "linear-without-nonlinearity"
    message = "`{cls}` follows `{before}` (@) with no activation in between: together they compute one linear layer"
    severity = Severity.WARNING
    exclusive = True

    @on("layer")
    def check(self, flow: Flow, report: Report) -> None:
        if flow.layer is None or flow.before is None or flow.path not in (LINEAR, *CONVOLUTIONS, *DENSE):
            return
        before: Flow | None = flow.before
        between = BETWEEN if flow.path in DENSE else BETWEEN[:1]
        while before is not None and before.path.rpartition(".")[2].lower().startswith(between):
            before = before.before
        if before is None or before.path != flow.path or before.layer is None:
            return
        if before.layer is flow.layer and not stands_for_several(flow):
            return
        if not collapses(before.layer, flow.layer, flow.path):
            return
        first, second = before.layer.born, flow.layer.born
        if first is None or second is None:
            return
        if before.chain is not None and before.chain is flow.chain:
            report(second.node, second.space, cls=flow.layer.describe(), before=before.layer.describe()).because(
                [first._replace(label=f"`{before.layer.describe()}`")]
            )
            return
        depth = 0 if flow.path == "keras.layers.Dense" else 1 if flow.path in DENSE else 2
        chains = [chain for chain in (before.chain, flow.chain) if chain is not None]
        if not all(map(is_only_layer, chains)) or report.interp.module_depth < depth + bool(chains):
            return  # where a program puts two networks in a row, each is one of its own
        function = report.interp.frame.function
        if function is None or before.space is not flow.space:
            return
        heads = is_first_of_heads(report.interp, function, before, flow)
        if heads or follows(function, before.node, flow) or (before.node is flow.node and is_repeated(flow)):
            report(flow.node, cls=flow.layer.describe(), before=before.layer.describe()).because(
                [Step(before.space, before.node, "called")]
            )


def is_only_layer(chain: Instance) -> bool:
    """Whether a `Sequential` is of one layer, dropout aside, as where its activation is missing."""
    children = chain.attrs.get("$children")
    items = children.items if isinstance(children, ListObject) else None
    return items is not None and sum(not (isinstance(i, Instance) and is_dropout(i)) for i in items) == 1


def collapses(first: Instance, second: Instance, path: str) -> bool:
    """Whether two layers in a row can do no more than one: the width between them holds all that goes in or out."""
    if (name := DENSE.get(path)) is not None:
        bound = any("kernel_constraint" in one.attrs or "trainable" in one.attrs for one in (first, second))
        bound = bound or "use_bias" in first.attrs  # as where one weight is made of two thin ones
        return not bound and at_least(first.attrs.get(name), second.attrs.get(name))
    names = ("in_features", "out_features") if path == LINEAR else ("in_channels", "out_channels")
    start, between, end = (first.attrs.get(names[0]), first.attrs.get(names[1]), second.attrs.get(names[1]))
    for layer in (first, second):
        if not isinstance(layer.cls, Api):
            return False  # a class of the project's own may have weights of its own, such as a mean to subtract
        if layer.attrs.get("$frozen") is TRUE or const(layer.attrs.get("groups", Const(1))) != 1:
            return False
        if layer.api_path == LINEAR:
            continue
        # Large kernels are built from small ones, and images are shrunk in several strides, without more in between.
        if alike_in_all(layer.attrs.get("kernel_size", UNKNOWN)) is None:
            return False
        if any(alike_in_all(layer.attrs.get(name, Const(1))) != 1 for name in ("stride", "dilation")):
            return False
    return at_least(between, start) or at_least(between, end) or is_same_width(first, second)


def alike_in_all(setting: Value) -> int | None:
    """The number that an option of a convolution is for all axes; None if that is not known or differs."""
    given = {const(item) for item in (setting.items if isinstance(setting, Tuple) else (setting,))}
    number = given.pop() if len(given) == 1 else None
    return number if isinstance(number, int) else None


def is_same_width(first: Instance, second: Instance) -> bool:
    """Whether two layers made in one expression are written to keep a width: `Linear(a, b), Linear(b, b)`."""
    if first.born is None or second.born is None:
        return False
    calls = [born.node for born in (first.born, second.born) if isinstance(born.node, cst.Call)]
    widths = [positional(call)[:2] for call in calls]
    if [len(pair) for pair in widths] != [2, 2]:
        return False
    (start, between), (given, end) = widths
    if not isinstance(given, (cst.Name, cst.Attribute)) or not given.deep_equals(between):
        return False
    statements = {id(index_of(born.space).statement(born.node)) for born in (first.born, second.born)}
    return len(statements) == 1 and (start.deep_equals(between) or given.deep_equals(end))


def at_least(a: Value | None, b: Value | None) -> bool:
    if a is None or b is None:
        return False
    if is_number(a) and is_number(b):
        (least, usually), (most, common) = (bounds(a)[0], usual(a)), (bounds(b)[1], usual(b))
        return least >= most or (usually is not None and common is not None and usually >= common)
    return a is b and isinstance(a, Instance)


def follows(function: Function, first: Any, flow: Flow) -> bool:
    """Whether the result of a call goes straight into that of a layer, and nowhere else."""
    second = flow.node
    inner = argument_of(second)
    while inner.__class__ is cst.Call:
        if inner is first:
            return True
        inner = argument_of(inner)
    if inner.__class__ is not cst.Name:
        return False
    above = [second, *takewhile(lambda node: node is not function.node, index_of(flow.space).ancestors(second))]
    for statement, block in reversed(list(pairwise(above))):  # the outermost block first
        if block.__class__ is cst.IndentedBlock and statement is not block.body[0]:
            position = next(i for i, line in enumerate(block.body) if line is statement)
            return straight(block.body, position, inner.value, first, function)
    return False


def is_repeated(flow: Flow) -> bool:
    """Whether a loop puts a name through one layer after another, and through nothing else but dropout."""
    name, call = argument_of(flow.node), index_of(flow.space).parent(flow.node)
    loop = next((node for node in index_of(flow.space).ancestors(flow.node) if isinstance(node, cst.For)), None)
    if name.__class__ is not cst.Name or loop is None or isinstance(call, cst.Arg):
        return False
    nodes = (node for node in nodes_in(loop.body) if isinstance(node, cst.Call) and node.args)
    calls = [node for node in nodes if is_name(node.args[0].value, name.value)]
    others = [node for node in calls if node is not flow.node]
    dropout = all("dropout" in (called(node) or called(node.func)).lower() for node in others)
    return dropout and len(calls) == loads(loop.body, name.value)


def stands_for_several(flow: Flow) -> bool:
    """Whether a layer is what a loop takes of a list in each turn, which a comprehension or another loop has made."""
    born, index = flow.layer.born if flow.layer is not None else None, index_of(flow.space)
    loop = next((n for n in index.ancestors(flow.node) if isinstance(n, (cst.For, cst.FunctionDef))), None)
    if born is None or not isinstance(loop, cst.For) or not isinstance(flow.node.func, cst.Name):
        return False
    if not is_name(loop.target, flow.node.func.value):
        return False
    around = index_of(born.space).ancestors(born.node)
    made = next((n for n in around if isinstance(n, (cst.For, cst.ListComp, cst.GeneratorExp, cst.FunctionDef))), None)
    return made is not None and not isinstance(made, cst.FunctionDef)


def straight(body: Any, position: int, name: str, first: Any, function: Function) -> bool:
    """Whether the statement before (calls on the same name aside) is `name = first`, and `name` is not read again."""
    if loads(body[position], name) != 1:
        return False
    back = position - 1
    while back >= 0:
        assigned = assignment(body[back], name)
        if assigned is None:
            return False
        if is_around(assigned, first):
            break
        if not (assigned.__class__ is cst.Call and is_name(argument_of(assigned), name)):
            return False
        back -= 1
    else:
        return False
    ends = body[position].__class__ is cst.SimpleStatementLine and body[position].body[-1].__class__ is cst.Return
    if ends or assignment(body[position], name) is not None:
        return True
    whole: Any = getattr(function.node.body, "body", None)
    lines = body[back + 1 :] if body is whole else [function.node.body]  # a loop comes back to all
    return sum(loads(line, name) for line in lines) == position - back


def is_first_of_heads(interp: Interpreter, function: Function, before: Flow, flow: Flow) -> bool:
    """Whether a layer is the first of several of its kind that read the output of the one before, which nothing else
    reads: scores and a value, a mean and a variance."""
    name = argument_of(flow.node)
    body = getattr(function.node.body, "body", None)
    if name.__class__ is not cst.Name or not isinstance(body, (list, tuple)):
        return False
    made = next((i for i, line in enumerate(body) if is_around(assignment(line, name.value), before.node)), None)
    if made is None:
        return False
    rest = list(body[made + 1 :])
    while rest and is_name(argument_of(assignment(rest[0], name.value)), name.value):  # dropout on the way
        rest.pop(0)
    if not rest or any(writes(line, name.value) for line in rest):
        return False
    heads: list[Any] = [n for line in rest for n in nodes_in(line) if is_name(argument_of(n), name.value)]
    if len(heads) < 2 or len(heads) != sum(loads(line, name.value) for line in rest):
        return False
    if min(heads, key=lambda head: position(rest, head)) is not flow.node:
        return False
    assert before.layer is not None
    for head in heads:
        layer = interp.peek(head.func)
        if (
            not isinstance(layer, Instance)
            or layer.api_path != flow.path
            or not collapses(before.layer, layer, flow.path)
        ):
            return False
    return True


def position(lines: list[Any], wanted: Any) -> tuple[int, int]:
    """Where a node stands in some lines, in the order in which they are read."""
    for row, line in enumerate(lines):
        for column, node in enumerate(nodes_in(line)):
            if node is wanted:
                return row, column
    return len(lines), 0


def writes(tree: Any, name: str) -> bool:
    nodes: Any = nodes_in(tree)
    return any(node.__class__ is cst.AssignTarget and is_name(node.target, name) for node in nodes)


def argument_of(call: Any) -> Any:
    """What a call is given, if that is one value beside settings: `layer(x)`, `dropout(x, 0.5, self.training)`."""
    first, *settings = call.args if call.__class__ is cst.Call and call.args else (None,)
    if first is None or first.star or any(argument.star or not is_option(argument) for argument in settings):
        return None
    return first.value


def is_option(argument: cst.Arg) -> bool:
    """Whether an argument of a layer's call says how it runs: by a setting, or by a name that layers have for that."""
    named = argument.keyword is not None and argument.keyword.value in (
        "rngs",
        "rng",
        "key",
        "training",
        "deterministic",
    )
    return named or is_setting(argument.value)


def is_setting(node: Any) -> bool:
    """Whether an expression is written out or an attribute of `self`."""
    return is_literal(node) or (isinstance(node, cst.Attribute) and is_self(node.value))


def is_around(node: Any, call: Any) -> bool:
    """Whether a node is a call, or one after the other is called on what it gives: `drop(layer(x))`."""
    while node.__class__ is cst.Call and node is not call:
        node = argument_of(node)
    return node is call


def assignment(statement: Any, name: str) -> Any:
    """The value of a statement `name = value`; None for any other."""
    if statement.__class__ is not cst.SimpleStatementLine or len(statement.body) != 1:
        return None
    inner = statement.body[0]
    if inner.__class__ is cst.Assign and len(inner.targets) == 1 and is_name(inner.targets[0].target, name):
        return inner.value
    return None


def is_made_by(layer: Instance, call: cst.Call) -> bool:
    """Whether a call makes a layer, or copies one."""
    return layer.born is not None and (layer.born.node is call or called(call) == "deepcopy")


def is_made_for(layer: Instance, name: cst.Name, frame: Frame) -> bool:
    """Whether a parameter of a function is a layer that the caller, or one of its callers, made to hand it on, and does
    nothing else with but to look at its attributes."""
    caller, function = frame.caller, frame.function
    if caller is None or function is None or caller.function is None:
        return False
    params = function.node.params.params if isinstance(function.node, cst.FunctionDef) else ()
    given = next((argument_for(function.node, frame.call, p.name) for p in params if is_name(p.name, name.value)), None)
    if given.__class__ is cst.Call:
        return is_made_by(layer, given)
    tree = caller.function.node.body
    if given.__class__ is not cst.Name or loads(tree, given.value) != 1 + looks(tree, given.value):
        return False
    made_there = layer.born is not None and contains(tree, layer.born.node)
    return made_there or is_made_for(layer, given, caller)


def looks(tree: Any, name: str) -> int:
    """How often an attribute of something is read, but for calls of its methods, or its class is asked for."""
    called = {id(node.func) for node in nodes_in(tree) if isinstance(node, cst.Call)}
    read = (n for n in nodes_in(tree) if isinstance(n, cst.Attribute) and id(n) not in called)
    asked: Iterator[Any] = (n for n in nodes_in(tree) if is_plain_call(n, "isinstance") or is_plain_call(n, "type"))
    return sum(is_name(n.value, name) for n in read) + sum(is_name(a.value, name) for n in asked for a in n.args)


def loads(tree: Any, name: str) -> int:
    """How often a name is read."""
    found = 0
    for node in nodes_in(tree):
        if is_name(node, name):
            found += 1
        elif node.__class__ is cst.AssignTarget and is_name(node.target, name):
            found -= 1
        elif node.__class__ is cst.Attribute and node.attr.value == name:
            found -= 1  # of that name, too
    return found


class OutputActivation(Rule):
    """The scores that go to a loss have passed a ReLU or dropout."""

    code, name = "TL607", "output-activation"
    message = "`{loss}` gets scores that passed {what} (@): {why}"
    severity = Severity.WARNING
    exclusive = True
    RELU = ("torch.relu", "torch.nn.functional.relu6")
    RESIZED = ("torch.nn.functional.interpolate", "torch.nn.Upsample")
    SCORING = (LINEAR, "torch.nn.functional.linear", *CONVOLUTIONS, *TRANSPOSED, *DENSE, *OTHER_CONVOLUTIONS)

    @on_call(CROSS_ENTROPY, BCE, BCE_WITH_LOGITS, LOG_SOFTMAX, KERAS)
    def check(self, call: Call, report: Report) -> None:
        flows = call.interp.modules.ways(call.first)
        for flow in flows:
            self.passed(call, flow, report)
        if not flows:
            given = as_tensor(call.first)
            if call.path == BCE and given.must_be(HIDDEN) and given.nature == "a ReLU output" and given.hi > 1:
                what, why = "a ReLU", "they are not below 1, as probabilities are"
                report(call.argument("input", 0), loss=call.short_name, what=what, why=why).because(given.trace)

    def passed(self, call: Call, given: Flow, report: Report) -> None:
        """Tell of scores that come out of a ReLU or dropout."""
        flow: Flow | None = given
        while flow is not None and flow.path in self.RESIZED:
            flow = flow.before
        if flow is None:
            return
        scored = flow.before
        if scored is not None and scored.path in (*NORMS, *OTHER_NORMS):
            scored = scored.before
        told = call.actual.startswith("keras.") and call.path in (BCE, KERAS)  # of what leaves the range, by another
        if flow.path in self.RELU and scored is not None and scored.path in self.SCORING and not told:
            what, why = "a ReLU", "negative ones are lost, and a score at zero gets no gradient"
        elif (
            flow.path in (*DROPOUT, *OTHER_DROPOUT, F_DROPOUT)
            and dropout_rate(flow, 0.5) > 0
            and flow.tensor.graph is not False
        ):
            what, why = "dropout", "classes are struck out at random"
        else:
            return
        report(call.argument("input", 0), loss=call.short_name, what=what, why=why).because(
            [Step(flow.space, flow.node, "applied")]
        )


def dropout_rate(flow: Flow, unknown: float = 0) -> float:
    """The rate of a dropout layer; 0 where it is not sure to be above, and `unknown` where a setting chooses it."""
    if flow.layer is None:
        return 0.5 if flow.path == F_DROPOUT else 0
    rate = flow.layer.attrs.get("p", flow.layer.attrs.get("rate", Const(0.5)))
    return bounds(rate)[0] if is_number(rate) else unknown


class DropoutMisuse(Rule):
    """Dropout at a rate or place where it harms."""

    code, name = "TL610", "dropout-misuse"
    message = "{what}"
    severity = Severity.WARNING

    @on_call(*DROPOUT, F_DROPOUT, *OTHER_DROPOUT)
    def rate(self, call: Call, report: Report) -> None:
        if call.path == F_DROPOUT and isinstance(call.receiver, Instance):
            return  # a layer's call: told of where it was made
        name = "rate" if "rate" in call.row.params else "p"
        p, node = call.value(name), call.argument(name)
        known = isinstance(p, Const) or node.__class__ is cst.BinaryOperation
        share = usual(p) or 0
        if share >= 1 and isinstance(p, Const):
            report(node, what=f"dropout with {name}={share:g} drops everything: `{name}` is the share that goes")
        elif 0.8 < share < 1 and known:
            report(node, what=f"dropout with {name}={share:g} drops nearly everything: `{name}` is the share that goes")

    @on("layer")
    def before_norm(self, flow: Flow, report: Report) -> None:
        before = flow.before
        if before is None or flow.path not in ("torch.nn.BatchNorm1d", "keras.layers.BatchNormalization"):
            return
        if before.path not in (*DROPOUT, "keras.layers.Dropout"):
            return
        if before.chain is None and flow.chain is None and before.space is flow.space:
            index = index_of(flow.space)
            together = index.function(before.node) is index.function(flow.node)
        else:
            together = before.chain is flow.chain
        if together and dropout_rate(before) > 0 and before.layer is not None and before.layer.born:
            born = before.layer.born
            report(
                born.node,
                born.space,
                what="dropout right before batch norm: the statistics taken in training do not fit evaluation",
            )


class ForwardCalledDirectly(Rule):
    """`forward` is called by name."""

    code, name = "TL615", "forward-called-directly"
    message = "`{text}.forward(…)` runs no hooks; call the module itself"
    severity = Severity.WARNING
    default = False
    fixable = Safety.SAFE

    @on("forward")
    def check(self, fact: Any, report: Report) -> None:
        node, receiver = fact
        if not isinstance(receiver, Instance) or receiver.family != "module" or receiver.cls is None:
            return
        if node.__class__ is not cst.Call or node.func.__class__ is not cst.Attribute:
            return
        owner = node.func.value
        if any(argument.star for argument in node.args):
            return  # a wrapper that hands its call on
        if report.interp.module_depth > 0:
            return  # by a module, of a part of it: hooks are mostly put on the whole
        if node.func.attr.value != "forward" or owner.__class__ not in (cst.Name, cst.Attribute) or is_self(owner):
            return
        report(node.func, text=code_of(owner)).fix("call the module", replace(node.func, owner))


def code_of(node: Any) -> str:
    return cst.Module([]).code_for_node(node)


LOOKS_LIKE_IT = re.compile(r"req[a-z]{0,7}_?(grad|gard|grda|grd|gra)(s|ient|ients)?_?")


class RequiresGradTypo(Rule):
    """An attribute that only looks like `requires_grad` is set."""

    code, name = "TL616", "requires-grad-typo"
    message = "setting `{name}` on a {what} does nothing: {instead}"
    fixable = Safety.UNSAFE

    @on("store")
    def check(self, fact: Any, report: Report) -> None:
        owner, name, value, node = fact
        if not name.startswith("req") or node.__class__ is not cst.Attribute or is_self(node.value):
            return
        if not LOOKS_LIKE_IT.fullmatch(name):
            return
        whole = (
            owner.attrs.get("$whole") if isinstance(owner, Instance) else None
        )  # `layer.weight` is a part of a layer
        if isinstance(owner, Tensor) or (isinstance(whole, Instance) and "$init" in whole.attrs):
            if getattr(owner, "lib", "torch") == "torch" and name != "requires_grad":
                draft = report(node, name=name, what="tensor", instead="the attribute is `requires_grad`")
                plain = isinstance(owner, Tensor) and owner.graph is False
                draft.if_selected(by_name=plain and truth(value) is False)  # it takes no gradients anyway
                draft.fix("spell it right", rename(node, "requires_grad"))
        elif owner.family == "module":
            if isinstance(owner.cls, Class):
                source = owner.cls.space.source
                if source is None or re.search(rf"self\.{name}\b|def {name}\b", source.text):
                    return  # a setting of the class's own
            elif owner.cls is None:
                return
            draft = report(node, name=name, what="module", instead="its parameters have it; call `requires_grad_(…)`")
            draft.repair(self.call)

    def call(self, draft: Draft) -> None:
        """Offer the method for the assignment."""
        statement: Any = index_of(draft.space).statement(draft.node)
        value = assigned(statement, draft.node)
        if value is not None and isinstance(statement, cst.Assign):
            text = f"{code_of(draft.node.value)}.requires_grad_({code_of(value)})"
            draft.fix("call the method", overwrite(statement, text))


SHARED = re.compile(r"shar|tied|tie_|recurr|universal|same|albert|loop", re.IGNORECASE)


class SharedLayerReplicated(Rule):
    """One layer stands several times in a list."""

    code, name = "TL619", "shared-layer-replicated"
    message = "this repeats one `{cls}`, so all {many} share its weights"

    @on("multiply")
    def multiplied(self, fact: Any, report: Report) -> None:
        _, node, left, right, left_node, right_node, _ = fact
        for value, display, count in ((left, left_node, right), (right, right_node, left)):
            if isinstance(value, (ListObject, Tuple)) and display.__class__ in (cst.List, cst.Tuple):
                if isinstance(count, Tensor) or bounds(count)[1] < 2:  # none, or just this one
                    continue
                for item, element in zip(contents(value), display.elements, strict=False):
                    if isinstance(item, Instance) and self.repeats(item, element.value, node, report):
                        report(node, cls=item.describe(), many=const(count, "of them"))

    @on_call("torch.nn.ModuleList", "torch.nn.Sequential")
    def comprehended(self, call: Call, report: Report) -> None:
        count = len(contents(call.arguments.positional[0])) if len(call.arguments.nodes) > 1 else "of them"
        lists = (cst.Name, cst.ListComp, cst.GeneratorExp)
        for given in (node for node in dict.fromkeys(call.arguments.nodes) if isinstance(node, lists)):
            for node, element in fillings(index_of(report.space()), given):
                value = call.interp.frame.env.get(element.value)
                if isinstance(value, Instance) and self.repeats(value, element, node, report):
                    report(node, cls=value.describe(), many=count if node is given else "of them")

    @on_call("module.append")
    def appended(self, call: Call, report: Report) -> None:
        """A layer that was made before a loop is appended in each of its turns."""
        given, loop = call.arguments.positional[-1], call.interp.nearest_loop()
        if loop is None or called(call.node) != "append" or not isinstance(given, Instance) or given.born is None:
            return
        element = next(iter(positional(call.node)), None)
        turns = contains(loop.node, call.node) and not contains(loop.node, given.born.node)
        if turns and isinstance(element, cst.Name) and self.repeats(given, element, call.node, report):
            report(call.node, cls=given.describe(), many="of them")

    def repeats(self, layer: Instance, element: Any, place: Any, report: Report) -> bool:
        """Whether a layer with weights, made for this alone, is repeated without a word that it is meant."""
        interp = report.interp
        function = interp.frame.function
        if layer.family != "module" or not is_weighted(interp, layer):
            return False
        tree = function.node.body if function is not None else None
        if element.__class__ is cst.Name:
            if tree is None or loads(tree, element.value) != 1 or layer.born is None:
                return False
            if not contains(tree, layer.born.node) and not is_made_for(layer, element, interp.frame):
                return False
        elif element.__class__ is not cst.Call or not is_made_by(layer, element):
            return False
        if tree is None:
            return True
        owner = function.owner.name if function is not None and function.owner is not None else ""
        statement = next(
            (n for n in nodes_in(tree) if n.__class__ is cst.SimpleStatementLine and contains(n, place)), None
        )
        return not SHARED.search(owner + (code_of(statement) if statement is not None else ""))


def fillings(index: Index, given: Any) -> Iterator[tuple[Any, cst.Name]]:
    """Where a list, written down or kept in a variable until it is used, gets one name several times, and this name."""
    bound = index.lookup(given) if isinstance(given, cst.Name) else []
    if len(bound) == 1 and isinstance(statement := index.statement(bound[0].node), cst.Assign):
        made = statement.value
        for read in index.references(bound[0]) if isinstance(made, cst.List) and not made.elements else ():
            call = next((n for n in index.ancestors(read) if isinstance(n, cst.Call)), None)
            loop = next((n for n in index.ancestors(read) if isinstance(n, (cst.For, cst.FunctionDef))), None)
            if (
                call is not None
                and contains(call.func, read)
                and called(call) == "append"
                and isinstance(loop, cst.For)
            ):
                element = next(iter(positional(call)), None)
                if isinstance(element, cst.Name) and not any(contains(loop, b.node) for b in index.lookup(element)):
                    yield call, element
        given = made
    if isinstance(given, (cst.ListComp, cst.GeneratorExp)) and isinstance(given.elt, cst.Name):
        if not any(is_name(node, given.elt.value) for node in nodes_in(given.for_in)):
            yield given, given.elt


class ConstantInit(Rule):
    """Layers that follow each other start from constant weights."""

    code, name = "TL605", "constant-init"
    message = "the weights of this `{cls}` and of the layer before it start constant (@), so their units stay alike"
    CONSTANT = (
        "torch.nn.init.zeros_",
        "torch.nn.init.ones_",
        "torch.nn.init.constant_",
        "opaque.fill_",
        "opaque.zero_",
    )
    LAYERS = (*ACTIVATED, *TRANSPOSED)

    @on("layer")
    def check(self, flow: Flow, report: Report) -> None:
        if flow.path not in self.LAYERS or flow.layer is None or (step := self.constant(flow.layer)) is None:
            return
        before = next(iter(flow.layer.attrs.get("$behind", ())), None)
        if not isinstance(before, Instance) or before is flow.layer or before.api_path not in self.LAYERS:
            return
        earlier, sizes = self.constant(before), before.attrs
        if earlier is None or const(sizes.get("out_features") or sizes.get("out_channels", Const(None))) == 1:
            return
        if belongs_to_class(step):
            self.tell(step, flow.layer, earlier, report)
        else:
            report.interp.event("alike", step.node, step, flow.layer, earlier)

    @on("program", having="alike")
    def trained(self, region: Region, report: Report) -> None:
        """Weights that a program sets by itself may be there to be looked at, as tests and textbooks do."""
        stepping = [o for event in region.of("step") for o in options(event.optimizer) if isinstance(o, Instance)]
        owned = frozenset[int]().union(*(optimizer.attrs.get("$modules", ()) for optimizer in stepping))
        for _, _, _, step, layer, earlier in region.of("alike"):
            if id(layer) in owned:
                self.tell(step, layer, earlier, report)

    def tell(self, step: Step, layer: Instance, earlier: Step, report: Report) -> None:
        report(step.node, step.space, cls=layer.describe()).because([layer.born, earlier])

    def constant(self, layer: Instance) -> Step | None:
        """Where a layer's weights were made all the same."""
        drawn = layer.attrs.get("$init")
        drawn = layer.attrs.get("$all") if drawn == "" else drawn
        if not drawn or drawn[0] not in self.CONSTANT or is_asked_for(drawn[1]):
            return None
        if const(layer.attrs.get("groups", Const(1))) != 1:
            return None
        step: Step = drawn[1]
        return step


def is_asked_for(step: Step) -> bool:
    """Whether weights are filled with what the caller of a function gives, who need not give anything."""
    function = index_of(step.space).function(step.node) if step.space.source is not None else None
    given = positional(step.node)[-1:] if isinstance(step.node, cst.Call) else []
    if not isinstance(function, cst.FunctionDef) or not given or not isinstance(given[0], cst.Name):
        return False
    params = (*function.params.params, *function.params.kwonly_params)
    return any(p.name.value == given[0].value and is_name(p.default, "None") for p in params if p.default is not None)


def belongs_to_class(step: Step) -> bool:
    """Whether a place is in a class, or in a function that a class of the same file names."""
    source = step.space.source
    if source is None:
        return True
    above = list(source.index.ancestors(step.node))
    if any(node.__class__ is cst.ClassDef for node in above):
        return True
    names = {node.name.value for node in above if isinstance(node, cst.FunctionDef)}
    classes = (n for n in source.tree.body if isinstance(n, cst.ClassDef)) if names else ()
    return any(isinstance(n, cst.Name) and n.value in names for c in classes for n in nodes_in(c.body))


SATURATING = ("torch.sigmoid", "torch.tanh")


def before(flow: Flow) -> Flow | None:
    """What comes before a layer, apart from layers that drop or pool."""
    found = flow.before
    while found is not None and (found.path in DROPOUT or "Pool" in found.path):
        found = found.before
    return found


class SaturatingHiddenActivation(Rule):
    """Hidden layers are followed by sigmoid or tanh, one after the other."""

    code, name = "TL606", "saturating-hidden-activation"
    message = "`{what}` between hidden layers flattens for large inputs, so gradients vanish with depth"
    severity = Severity.WARNING
    default = False

    @on("layer")
    def check(self, flow: Flow, report: Report) -> None:
        activation = before(flow)
        if flow.path not in ACTIVATED or activation is None or activation.path not in SATURATING:
            return
        hidden = before(activation)
        if hidden is None or hidden.path not in ACTIVATED:
            return
        earlier = before(hidden)
        if earlier is None or earlier.path not in SATURATING:
            return
        born = activation.layer.born if activation.layer is not None else None
        place = (born.node, born.space) if born is not None else (activation.node, activation.space)
        report(*place, what=activation.path.rpartition(".")[2])


class BiasBeforeBatchNorm(Rule):
    """A layer in front of batch norm has a bias."""

    code, name = "TL617", "bias-before-batch-norm"
    message = "the bias of this `{cls}` is taken away again by the batch norm behind it"
    severity = Severity.WARNING
    default = False
    fixable = Safety.UNSAFE

    @on("layer")
    def check(self, flow: Flow, report: Report) -> None:
        before = flow.before
        if not flow.path.startswith("torch.nn.BatchNorm") or before is None or before.path not in ACTIVATED:
            return
        layer = before.layer
        if layer is None or layer.born is None or const(layer.attrs.get("bias", TRUE)) is not True:
            return
        draft = report(layer.born.node, layer.born.space, cls=layer.describe())
        norm = flow.layer.born if flow.layer is not None else None
        if isinstance(layer.cls, Api) and norm is not None and norm.space is layer.born.space:
            draft.repair(partial(self.drop, norm.node))

    def drop(self, norm: Any, draft: Draft) -> None:
        """Offer to leave the bias out, where layer and batch norm are made together, neither without the other."""
        index, layer = index_of(draft.space), draft.node
        if not isinstance(layer, cst.Call) or not isinstance(norm, cst.Call):
            return
        blocks = [index.parent(index.parent(index.statement(node))) for node in (layer, norm)]  # type: ignore[arg-type]
        depends = any(isinstance(above, cst.IfExp) for node in (layer, norm) for above in index.ancestors(node))
        places = {"Linear": 2, "Conv1d": 7, "Conv2d": 7, "Conv3d": 7}  # of the bias among the arguments
        if blocks[0] is blocks[1] and not depends and is_plain_call(layer, name := called(layer)):
            if len(positional(layer)) <= places.get(name, -1):
                draft.fix("leave the bias out", set_argument(layer, "bias", "False"))


class InitForOtherActivation(Rule):
    """Weights are drawn for another activation than the one that follows."""

    code, name = "TL618", "init-for-other-activation"
    message = "{init} initialisation suits {suits}, but {follows} follows (@)"
    severity = Severity.WARNING
    default = False
    fixable = Safety.UNSAFE

    @on("layer")
    def check(self, flow: Flow, report: Report) -> None:
        before = flow.before
        if before is None or before.path not in ACTIVATED or before.layer is None:
            return
        drawn = before.layer.attrs.get("$init")
        if not drawn:
            return
        path, step = drawn
        if "xavier" in path and flow.path == "torch.relu":
            other = ("xavier", "kaiming")
            draft = report(step.node, step.space, init="Xavier", suits="tanh and sigmoid", follows="ReLU")
        elif "kaiming" in path and flow.path in SATURATING:
            other = ("kaiming", "xavier")
            what = flow.path.rpartition(".")[2]
            draft = report(step.node, step.space, init="Kaiming", suits="ReLU", follows=what)
        else:
            return
        draft.because([Step(flow.space, flow.node, flow.path.rpartition(".")[2])])
        draft.repair(partial(self.rename, before.layer, other))

    def rename(self, layer: Instance, names: tuple[str, str], draft: Draft) -> None:
        """Offer the other rule, where it is plainly this layer's weight that is drawn, with nothing else said."""
        index, call = index_of(draft.space), draft.node
        weight = call.args[0].value if isinstance(call, cst.Call) and len(call.args) == 1 else None
        if not isinstance(weight, cst.Attribute) or weight.attr.value != "weight" or layer.born is None:
            return
        if definition(index, weight.value) is layer.born.node:
            draft.fix(f"draw with {names[1].title()}'s rule", rename(call.func, called(call).replace(*names)))
