"""Reports: findings as text. Each module of `formats` is a format: its `render` turns findings into pieces of text, and
the first line of its docstring says what it is for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from trainlint.findings import Finding
    from trainlint.reports.sources import Sources
    from trainlint.reports.style import Style

    Render = Callable[[Sequence[Finding], Sources, Style], Iterator[str]]

_FOLDER = os.path.join(os.path.dirname(__file__), "formats")

OUTPUT_FORMATS = tuple(
    sorted(name.removesuffix(".py").replace("_", "-") for name in os.listdir(_FOLDER) if name[0] not in "_.")
)

# Those that people read as they are printed, with a summary below them. Of the others a program reads every word.
FOR_PEOPLE = frozenset({"concise", "full", "grouped"})


def renderer(output_format: str) -> Render:
    """The renderer of a format, whose module is imported only now."""
    module = import_module(f"trainlint.reports.formats.{output_format.replace('-', '_')}")
    return cast("Render", module.render)
