"""The diagnoses, by what they look at. A new one is a class in a module of its family and a page in `rules/`."""

from __future__ import annotations

from trainlint.coded import in_families
from trainlint.curves.check import Check

FAMILIES = ("record", "course", "fit", "rate", "runs")


def all_checks() -> dict[str, type[Check]]:
    """Every check by its code, in order of the codes."""
    return dict(sorted(in_families(__name__, FAMILIES, Check).items()))
