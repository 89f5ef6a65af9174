"""How things are put in words for people."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "s") -> str:
    """A number with its noun, which takes this ending where there is not one of it."""
    return f"{number} {noun}{'' if number == 1 else plural}"
