"""What has a code of its own: rules, probes, experiments and diagnoses, found in the modules of their families."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any


def in_families(package: str, families: Iterable[str], base: type[Any]) -> dict[str, type[Any]]:
    """The classes of some modules of a package by their code, in the order in which they are met."""
    modules = (import_module(f"{package}.{family}") for family in families)
    return {item.code: item for module in modules for item in in_module(module, base)}


def in_module(module: ModuleType, base: type[Any]) -> Iterator[type[Any]]:
    """The classes that a module defines or brings together; one without a code is there for others to be made of."""
    for item in vars(module).values():
        if isinstance(item, type) and issubclass(item, base):
            found: type[Any] = item
            if found.code:
                yield found
