"""Settings: objects whose entries are also their attributes, and what packages besides argparse give a program."""

from __future__ import annotations

from trainlint.semantics import containers
from trainlint.semantics.behaviours.layers import duplicate
from trainlint.semantics.behaviours.python import candidate, given_settings
from trainlint.semantics.classes import inherited_fields
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.values import UNKNOWN, Api, Class, Const, DictObject, Instance, Names, Tuple, Value

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
            call.interp.write(held.attrs, name, candidate({"default": value}))
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
        option = candidate({"default": value}) if isinstance(value, Const) else value
        call.interp.write(call.interp.flags, f"{TAKEN}.{name}", option)
        config.attrs[name] = option
    run.attrs["config"] = config
    return run
