"""Tables of functions by name, which their decorators fill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Meaning = TypeVar("Meaning", bound=Callable[..., Any])


def registrar(table: dict[str, Meaning]) -> Callable[..., Callable[[Meaning], Meaning]]:
    """A decorator that enters functions in a table, under the names that it is given."""

    def entered(*names: str) -> Callable[[Meaning], Meaning]:
        def register(function: Meaning) -> Meaning:
            table.update(dict.fromkeys(names, function))
            return function

        return register

    return entered
