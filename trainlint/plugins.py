"""What other packages add: rules, and knowledge of their own APIs.

A package names its module of rules under the entry point group `trainlint.rules`, and a package that holds a
`knowledge.toml` under `trainlint.knowledge`. A plugin that cannot be loaded is an error of usage: to go on without it
would hide what it finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from trainlint.coded import in_module
from trainlint.config import UsageError

if TYPE_CHECKING:
    from trainlint.api import Rule

RULES, KNOWLEDGE = "trainlint.rules", "trainlint.knowledge"


@cache
def rules() -> tuple[type[Rule], ...]:
    """The rule classes of all installed plugins.

    Raises UsageError if a plugin cannot be loaded or names something else than a module.
    """
    from trainlint.api import Rule  # not before it is needed: it imports the parser

    return tuple(rule for point in _points(RULES) for rule in in_module(_module(point), Rule))


@cache
def knowledge() -> tuple[Mapping[str, Any], ...]:
    """The knowledge tables of all installed plugins.

    Raises UsageError if one cannot be read.
    """
    return tuple(_table(point) for point in _points(KNOWLEDGE))


def page_folder(code: str) -> Path | None:
    """Where the page of a plugin's rule is: in `rules/` beside the package's modules."""
    rule = next((rule for rule in rules() if rule.code == code), None)
    return None if rule is None else Path(str(resources.files(rule.__module__.partition(".")[0]))) / "rules"


def _points(group: str) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda point: (point.name, point.value))


def _module(point: EntryPoint) -> ModuleType:
    try:
        loaded = point.load()
    except Exception as error:
        raise UsageError(f"the plugin `{point.name}` cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(loaded, ModuleType):
        raise UsageError(f"the plugin `{point.name}` must name a module, not `{point.value}`")
    return loaded


def _table(point: EntryPoint) -> Mapping[str, Any]:
    import tomli

    name = _module(point).__name__
    try:
        return tomli.loads(resources.files(name).joinpath("knowledge.toml").read_text("utf-8"))
    except (OSError, TypeError, ValueError) as error:
        raise UsageError(f"the plugin `{point.name}` has no readable `knowledge.toml` in `{name}`: {error}") from error
