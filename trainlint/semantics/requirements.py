"""Which versions of a package a project says it works with."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

# Where projects say what they need; the nearest folder with any of these counts.
_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "environment.yml", "environment.yaml", "Pipfile")
_MARKERS = (".git",)
_LARGE = 200_000

# A requirement as pip, conda and Poetry write it: `torch>=1.8,<2`, `torch = "^2.0"`.
_BEFORE = r"(?mi)(?:^|[\s\"'\[,-])"
_BETWEEN = r"(?:\[[\w,]*\])?\s*[\"']?\s*(?:=\s*[\"'])?\(?"
_SPECIFIERS = r"((?:[<>=!~^]=*[ \t]*[\d.*+\w]+[ \t]*,?[ \t]*)+)"

Version = tuple[int, ...]


def version(text: str) -> Version:
    """The numbers of a version, three of them."""
    return padded(tuple(int(number) for number in re.findall(r"\d+", text)[:3]))


def padded(numbers: Version) -> Version:
    return (*numbers, 0, 0)[:3] if len(numbers) < 3 else numbers


def allowed(path: Path, package: str) -> tuple[Version | None, Version | None]:
    """The lowest version of a package that the project of a file asks for, and the first that it excludes."""
    for folder in (path.parent, *path.parent.parents)[:8]:
        text = declared(folder)
        if text:
            found = bounds(text, package)
            if found != (None, None):
                return found
        if any((folder / marker).exists() for marker in _MARKERS):
            break
    return None, None


def forget() -> None:
    """Read the files again that say what is needed, when next asked."""
    declared.cache_clear()


@cache
def declared(folder: Path) -> str:
    """The texts of the files of a folder that say what is needed."""
    texts = []
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return ""
    for name in names:
        if name in _FILES or re.fullmatch(r"requirements[\w.-]*\.(txt|in)", name):
            try:
                if (folder / name).stat().st_size < _LARGE:
                    texts.append((folder / name).read_text("utf-8", "replace"))
            except OSError:
                continue
    return "\n".join(texts)


@lru_cache(maxsize=512)
def bounds(text: str, package: str) -> tuple[Version | None, Version | None]:
    """The bounds of a package in the text of such files; the widest of several."""
    lows: list[Version] = []
    tops: list[Version | None] = []
    name = {"torch": "(?:torch|pytorch)"}.get(package, re.escape(package))
    # Poetry's `torch = "2.1"` is a pin.
    text = re.sub(rf"(?m)^({name}\s*=\s*[\"'])(?=\d)", r"\1==", text)
    for found in re.finditer(rf"{_BEFORE}{name}{_BETWEEN}{_SPECIFIERS}", text):
        low: Version | None = None
        top: Version | None = None
        for sign, number in re.findall(r"([<>=!~^]+)\s*([\d.]+)", found[1]):
            numbers = tuple(int(part) for part in number.split(".") if part)[:3]
            if not numbers:
                continue
            after = (*numbers[:-1], numbers[-1] + 1)
            if sign in (">=", ">", "~=", "^"):
                low = numbers
            if sign in ("==", "=", "==="):
                low, top = numbers, after
            elif sign == "<":
                top = numbers
            elif sign == "<=":
                top = after
            elif sign in ("~=", "^"):
                top = (numbers[0] + 1,) if sign == "^" or len(numbers) < 3 else (numbers[0], numbers[1] + 1)
        if low is not None:
            lows.append(padded(low))
        tops.append(None if top is None else padded(top))
    if not lows and not tops:
        return None, None
    return (min(lows) if lows else None), (None if None in tops else max(t for t in tops if t is not None))
