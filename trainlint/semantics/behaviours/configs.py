"""Files of settings: what they hold are candidates for the values, and what they name is made as they say."""

from __future__ import annotations

import json
import re
from importlib import import_module
from importlib.util import find_spec
from os.path import dirname, normpath
from os.path import join as joined
from typing import Any

import tomli

from trainlint.semantics import containers
from trainlint.semantics.behaviours.data import part_in_path, words_of
from trainlint.semantics.behaviours.settings import candidate
from trainlint.semantics.interpreter import Arguments, Interpreter
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    BOOL,
    OF_PART,
    PARTS_READ,
    UNKNOWN,
    Api,
    Const,
    Function,
    Instance,
    ListObject,
    Partial,
    Settings,
    Text,
    Value,
    const,
    options,
    truth,
)

SUFFIXES = (".json", ".yaml", ".yml", ".toml")
MAX_YAML = 20_000  # characters of a file of YAML, and
MAX_OPENED = 1000  # lists and maps that open in one, as its reader takes the longer for each the more are open
MAX_MERGES = 40  # `<<` in a file of YAML: each may double what is merged
MAX_ENTRIES = 2000  # of all that a file holds
MAX_DEPTH = 20
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
MERGED_LIST = re.compile(r"<<[\"']?\s*:\s*\[|<<[\"']?\s*:\s*\n\s*-")  # of many maps at once
REFERENCE = re.compile(r"\$\{([\w.]+)\}")
GLOBAL = re.compile(r"#\s*@package\s+_global_")


class Unread(Exception):
    """A file that is not there, or cannot be read."""


# ------------------------------------------------------------------------- files


def path_of(value: Value | None) -> str | None:
    """The path that a value stands for, unless a setting says otherwise; None where that is not known."""
    for option in options(value) if value is not None else ():
        found: str | None = None
        if isinstance(option, Const) and isinstance(option.value, str):
            found = option.value
        elif isinstance(option, Instance):
            found = path_of(option.attrs.get("$path"))
        elif isinstance(option, Text):
            pieces = [path_of(piece) for piece in option.made or ()]
            found = "/".join(p for p in pieces if p) if pieces and None not in pieces else option.default
        if found is not None:
            return found
    return None


def opened(interp: Interpreter, path: Value, mode: Value | None = None) -> Value:
    """A file of settings, whose path is kept, or one of held-out data; of any other nothing is known."""
    file = Instance(None)
    if (path_of(path) or "").endswith(SUFFIXES):
        file.attrs["$path"] = path
        return file
    part = part_in_path(words_of(path))
    if part not in ("val", "test") or (mode is not None and const(mode) not in ("r", "rt", "rb")):
        return UNKNOWN
    file.attrs[OF_PART] = part
    interp.write(interp.flags, PARTS_READ, interp.flags.get(PARTS_READ, frozenset()) | {part})
    return file


def content_of(interp: Interpreter, path: str) -> Any:
    """What a file of settings holds, as plain data."""
    text = interp.settings_file(path) if path.endswith(SUFFIXES) else None
    if text is None:
        raise Unread
    try:
        if path.endswith(".json"):
            return json.loads(text)
        if path.endswith(".toml"):
            return tomli.loads(text)
        if len(text) > MAX_YAML or text.count("<<") > MAX_MERGES or MERGED_LIST.search(text):
            raise Unread
        if sum(map(text.count, ("[", "{", "- -"))) > MAX_OPENED:
            raise Unread
        reader = "yaml" if find_spec("yaml") is not None else "yaml_ft"  # either comes with libcst
        return import_module(reader).safe_load(text)
    except Exception as problem:  # what the readers raise has no base in common
        raise Unread from problem


class Reader:
    """Makes values of plain data: dicts `of` a kind, and candidates of what they hold."""

    def __init__(self, interp: Interpreter, root: Any, attributes: bool) -> None:
        self.interp = interp
        self.root = root
        self.attributes = attributes  # whether entries are attributes as well
        self.left = MAX_ENTRIES

    def value(self, held: Any, depth: int = 0, name: str = "", exact: bool = False) -> Value:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH or held is None:
            return UNKNOWN
        if isinstance(held, dict):
            entries = {
                key: self.value(entry, depth + 1, str(key), exact=str(key).startswith("_"))
                for key, entry in held.items()
                if isinstance(key, (str, int))
            }
            if not self.attributes:
                return Settings(entries)
            settings = Instance(Api("omegaconf.DictConfig"), "mapping")
            settings.attrs.update((str(key), entry) for key, entry in entries.items())
            return settings
        if isinstance(held, list):
            return ListObject(tuple(self.value(item, depth + 1) for item in held))
        if isinstance(held, bool):
            return Const(held) if exact else BOOL
        if isinstance(held, str):
            return self.text(held, depth)
        return candidate({"default": Const(held)}, name=name) if isinstance(held, (int, float)) else UNKNOWN

    def text(self, held: str, depth: int) -> Value:
        reference = REFERENCE.fullmatch(held)
        if reference is not None and self.attributes:
            meant = self.root
            for name in reference[1].split("."):
                meant = meant.get(name) if isinstance(meant, dict) else None
            return self.value(meant, depth + 1)
        if "${" in held:
            return UNKNOWN
        if NUMBER.fullmatch(held):
            return candidate({"default": Const(float(held))})  # YAML takes 1e-3 for a word
        return Text(default=held)


@behaviour("read_settings")
def read_settings(call: Call) -> Value:
    """`json.load(file)`, `yaml.safe_load(file)`: a dict of what the file holds."""
    return read(call, attributes=False)


@behaviour("read_mapping")
def read_mapping(call: Call) -> Value:
    """`OmegaConf.load(path)`: an object whose entries are also its attributes."""
    return read(call, attributes=True)


def read(call: Call, attributes: bool) -> Value:
    path = path_of(call.first)
    try:
        content = content_of(call.interp, path) if path is not None else None
    except Unread:
        content = None
    if not isinstance(content, dict):
        return Instance(None)
    return Reader(call.interp, content, attributes).value(content)


# ------------------------------------------------------------------------- Hydra


@behaviour("hydra_main")
def hydra_main(call: Call) -> Value:
    """`@hydra.main(config_path="conf", config_name="config")`: the function is called with these settings."""
    decorator = Instance(Api(call.actual))
    folder, name = path_of(call.value("config_path", 0)), path_of(call.value("config_name", 1))
    if folder is not None and name is not None:
        try:
            settings = composed(call.interp, folder, name)
        except Unread:
            return decorator
        decorator.attrs["$config"] = Reader(call.interp, settings, attributes=True).value(settings)
    return decorator


def configured(decorator: Instance, function: Function) -> dict[str, Value]:
    """The defaults of a function that a decorator calls with settings."""
    params = function.node.params.params
    return {**function.defaults, params[0].name.value: decorator.attrs["$config"]} if params else function.defaults


def composed(interp: Interpreter, folder: str, name: str, depth: int = 0) -> dict[str, Any]:
    """A file of settings with those that its list of defaults names."""
    file = name if name.endswith(SUFFIXES) else f"{name}.yaml"
    content = content_of(interp, normpath(joined(folder, file)))
    if not isinstance(content, dict) or depth > MAX_DEPTH:
        raise Unread
    result: dict[str, Any] = {}
    for entry in content.pop("defaults", None) or ():
        for group, option in entry.items() if isinstance(entry, dict) else ((dirname(str(entry)), str(entry)),):
            group = str(group).rpartition(" ")[2]
            if not isinstance(option, str) or option == "_self_" or "${" in option:
                continue
            group, _, package = group.partition("@")
            chosen = option.rpartition("/")[2] if option == str(entry) else option
            below = normpath(joined(folder, dirname(name), group.strip("/")))
            try:
                part = composed(interp, below, chosen, depth + 1)
            except Unread:
                continue
            for key in reversed((package or group).split("/") if (package or group) not in ("", "_global_") else []):
                part = {key: part}
            merge(result, part)
    merge(result, content)
    return result


def merge(target: dict[str, Any], source: dict[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


@behaviour("instantiate")
def instantiate(call: Call) -> Value:
    """`hydra.utils.instantiate(settings.model, …)`: calls what `_target_` names with the other entries."""
    settings = containers.as_dict(call.first)
    if settings is None or "_target_" not in settings.attrs:
        library = call.interp.library
        if (optimizer := library.made_outside(call.interp, "", call.arguments, call.node)) is not None:
            return optimizer
        library.escape(call.interp, call.arguments, call.node)
        return Instance(None)
    given = Arguments(call.arguments.positional[1:], dict(call.arguments.keywords), open_=call.arguments.open)
    return made(call.interp, dict(settings.known()), given, call.node)


def made(interp: Interpreter, settings: dict[str, Value], given: Arguments, node: Any) -> Value:
    name = path_of(settings["_target_"])
    target = imported(interp, name) if name is not None else UNKNOWN
    inner = truth(settings.get("_recursive_", BOOL)) is not False
    own = {key: value for key, value in settings.items() if not key.startswith("_")}
    arguments = {key: prepared(interp, value, node) if inner else value for key, value in own.items()}
    arguments.update(given.keywords)
    if target is UNKNOWN:
        return Instance(None)
    if truth(settings.get("_partial_", BOOL)) is True:
        return Partial(target, tuple(given.positional), arguments)
    return interp.call(target, Arguments(given.positional, arguments, open_=given.open), node)


def prepared(interp: Interpreter, value: Value, node: Any) -> Value:
    """An argument, made too where it says how."""
    settings = containers.as_dict(value)
    if settings is not None and "_target_" in settings.attrs:
        return made(interp, dict(settings.known()), Arguments(), node)
    if isinstance(value, ListObject) and value.items is not None:
        return ListObject(tuple(prepared(interp, item, node) for item in value.items))
    return value


@behaviour("imported")
def imported_(call: Call) -> Value:
    """`hydra.utils.get_class("package.module.Class")`."""
    name = path_of(call.first)
    return imported(call.interp, name) if name is not None else UNKNOWN


def imported(interp: Interpreter, name: str) -> Value:
    """What a name with dots stands for: of the project, or of a package."""
    module, _, member = name.rpartition(".")
    space = interp.resolve(interp.frame.space, module, 0) if module else None
    if isinstance(space, Namespace):
        return interp.get_attribute(space, member, None)
    return Api(name) if module and space is None else UNKNOWN
