"""Reports: one module a format, each with a `render` that turns findings into pieces of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import cast

from trainlint.findings import Finding
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style

Render = Callable[[Sequence[Finding], Sources, Style], Iterator[str]]


def renderer(output_format: str) -> Render:
    """The renderer of a format, whose module is imported only now."""
    return cast(Render, import_module(f"trainlint.reports.{output_format}").render)
