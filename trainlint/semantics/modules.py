"""What the project's modules are made of: the layers they keep, which of them run, what feeds which, and where their
attributes are used.

The interpreter notes these facts while it runs; a fact stays when the program at hand is undone. Questions about names
are answered from the text, and only for what is already suspected: a name that stands anywhere it could matter counts
as used.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import libcst as cst

from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    TRUE,
    Api,
    Class,
    Const,
    DictObject,
    Function,
    Instance,
    ListObject,
    Number,
    Step,
    Tensor,
    Text,
    Tuple,
    Union,
    Value,
    options,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, is_name

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter

# Values that are no objects of the project.
PLAIN_VALUES = frozenset((Api, Const, Namespace, Number, Tensor, Text, Tuple))
# Ways of reaching attributes without writing their names.
DYNAMIC = frozenset("_modules _parameters __dict__ children named_children get_submodule".split())
# Methods of modules that run nothing of them.
AT_REST = frozenset(
    """apply buffers cpu cuda double eval float half modules named_buffers named_modules named_parameters parameters
    register_buffer requires_grad_ reset_parameters reset_running_stats state_dict to train type zero_grad""".split()
)
# Parts of ready-made models that come before their last layers.
STEMS = frozenset(
    "conv1 bn1 relu maxpool avgpool conv_stem conv_proj patch_embed features layer1 layer2 layer3 layer4".split()
)
# What is given strings that stand for text, not for attributes, or only asks whether there is an attribute.
TEXTUAL = frozenset("add_argument startswith endswith replace strip hasattr open ZipFile".split())
# What registers a tensor by name, or None, which leaves the name free for anything.
REGISTERS = frozenset(("register_parameter", "register_buffer"))
# Layers that are made from sizes and rates, so that what they are given is no layer.
MEASURED = frozenset(
    """Linear Conv1d Conv2d Conv3d Embedding LSTM GRU RNN BatchNorm1d BatchNorm2d BatchNorm3d LayerNorm
    Dropout Dropout1d Dropout2d Dropout3d dropout""".split()
)
# Builtins that only look at what they are given.
LOOKERS = frozenset("len enumerate zip reversed range iter print sum isinstance str sorted".split())
# Those among them after which nobody has got hold of what it was, or of a part of it.
ASKING = frozenset("len isinstance print str".split())
# Methods that give a container one more layer.
FILLING = frozenset("append extend insert add_module register_module".split())
# Modules of PyTorch with functions that take parameters to change them, or to ask for their gradients.
HOLDERS = frozenset("optim autograd utils func".split())
# Methods and functions that keep what they are given.
COLLECTS = frozenset(
    """append extend insert add update setdefault register_parameter register_buffer setattr add_param_group list tuple
    dict set chain""".split()
)
# Bases whose own code uses no attribute that a subclass defines.
PLAIN_BASES = frozenset(
    """torch.nn.Module torch.nn.modules.Module torch.nn.modules.module.Module torch.jit.ScriptModule
    lightning.LightningModule lightning.pytorch.LightningModule pytorch_lightning.LightningModule
    lightning.pytorch.core.LightningModule""".split()
)


MODEL_FAMILIES = frozenset(("module", "keras", "flax"))  # of instances that are models or layers
# The same of Keras and of the libraries of JAX.
OTHER_BASES = frozenset("keras.Model keras.models.Model keras.layers.Layer flax.nnx.Module flax.linen.Module".split())


class Flow(NamedTuple):
    """What a layer or activation gave: `path` names what ran, `layer` is the module whose call it was (if one), and
    `before` what made its input, where nothing lay between."""

    tensor: Tensor
    path: str
    layer: Instance | None
    node: Any
    space: Namespace
    before: Flow | None
    chain: Instance | None = None  # the Sequential that ran it
    mixing: Instance | None = None  # the last layer that mixes what it gets, of all on the way


def is_mixing(layer: Instance | None) -> bool:
    """Whether a layer has weights that mix its inputs; a norm scales each by itself."""
    return layer is not None and "$init" in layer.attrs and "Norm" not in layer.api_path


def may_be_last(part: Any, index: Any = None) -> bool:
    """Whether a layer that is put into a part of a ready-made model, at an index, may be the last of the model."""
    names = {node.attr.value for node in nodes_in(part) if isinstance(node, cst.Attribute)}
    return names.isdisjoint(STEMS) and not (isinstance(index, Const) and index.value == 0)


class Stored:
    """`self.name = value` in a method of a module: `made` are the places where the values were made."""

    __slots__ = ("cls", "made", "name", "node", "space", "sure", "value", "weighted")

    def __init__(self, cls: Class, name: str, node: Any, space: Namespace) -> None:
        self.cls = cls
        self.name = name
        self.node = node
        self.space = space
        self.value: Value | None = None
        self.made: set[tuple[int, int]] = set()
        self.sure = True
        self.weighted = False


class ModuleIndex:
    """Facts on modules, over all programs of a project."""

    def __init__(self) -> None:
        self.stored: dict[int, Stored] = {}
        self.ran: set[tuple[int, int]] = set()  # where the modules that were called had been made
        self.serving: set[int] = set()  # the assignments that keep these
        self.keepers: dict[int, tuple[Value, int]] = {}  # modules, and the assignment that keeps each
        self.flows: dict[int, Flow] = {}
        self.moved: dict[int, tuple[Tensor, Flow]] = {}  # the same for what was only reshaped, moved or selected since
        self.picked: dict[int, tuple[Tensor, list[Flow]]] = {}  # the same for what one of several models gave
        self.leaves: dict[int, tuple[Tensor, str]] = {}  # trainable tensors: "parameter", "tensor" or "moved"
        self.hidden: dict[int, tuple[Stored, str]] = {}  # what is kept where the module does not see it
        self.untrained: set[int] = set()  # assignments that keep layers in a container, which no optimizer gets
        self.bare: dict[int, tuple[Class, Function]] = {}  # an `__init__` that leaves out its base's, by class
        self.foreign: dict[int, bool] = {}  # reads of attributes: whether always of what is no module of the project
        self.texts: dict[int, Uses] = {}
        self.owns: dict[int, ClassUses] = {}
        self.makers: dict[int, Step] = {}  # where a layer was made that says what its output is, by its call
        self.chain: tuple[Instance | None, Any] = (None, None)  # the Sequential at work, and its call

    # ------------------------------------------------------------------ noting

    def looked_up(self, owner: Value, node: Any) -> None:
        """An attribute was read: of what is known to be no module of the project, or of what may be one."""
        if self.foreign.get(id(node)) is False:
            return
        kind = owner.__class__
        if kind is Instance:
            cls = owner.cls  # type: ignore[attr-defined]
            foreign = cls.__class__ is Api or (cls is not None and owner.family != "module")  # type: ignore[attr-defined]
        else:
            foreign = kind in PLAIN_VALUES
        self.foreign[id(node)] = foreign

    def store(self, interp: Interpreter, owner: Instance, name: str, value: Value, node: Any) -> None:
        """A method of a module assigned one of its attributes."""
        function = interp.frame.function
        if function is None or function.owner is None or node.__class__ is not cst.Attribute:
            return
        found = self.stored.get(id(node))
        if found is None:
            found = self.stored[id(node)] = Stored(function.owner, name, node, interp.frame.space)
        found.value = value
        if not all(map(is_layer, options(value))):
            found.sure = False
            return
        for layer in options(value):  # of which a setting picks one
            found.made.add(layer.birth)  # type: ignore[attr-defined]
            self.keepers[id(layer)] = layer, id(node)
            found.weighted = found.weighted or is_weighted(interp, layer)  # type: ignore[arg-type]

    def twin(self, layer: Instance, copied: Instance) -> None:
        """A layer was copied: what keeps it keeps the copy."""
        if id(layer) in self.keepers:
            self.keepers[id(copied)] = copied, self.keepers[id(layer)][1]

    def filled(self, interp: Interpreter, container: Instance, value: Value) -> None:
        """A container that may be an attribute's got one more layer, or several."""
        stored = self.stored.get(self.keepers.get(id(container), (container, 0))[1])
        if stored is None:
            return
        for layer in (value, *contents(value)):
            if isinstance(layer, Instance) and layer.family == "module" and layer.born is not None:
                stored.made.add(layer.birth)
                stored.weighted = stored.weighted or is_weighted(interp, layer)

    def note(
        self, interp: Interpreter, tensor: Tensor, path: str, layer: Value | None, given: Value, node: Any
    ) -> None:
        """Something computed a tensor from another."""
        module = layer if layer.__class__ is Instance else None
        before, chain = self.flows.get(id(given)), self.chain[0] if self.chain[1] is node else None
        earlier = self.elements(given)
        mixing = earlier.mixing if earlier is not None else None
        if module is not None and "$init" in module.attrs and mixing is not None:
            module.attrs["$behind"] = (mixing,)
        mixing = module if is_mixing(module) else mixing
        flow = Flow(tensor, path, module, node, interp.frame.space, before, chain, mixing)
        self.flows[id(tensor)] = flow
        interp.emit("layer", flow)

    def flow(self, value: Value | None) -> Flow | None:
        """What computed exactly this tensor, with nothing done to it since."""
        return self.flows.get(id(value))

    def elements(self, value: Value | None) -> Flow | None:
        """What computed the elements of a tensor, however they have been arranged since."""
        kept = self.moved.get(id(value))
        return self.flow(value) if kept is None else kept[1]

    def ways(self, value: Value | None) -> list[Flow]:
        """What computed the elements of a tensor: of each model, where a setting picks one of several."""
        flow = self.elements(value)
        return self.picked.get(id(value), (value, []))[1] if flow is None else [flow]

    def pick(self, joined: Value, results: list[Value]) -> None:
        """`joined` is what one of several models gave."""
        flows = [flow for result in results for flow in self.ways(result)]
        if flows and isinstance(joined, Tensor):
            self.picked[id(joined)] = (joined, flows)

    def keep(self, old: Tensor, new: Tensor) -> None:
        """`new` has elements of `old`, in some arrangement."""
        flow = self.elements(old)
        if flow is not None:
            self.moved[id(new)] = (new, flow)

    def same(self, old: Value, new: Value) -> None:
        """`new` stands for `old`, with more known of it."""
        flow, leaf, moved = self.flows.get(id(old)), self.leaves.get(id(old)), self.moved.get(id(old))
        if flow is not None and isinstance(new, Tensor):
            self.flows[id(new)] = flow._replace(tensor=new)
        if moved is not None and isinstance(new, Tensor):
            self.moved[id(new)] = (new, moved[1])
        if leaf is not None and isinstance(new, Tensor):
            self.leaves[id(new)] = (new, leaf[1])

    def scaled(self, old: Tensor, new: Tensor) -> None:
        """`new` is computed of `old`, which was made for that: a trainable one is trainable no more."""
        kind = self.leaves.get(id(old), (old, ""))[1]
        if kind:
            self.leaves[id(new)] = (new, "moved" if kind == "parameter" else kind)

    def runs(self, module: Instance) -> None:
        """A module is called."""
        if module.born is not None:
            self.ran.add(module.birth)
        if id(module) in self.keepers:
            self.serving.add(self.keepers[id(module)][1])

    # --------------------------------------------------------------- questions

    def have_run(self) -> set[int]:
        """The assignments whose layers ran. Where a helper makes several layers in one place, it is told which of them
        did, unless none of them is known again."""
        makers: dict[tuple[int, int], list[Stored]] = {}
        for stored in self.stored.values():
            for place in stored.made & self.ran:
                makers.setdefault(place, []).append(stored)
        found: set[int] = set()
        for kept in makers.values():
            known = [id(stored.node) for stored in kept if id(stored.node) in self.serving]
            found.update(known or (id(stored.node) for stored in kept))
        return found

    def layers(self) -> Iterator[Stored]:
        """The attributes that always hold one layer."""
        return (stored for stored in self.stored.values() if stored.sure and stored.made)

    def uses(self, space: Namespace) -> Uses:
        found = self.texts.get(id(space))
        if found is None:
            found = self.texts[id(space)] = Uses(space)
        return found

    def is_used(self, stored: Stored, spaces: Iterable[Namespace]) -> bool:
        """Whether an attribute may be used anywhere in the project, other than by being assigned."""
        name = stored.name
        own_class = self.own(stored.cls)
        if any(own.looks_up(name) for own in (own_class, *map(self.own, project_bases(stored.cls)))):
            return True
        if name in own_class.read:
            return True
        for space in (stored.space, *spaces):
            if space.source is None or (id(space) not in self.texts and name not in space.source.text):
                continue
            uses = self.uses(space)
            if self.is_read(uses, name) or name in uses.strings or name in uses.handed:
                return True
            for own in uses.classes.values():
                if name in own.read and (not self.sets(own, name) or related(own.cls, stored.cls)):
                    return True
        return False

    def sets(self, own: ClassUses, name: str) -> bool:
        """Whether a class, or a base of it in the project, assigns an attribute that it reads."""
        bases = project_bases(own.cls) if own.cls is not None else ()
        return any(uses.makes(name) for uses in (own, *map(self.own, bases)))

    def is_read(self, uses: Uses, name: str) -> bool:
        """Whether an attribute of something other than `self`, which may be a module of the project, is read by this
        name."""
        return self.are_reads(uses.elsewhere.get(name, ()))

    def are_reads(self, nodes: Iterable[Any]) -> bool:
        """Whether any of these attributes may be one of a module of the project."""
        return not all(self.foreign.get(id(node)) for node in nodes)

    def unread(self, module: Instance) -> list[Instance]:
        """The parts of a module that none of its methods ever reads, so that it cannot run them."""
        cls = module.cls
        if cls.__class__ is not Class or not is_plain_module(cls) or cls.find("forward").__class__ is not Function:
            return []
        owns = [self.own(base) for base in (cls, *project_bases(cls))]
        return [
            part
            for name, part in module.attrs.items()
            if part.__class__ is Instance and part.family == "module" and isinstance(name, str)
            and not name.startswith("$") and not any(own.reaches(name) for own in owns)
        ]  # fmt: skip

    def own(self, cls: Class) -> ClassUses:
        """What a class's own text uses."""
        found = self.owns.get(id(cls.node))
        if found is None:
            found = self.owns[id(cls.node)] = class_uses(cls.node, cls, cls.space, set())
        return found


class ClassUses:
    """The attributes of `self` that a class body assigns and reads."""

    __slots__ = (
        "cls", "dynamic", "gathers", "kept", "named", "passed", "read", "registered", "runs_base", "stores", "through",
    )  # fmt: skip

    def __init__(self, cls: Class | None) -> None:
        self.cls = cls
        self.read: set[str] = set()
        self.stores: Counter[str] = Counter()
        self.registered: set[str] = set()  # buffers and parameters, by name
        self.passed: set[str] = set()  # given to calls, or put into lists and results
        self.kept: set[str] = set()  # of these, what may be kept, not just computed with
        self.dynamic = False  # whether it reaches attributes of its own by other ways than their names
        self.through = False  # the same, of what an attribute holds
        self.named: tuple[str, ...] = ()  # how the names begin that it looks up
        self.runs_base = False  # whether it may run the `__init__` of a base
        self.gathers = False  # whether it asks others than itself for their parameters

    def makes(self, name: str) -> bool:
        """Whether an attribute is its own: assigned, or registered."""
        return bool(self.stores[name]) or name in self.registered

    def looks_up(self, name: str) -> bool:
        """Whether it may reach an attribute, of its own or of what it holds, without writing its name."""
        return self.through or self.reaches(name)

    def reaches(self, name: str) -> bool:
        """Whether it may reach an attribute of its own, whether it writes its name or not."""
        return self.dynamic or name in self.read or name.startswith(self.named)


def text_before(node: Any) -> str:
    """What a string that is put together begins with."""
    if node.__class__ is cst.FormattedString and node.parts and node.parts[0].__class__ is cst.FormattedStringText:
        return str(node.parts[0].value)
    while node.__class__ is cst.BinaryOperation:
        node = node.left
    if node.__class__ is cst.SimpleString and isinstance(node.evaluated_value, str):
        return node.evaluated_value.partition("%")[0].partition("{")[0]
    return ""


class Uses:
    """Where attribute names stand in a file: on `self`, class by class; on anything else; in strings."""

    def __init__(self, space: Namespace) -> None:
        assert space.source is not None
        tree = space.source.tree
        known = {id(c.node): c for c in space.functions if isinstance(c, Class)}
        self.classes: dict[int, ClassUses] = {}
        self.elsewhere: defaultdict[str, list[Any]] = defaultdict(list)
        self.strings: set[str] = set()  # the words of strings
        self.names: set[str] = set()  # the strings that are one word
        parameters: set[str] = set()
        called_names: set[str] = set()
        inside: set[int] = set()
        plain: set[int] = set()  # documentation, what names are only compared with, keys of what is given or looked up
        nodes: list[Any] = list(nodes_in(tree))
        for node in nodes:
            kind = node.__class__
            if kind is cst.ClassDef:
                self.classes[id(node)] = class_uses(node, known.get(id(node)), space, inside)
            elif kind is cst.ImportFrom or kind is cst.Import:
                imported: Any = nodes_in(node)
                inside.update(id(inner) for inner in imported)  # `einops.layers` is no layer's name
            elif kind is cst.Expr and node.value.__class__ is cst.SimpleString:
                plain.add(id(node.value))
            elif kind is cst.Subscript and getattr(getattr(node.value, "attr", None), "value", "") not in DYNAMIC:
                plain.update(id(element.slice.value) for element in node.slice if element.slice.__class__ is cst.Index)
            elif kind is cst.Return and node.value.__class__ is cst.Dict:
                plain.update(id(element.key) for element in node.value.elements if element.__class__ is cst.DictElement)
            elif kind is cst.Comparison and node.comparisons[0].operator.__class__ in (cst.In, cst.NotIn):
                plain.add(id(node.left))
            elif kind is cst.Call:
                name = called(node)
                if name in TEXTUAL or (name in REGISTERS and (gives_none(node) or registered(node))):
                    plain.update(id(argument.value) for argument in node.args)
                elif name in MEASURED or (name in ASKING and node.func.__class__ is cst.Name):
                    inside.update(id(argument.value) for argument in node.args)
                if node.func.__class__ is cst.Name:
                    called_names.add(name)
            elif kind is cst.Param:
                parameters.add(node.name.value)
            elif kind is cst.Expr and node.value.__class__ is cst.Call:
                inside.update(given_weights(node.value, space))
        self.handed = parameters & called_names  # what functions are given to call
        for node in nodes:
            kind = node.__class__
            if kind is cst.Attribute and id(node) not in inside:
                self.elsewhere[node.attr.value].append(node)
            elif kind is cst.SimpleString and id(node) not in plain and " " not in node.value:
                words = re.findall(r"\w+", node.value)  # sentences name no attributes
                self.strings.update(words)
                self.names.update(word for word in words if len(word) == len(node.value) - 2)


def registered(call: cst.Call) -> str:
    """The name of what an object registers of itself, as its class alone is asked about; "" if that is not known."""
    name = call.args[0].value if call.args else None
    text = name.evaluated_value if isinstance(name, cst.SimpleString) else None
    return text if isinstance(text, str) and own_attribute(call.func) else ""


def gives_none(call: cst.Call) -> bool:
    """Whether the last argument of a call is None."""
    return bool(call.args) and is_name(call.args[-1].value, "None")


def class_uses(node: Any, cls: Class | None, space: Namespace, inside: set[int]) -> ClassUses:
    own = ClassUses(cls)
    targets: set[int] = set()
    fills: set[int] = set()  # containers that are only given something, layers that are only given weights
    taken: set[int] = set()  # elements of what is unpacked
    fleeting: set[int] = set()  # elements of lists that are only computed with
    at_rest: set[int] = set()  # ways to all parts that run none of them
    mentions: list[Any] = []
    body: Any = nodes_in(node.body)
    for inner in body:
        kind = inner.__class__
        if kind is cst.Name:
            own.runs_base = own.runs_base or inner.value == "super"
        elif kind is cst.For:
            at_rest.update(visited_at_rest(inner, space))
        elif kind is cst.Attribute:
            own.runs_base = own.runs_base or may_run_base(inner)
            if inner.attr.value in DYNAMIC and id(inner) not in at_rest:
                of_part = is_self(getattr(inner.value, "value", None))
                own.through, own.dynamic = own.through or of_part, own.dynamic or not of_part
            elif inner.attr.value == "parameters" and inner.value.__class__ is cst.Name and not is_self(inner.value):
                own.gathers = own.gathers or not is_in_forward(inner, space)  # there, they are computed with
            if is_self(inner.value):
                mentions.append(inner)
                inside.add(id(inner))
        elif kind is cst.AssignTarget or kind is cst.AnnAssign:
            targets.add(id(inner.target))
            unpacked = elements(inner.target)
            targets.update(id(element.value) for element in unpacked)
            taken.update(map(id, unpacked))
        elif kind is cst.Expr and inner.value.__class__ is cst.Call:
            if called(inner.value) in FILLING and inner.value.func.__class__ is cst.Attribute:
                fills.add(id(inner.value.func.value))
            fills.update(given_weights(inner.value, space))
        elif kind is cst.Call:
            name = getattr(inner.func, "value", "")
            if name == "getattr" and any(is_self(a.value) for a in inner.args):
                beginning = text_before(inner.args[1].value) if len(inner.args) > 1 else ""
                own.dynamic = own.dynamic or not beginning
                own.named += (beginning,)
            elif name in ("vars", "eval", "exec", "locals") and inner.args:
                own.dynamic = True
            elif own_attribute(inner.func) in REGISTERS and not gives_none(inner) and (text := registered(inner)):
                own.registered.add(text)
                own.kept.add(text)
                own.passed.add(text)
            path = path_of(inner.func, space)
            keeps = is_keeper(path)
            if not keeps:
                fleeting.update(id(element) for argument in inner.args for element in elements(argument.value))
            for argument in inner.args if name not in LOOKERS and not is_plain_function(path) else ():
                if own_name := own_attribute(argument.value):
                    own.passed.add(own_name)
                    if keeps:
                        own.kept.add(own_name)
        elif kind is cst.Element or kind is cst.StarredElement or kind is cst.Return or kind is cst.DictElement:
            if id(inner) not in taken and (own_name := own_attribute(inner.value)):
                own.passed.add(own_name)
                if id(inner) not in fleeting:
                    own.kept.add(own_name)
    for mention in mentions:
        name = mention.attr.value
        if id(mention) in targets:
            own.stores[name] += 1
        elif id(mention) not in fills:
            own.read.add(name)
    return own


def visited_at_rest(loop: cst.For, space: Namespace) -> Iterator[int]:
    """The identity of `self.children` where a loop over it runs none of them: it asks what they are, or gives weights
    to them."""
    way = loop.iter.func if loop.iter.__class__ is cst.Call else None
    target = loop.target.elements[-1].value if isinstance(loop.target, cst.Tuple) else loop.target
    if way.__class__ is not cst.Attribute or not isinstance(target, cst.Name) or is_in_forward(loop, space):
        return
    body: Any = nodes_in(loop.body)
    mentioned, harmless = 0, 0
    for node in body:
        kind = node.__class__
        if kind is cst.Name:
            mentioned += node.value == target.value
        elif kind is cst.Attribute and is_name(node.value, target.value):
            harmless += 1
        elif kind is cst.Call:
            of_child = node.func.__class__ is cst.Attribute and is_name(node.func.value, target.value)
            harmless -= of_child and node.func.attr.value not in AT_REST
            if getattr(node.func, "value", "") in ("isinstance", "hasattr", "type"):
                harmless += sum(is_name(argument.value, target.value) for argument in node.args)
    if mentioned == harmless:
        yield id(way)


def is_in_forward(node: Any, space: Namespace) -> bool:
    """Whether a node stands in a `forward`."""
    function = space.source.index.function(node) if space.source is not None else None
    return isinstance(function, cst.FunctionDef) and function.name.value == "forward"


def given_weights(call: cst.Call, space: Namespace) -> Iterator[int]:
    """Identities of the layers that a call gives new weights, and does nothing else with: `a.fc` of
    `init.zeros_(a.fc.weight)` and of `a.fc.weight.data.zero_()`."""
    tensor: Any = None
    if call.func.__class__ is cst.Attribute and re.fullmatch("[a-z]\\w*_", call.func.attr.value):
        tensor = call.func.value
    if call.args and path_of(call.func, space)[:3] == ["torch", "nn", "init"]:
        tensor = call.args[0].value
    while tensor.__class__ is cst.Attribute:
        tensor = tensor.value
        yield id(tensor)


def own_attribute(node: Any) -> str:
    """The `x` of `self.x`, "" for anything else, such as `self[0]`."""
    return str(node.attr.value) if node.__class__ is cst.Attribute and is_self(node.value) else ""


def is_keeper(path: list[str]) -> bool:
    """Whether what is called may keep what it is given: a class, as classes are named, or a method that collects."""
    return not path or not path[-1][:1].islower() or path[-1] in COLLECTS or not HOLDERS.isdisjoint(path)


def may_run_base(node: Any) -> bool:
    """Whether a base's `__init__` may be meant, or what it does be done another way."""
    if node.__class__ is cst.Attribute:
        name = node.attr.value
        return name in ("__init__", "__setattr__") or (name == "__dict__" and is_self(node.value))
    return node.__class__ is cst.Name and node.value == "super"


def elements(node: Any) -> Iterable[Any]:
    """What a list or tuple is written of."""
    return node.elements if node.__class__ in (cst.List, cst.Tuple) else ()


def path_of(func: Any, space: Namespace) -> list[str]:
    """The names of `a.b.c`; the first in full, where it was imported from out of view."""
    path: list[str] = []
    while func.__class__ is cst.Attribute:
        path.append(func.attr.value)
        func = func.value
    if func.__class__ is cst.Name:
        meant = space.attrs.get(func.value)
        path += reversed(meant.path.split(".")) if isinstance(meant, Api) else [func.value]
    return path[::-1]


def is_plain_function(path: list[str]) -> bool:
    """Whether a function of PyTorch is called that computes something or fills a tensor, and keeps nothing."""
    return path[:1] == ["torch"] and path[-1][:1].islower() and HOLDERS.isdisjoint(path)


def is_layer(value: Value) -> bool:
    """Whether a value is a layer or model that was made in view."""
    return isinstance(value, Instance) and value.family in MODEL_FAMILIES and value.born is not None


def is_weighted(interp: Interpreter, module: Instance) -> bool:
    """Whether a module surely holds weights to train."""
    from trainlint.semantics.library import modules_in

    if module.family != "module":
        row = interp.library.class_row(module.api_path)
        return row is not None and (row.raw.get("forward") == "keras_weighted" or row.raw.get("mode") == "batch norm")
    for inner in modules_in(module):
        if isinstance(inner.cls, Api):
            row = interp.library.class_row(inner.cls.path)
            if row is not None and row.raw.get("weights") and inner.attrs.get("$frozen") is not TRUE:
                return True
        elif any(leaf_kind(interp, value) == "parameter" for value in inner.attrs.values()):
            return True
    return False


def holds_weights(module: Instance) -> bool:
    """Whether a module holds parameters or other modules, as far as that can be seen."""
    return any(
        (isinstance(v, Instance) and v.family == "module") or (isinstance(v, Tensor) and v.graph is not False)
        for v in module.attrs.values()
    )


def leaf_kind(interp: Interpreter, value: object) -> str:
    """What a trainable tensor was made as: "parameter", "tensor", "moved", or "" where it is none."""
    found = interp.modules.leaves.get(id(value))
    return found[1] if found is not None and found[0].graph else ""


def is_self(node: Any) -> bool:
    return node.__class__ is cst.Name and node.value == "self"


def methods_from(cls: Any, name: str) -> Iterator[tuple[Function, set[str]]]:
    """A method of a class and those of its own that it leads to, each with the attributes of `self` that it names."""
    waiting, seen = [name] if isinstance(cls, Class) else [], {name}
    while waiting:
        method = cls.find(waiting.pop())
        if isinstance(method, Function):
            own = (n for n in nodes_in(method.node.body) if n.__class__ is cst.Attribute and is_self(n.value))
            named = {node.attr.value for node in own}
            yield method, named
            waiting += named - seen
            seen |= named


def project_bases(cls: Class) -> Iterator[Class]:
    for base in cls.bases:
        if isinstance(base, Class):
            yield base
            yield from project_bases(base)


def related(a: Class | None, b: Class) -> bool:
    """Whether one of two classes may be a base of the other."""
    return (
        a is None
        or a is b
        or a.node is b.node
        or any(c.node is b.node for c in project_bases(a))
        or any(c.node is a.node for c in project_bases(b))
    )


def is_plain_module(cls: Class) -> bool:
    """Whether all that a class inherits is in view, but for what every module has."""
    paths = [path[path.find("keras.") :] if "keras." in path else path for path in cls.api]
    return bool(paths) and all(path in PLAIN_BASES or path in OTHER_BASES for path in paths)


def contents(value: Value) -> tuple[Value, ...]:
    """What a plain list, tuple or dict holds."""
    if isinstance(value, ListObject):
        return value.items if value.items is not None else (value.attrs["element"],)
    if isinstance(value, Tuple):
        return value.items
    if isinstance(value, DictObject):
        return tuple(v for v in value.attrs.values() if isinstance(v, Value))
    return ()


def carried(values: Any, depth: int = 0) -> list[Value]:
    """Values, and what they hold."""
    found: list[Value] = []
    for value in values if isinstance(values, tuple) else (values,):
        if not isinstance(value, Value):
            continue
        found.append(value)
        if depth < 3:
            if isinstance(value, Tuple):
                found += carried(value.items, depth + 1)
            elif isinstance(value, ListObject):
                found += carried(value.items or (value.attrs["element"],), depth + 1)
            elif isinstance(value, DictObject):
                found += carried(tuple(v for _, v in value.known()), depth + 1)
            elif isinstance(value, Union):
                found += carried(value.options, depth + 1)
            elif isinstance(value, Instance):
                inner = tuple(v for k, v in value.attrs.items() if isinstance(k, str) and isinstance(v, Value))
                found += carried(inner, depth + 2)
    return found
