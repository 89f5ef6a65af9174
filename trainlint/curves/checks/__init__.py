"""The diagnoses, by what they look at. A new one is a class in a module of its family and a page in `rules/`."""

from __future__ import annotations

from importlib import import_module

from trainlint.curves.check import Check

FAMILIES = ("record", "course", "fit", "rate", "runs")


def all_checks() -> dict[str, type[Check]]:
    """Every check by its code, in order of the codes."""
    modules = [import_module(f"{__name__}.{family}") for family in FAMILIES]
    found = {
        item.code: item
        for module in modules
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Check) and item.code
    }
    return dict(sorted(found.items()))
