"""Settings: what command lines give, objects whose entries are also their attributes, data classes made from these."""

from __future__ import annotations

import libcst as cst

from trainlint.semantics import containers
from trainlint.semantics.behaviours.layers import duplicate
from trainlint.semantics.classes import inherited_fields
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.sizes import of_setting
from trainlint.semantics.values import (
    BOOL,
    INF,
    NONE,
    TINY,
    UNKNOWN,
    Api,
    Class,
    Const,
    DictObject,
    Function,
    Instance,
    ListObject,
    Method,
    Names,
    Number,
    Step,
    Text,
    Tuple,
    Value,
    bounds,
    const,
    is_number,
    join,
    join_all,
    truth,
)

TAKEN = "wandb.config"  # in the interpreter's flags, under this name: the settings that a run was given


@behaviour("mapping")
def mapping(call: Call) -> Value:
    """`OmegaConf.create({"lr": 0.1})`: an object whose entries are also its attributes; one is taken as it is."""
    if isinstance(call.first, Class):
        return given_settings(call, call.first)
    if not isinstance(call.first, DictObject):
        return call.first if isinstance(call.first, Instance) else Instance(None)
    settings = Instance(Api(call.actual), "mapping", call.interp.step(call.node, "the settings"))
    containers.fill(call.interp, settings, (call.first,))
    return settings


@behaviour("plain_dict")
def plain_dict(call: Call) -> Value:
    """`OmegaConf.to_container(settings)`, `dataclasses.asdict(settings)`: dicts all the way down."""
    return plain(call, call.first) if isinstance(call.first, Instance) else UNKNOWN


def plain(call: Call, value: Value) -> Value:
    if not isinstance(value, Instance):
        return value
    if value.family == "mapping":
        names = [name for name, _ in Names(value).known()]
    elif isinstance(value.cls, Class) and (fields := inherited_fields(value.cls)):
        names = fields
    else:
        return value
    return DictObject({n: plain(call, call.interp.get_attribute(value, n, call.node)) for n in names})


@behaviour("replaced")
def replaced(call: Call) -> Value:
    """`dataclasses.replace(settings, lr=0.1)`: a copy with other values."""
    copy = duplicate(call.interp, call.first, {})
    if not isinstance(copy, Instance) or call.arguments.open:
        return UNKNOWN
    copy.attrs.update(call.arguments.keywords)
    return copy


@behaviour("merged")
def merged(call: Call) -> Value:
    """`cfg.merge_from_file(path)`: from here on what it held are candidates for its values."""
    make_candidates(call, call.first)
    return UNKNOWN


def make_candidates(call: Call, settings: Value) -> None:
    held = containers.as_dict(settings)
    for name, value in list(held.known()) if held is not None else ():
        if isinstance(value, Const) and held is not None:
            call.interp.write(held.attrs, name, candidate({"default": value}, name=str(name)))
        make_candidates(call, value)


@behaviour("settings_parser")
def settings_parser(call: Call) -> Value:
    """`HfArgumentParser((ModelArguments, DataArguments))`: gives an object of each of the classes."""
    parser = Instance(Api(call.path), "parser")
    parser.attrs["$classes"] = call.interp.known_items(call.first) or (call.first,)
    return parser


@behaviour("parse_settings")
def parse_settings(call: Call) -> Value:
    """Settings as the command line gives them: the defaults are candidates for the values."""
    classes = call.first.attrs.get("$classes", ()) if isinstance(call.first, Instance) else ()
    return Tuple(tuple(given_settings(call, cls) if isinstance(cls, Class) else Instance(None) for cls in classes))


@behaviour("option_default")
def option_default(call: Call) -> Value:
    """`lr: float = typer.Option(0.1)`: what the command line gives a function that is a command."""
    return candidate({"default": call.first}, call.interp.step(call.node, "the option"))


@behaviour("tracked")
def tracked(call: Call) -> Value:
    """`wandb.init(config=settings)`: a sweep may give other values than these, read as `wandb.config.lr`."""
    run, config = Instance(Api(call.actual)), Instance(Api(TAKEN), "mapping")
    held = containers.as_dict(call.value("config") or UNKNOWN)
    for name, value in held.known() if held is not None else ():
        option = candidate({"default": value}, name=str(name)) if isinstance(value, Const) else value
        call.interp.write(call.interp.flags, f"{TAKEN}.{name}", option)
        config.attrs[name] = option
    run.attrs["config"] = config
    return run


# ------------------------------------------------------------------ command lines


@behaviour("argument_parser")
def argument_parser(call: Call) -> Value:
    parser = Instance(Api(call.path), "parser")
    parser.attrs["$options"] = options = DictObject()
    for parent in call.interp.known_items(call.value("parents") or NONE) or ():
        held = parent.attrs.get("$options") if isinstance(parent, Instance) else None
        options.attrs.update(held.known() if isinstance(held, DictObject) else ())
    return parser


@behaviour("argument_group")
def argument_group(call: Call) -> Value:
    return call.first


@behaviour("add_argument")
def add_argument(call: Call) -> Value:
    """An option: its default is a candidate for the value, not the value."""
    parser = call.first
    target = parser.attrs.get("$options") if isinstance(parser, Instance) else None
    if not isinstance(target, DictObject):
        return UNKNOWN
    flags = [v.value for v in call.arguments.positional[1:] if isinstance(v, Const) and isinstance(v.value, str)]
    keywords = call.arguments.keywords
    dest = keywords.get("dest")
    name = str(dest.value) if isinstance(dest, Const) else option_name(flags)
    value = candidate(keywords, call.interp.step(call.node, "the option"), name)
    other = target.attrs.get(name, value)  # of another flag for the same setting, or of another command
    call.interp.write(target.attrs, name, BOOL if BOOL in (value, other) else join(other, value))
    return UNKNOWN


@behaviour("set_defaults")
def set_defaults(call: Call) -> Value:
    """A flag that starts as what it sets may start as something else."""
    parser = call.first
    target = parser.attrs.get("$options") if isinstance(parser, Instance) else None
    for name, value in target.known() if isinstance(target, DictObject) else ():
        if isinstance(value, Const) and (call.arguments.open or name in call.arguments.keywords):
            call.interp.write(target.attrs, name, BOOL)  # type: ignore[union-attr]
    return UNKNOWN


def option_name(flags: list[str]) -> str:
    """What an option is called in the program: by the first of its long flags."""
    long = [f for f in flags if f.startswith("--")] or flags
    return long[0].lstrip("-").replace("-", "_") if long else ""


@behaviour("click_option")
def click_option(call: Call) -> Value:
    """`@click.option("--lr", default=1e-3)`: the command line gives the function this argument."""
    flags = [v.value for v in call.arguments.positional if isinstance(v, Const) and isinstance(v.value, str)]
    named = [flag for flag in flags if not flag.startswith("-")]
    keywords = dict(call.arguments.keywords)
    if truth(keywords.get("is_flag", NONE)) is True or any("/" in flag for flag in flags):
        keywords["default"] = BOOL
    held = Instance(Api(call.actual))
    known = "default" in keywords or "type" in keywords
    name = named[0] if named else option_name([flag.partition("/")[0] for flag in flags])
    held.attrs["$option"] = (
        {name: candidate(keywords, call.interp.step(call.node, "the option"), name)} if known and name else {}
    )
    return held


def candidate(keywords: dict[str, Value], defined: Step | None = None, name: str = "", *, option: bool = True) -> Value:
    """What an `option` of this name may hold, where it is `defined`, or else a parameter that callers give."""
    default = keywords.get("default", NONE)
    if isinstance(default, Number):
        return default  # already one
    action = keywords.get("action")
    kind = keywords.get("type")
    default = as_written(default, kind)
    choices = keywords.get("choices")
    if isinstance(action, Const) and action.value in ("store_true", "store_false"):
        fixed = isinstance(default, Const) and default.value is (action.value == "store_true")
        return default if fixed else BOOL  # no flag changes what is so already
    if isinstance(choices, (ListObject, Tuple)) and choices.items is not None and len(choices.items) <= 8:
        chosen = join_all(choices.items)
        several = keywords.get("nargs", NONE).key not in (NONE.key, Const("?").key)
        return join(default or NONE, ListObject(None, chosen)) if several else chosen
    if isinstance(default, Const) and isinstance(default.value, bool):
        return BOOL
    if is_number(default):
        lo = bounds(default)[0]
        whole = (
            isinstance(default, Const)
            and isinstance(default.value, int)
            and not (isinstance(kind, Api) and kind.path == "float")
        )
        positive = lo > 0
        known = default.value if isinstance(default, Const) else None
        least = (1 if whole else TINY) if positive else (0 if lo == 0 else -INF)
        size = of_setting(name, known, option=option) if name and whole and positive else None
        return Number(least, integer=whole, default=known, defined=defined, size=size)
    if isinstance(kind, Api) and kind.path in ("list", "tuple") and isinstance(default, (ListObject, Tuple)):
        return default  # what is given instead comes in single characters
    if isinstance(kind, Api) and kind.path == "int":
        return join(default, Number(integer=True, size=of_setting(name, option=option) if name else None))
    if isinstance(kind, Api) and kind.path == "float":
        return join(default, Number())
    if isinstance(default, Const) and isinstance(default.value, str):
        return Text(default=default.value)
    return join(default, UNKNOWN)


def as_written(default: Value, kind: Value | None) -> Value:
    """A default; a text is read as the command line is, where that asks for a number."""
    if isinstance(default, Const) and isinstance(default.value, str) and isinstance(kind, Api):
        if kind.path in ("int", "float"):
            try:
                return Const(int(default.value) if kind.path == "int" else float(default.value))
            except ValueError:
                pass
    return default


@behaviour("parse_args")
def parse_args(call: Call) -> Value:
    parser = call.first
    result = Instance(Api("argparse.Namespace"), "namespace")
    target = parser.attrs.get("$options") if isinstance(parser, Instance) else None
    if isinstance(target, DictObject):
        for key, value in target.known():
            if value is not UNKNOWN:  # of which it is known that it is the same at each look
                result.attrs[key] = value
    return result


@behaviour("parse_known_args")
def parse_known_args(call: Call) -> Value:
    return Tuple((parse_args(call), UNKNOWN))


FLAGS = "absl.flags.FLAGS"  # in the interpreter's flags, under this name: the settings that were defined


@behaviour("define_flag")
def define_flag(call: Call) -> Value:
    """`flags.DEFINE_float("lr", 1e-3, "…")`: an option, read as `FLAGS.lr` or from what this gives."""
    interp, name = call.interp, call.value("name")
    keywords = {k: v for k in ("default", "choices") if (v := call.value(k)) is not None}
    value = candidate(keywords, interp.step(call.node, "the option"), str(const(name or UNKNOWN, "")))
    if isinstance(name, Const):
        interp.write(interp.flags, f"{FLAGS}.{name.value}", value)
    holder = Instance(Api(call.actual))
    holder.attrs["value"] = value
    return holder


@behaviour("launch")
def launch(call: Call) -> Value:
    """`app.run(main)` calls `main` with what the command line holds; a launcher may be given the arguments, or several
    functions by their names, of which the command line picks one."""
    from trainlint.semantics.interpreter import Arguments

    given = call.interp.known_items(call.value("args") or NONE)
    first = call.first
    for function in (v for _, v in first.known()) if isinstance(first, DictObject) else (first,):
        if isinstance(function, (Function, Method)):
            settings = {} if given or not isinstance(function, Function) else settings_of(function)
            call.interp.call(function, Arguments(list(given or ()), settings, open_=not given), call.node)
    return UNKNOWN


def settings_of(function: Function) -> dict[str, Value]:
    """The arguments that the command line gives a function: each default is a candidate for the value."""
    params = function.node.params
    names = [p.name.value for p in (*params.posonly_params, *params.params, *params.kwonly_params)]
    given = function.defaults
    return {n: candidate({"default": given[n]}, name=n) if n in given else UNKNOWN for n in names}


def field_of(cls: Class, name: str) -> Step | None:
    """Where a class, or the base that it has it from, gives a member its value."""
    lines = (line for line in cls.node.body.body if isinstance(line, cst.SimpleStatementLine))
    for part in (part for line in lines for part in line.body):
        targets = [t.target for t in part.targets] if isinstance(part, cst.Assign) else [getattr(part, "target", None)]
        if any(isinstance(target, cst.Name) and target.value == name for target in targets):
            return Step(cls.space, part, "the option")
    bases = (field_of(base, name) for base in cls.bases if isinstance(base, Class))
    return next((place for place in bases if place is not None), None)


@behaviour("from_command_line")
def from_command_line(call: Call) -> Value:
    """`tyro.cli(Settings)`: settings that the command line may change; a function is called with such."""
    return given_settings(call, call.first) if isinstance(call.first, Class) else launch(call)


def given_settings(call: Call, cls: Class) -> Value:
    """An object of a class of settings whose defaults are candidates for their values."""
    from trainlint.semantics.interpreter import Arguments

    settings = call.interp.call(cls, Arguments(), call.node)
    if isinstance(settings, Instance):
        for name in inherited_fields(cls):
            value = call.interp.get_attribute(settings, name, call.node)
            if isinstance(value, Const):
                call.interp.write(settings.attrs, name, candidate({"default": value}, field_of(cls, name), name))
    return settings
