"""`trainlint init`: settings and a hook for pre-commit, added to what a project has."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from trainlint.cli.config import default_of, toml
from trainlint.cli.output import CLEAN, write
from trainlint.config import SETTINGS, UsageError
from trainlint.files import replace

DESCRIPTION = """\
Write settings and a hook for pre-commit, here. What there is stays: a pyproject.toml gets a table and a
.pre-commit-config.yaml a hook, unless they have them.
"""

_PYPROJECT, _OWN, _HOOKS = Path("pyproject.toml"), Path("trainlint.toml"), Path(".pre-commit-config.yaml")
# The settings that a project is likely to need first.
_FIRST = ("extend-select", "ignore", "exclude", "per-file-ignores")
_HOOK = """\
- repo: local
  hooks:
    - id: trainlint
      name: trainlint
      entry: trainlint check --force-exclude
      language: system
      types_or: [python, jupyter]
      require_serial: true
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: there are none."""


def run(options: argparse.Namespace) -> int:
    """Write what is missing; nothing is written if one of the files cannot be extended."""
    wanted = [_with_settings(), _with_hook()]
    for path, text in wanted:
        if text is None:
            write([f"{path}: has it already, left as it is\n"], sys.stdout)
            continue
        done = "extended" if path.exists() else "written"
        try:
            replace(path, text.encode())
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from error
        write([f"{path}: {done}\n"], sys.stdout)
    return CLEAN


def _read(path: Path) -> str | None:
    """A file's text, line ends as they are; None if there is no file."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _manner(addition: str, text: str) -> str:
    """An addition with the line ends of the text."""
    return addition.replace("\n", "\r\n") if "\r\n" in text else addition


# --- Settings ---------------------------------------------------------------------------------------------------------


def _with_settings() -> tuple[Path, str | None]:
    """The file for settings, and its text with some; None if it has them."""
    settings = "".join(f"# {SETTINGS[key].meaning}\n{key} = {toml(default_of(key))}\n" for key in _FIRST)
    if _OWN.exists():
        return _OWN, None
    old = _read(_PYPROJECT)
    if old is None:
        return _OWN, settings
    import tomli

    table = f"[tool.trainlint]\n{settings}"
    try:
        content = tomli.loads(old.removeprefix("\ufeff"))
        if "trainlint" in content.get("tool", {}):
            return _PYPROJECT, None
    except tomli.TOMLDecodeError as error:
        raise UsageError(f"{_PYPROJECT} is not valid TOML: {error}") from error
    before = old if not old or old.endswith("\n") else old + _manner("\n", old)
    new = before + _manner(f"\n{table}" if old.strip() else table, old)
    try:
        tomli.loads(new.removeprefix("\ufeff"))
    except tomli.TOMLDecodeError as error:  # its `tool` is written in a way that admits no further table
        raise UsageError(f"{_PYPROJECT} cannot be extended; write {_OWN} yourself:\n\n{settings}") from error
    return _PYPROJECT, new


# --- The hook ---------------------------------------------------------------------------------------------------------

_PRESENT = re.compile(r"^[ \t]*(?:-[ \t]+)?id[ \t]*:[ \t]*[\"']?trainlint\b", re.MULTILINE)
_REPOS = re.compile(r"^repos[ \t]*:(?P<value>[^#\r\n]*)(?:[ \t]#.*)?$")
_KEY = re.compile(r"^[\w-]+[ \t]*:")


def _with_hook() -> tuple[Path, str | None]:
    """The file for hooks, and its text with ours; None if it has it."""
    old = _read(_HOOKS)
    if old is None or not old.strip():
        return _HOOKS, (old or "") + "repos:\n" + _indented("  ")
    if _PRESENT.search(old):
        return _HOOKS, None
    lines = old.splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        lines[-1] += _manner("\n", old)
    start = next((number for number, line in enumerate(lines) if _REPOS.match(line.rstrip("\r\n"))), None)
    if start is None:
        if not all(_indent(line) > 0 or _KEY.match(line) for line in _content(lines)):
            raise _cannot_extend()
        return _HOOKS, "".join(lines) + _manner("repos:\n" + _indented("  "), old)
    match = _REPOS.match(lines[start].rstrip("\r\n"))
    value = match["value"].strip() if match else ""
    if value == "[]":
        lines[start] = re.sub(r"[ \t]*\[\]", "", lines[start], count=1).rstrip() + _manner("\n" + _indented("  "), old)
        return _HOOKS, "".join(lines)
    items = lines[start + 1 :]
    first = next(_content(items), "")
    if value or not first.lstrip(" ").startswith("-"):
        raise _cannot_extend()
    indent = _indent(first)
    end = start + 1
    for number, line in enumerate(items, start + 2):
        if not line.strip() or line.lstrip().startswith("#"):
            end = number if _indent(line) > indent else end
        elif _indent(line) > indent or (_indent(line) == indent and line[indent] == "-"):
            end = number
        else:
            break
    lines.insert(end, _manner(_indented(" " * indent), old))
    return _HOOKS, "".join(lines)


def _content(lines: list[str]) -> Iterator[str]:
    """The lines that are not empty and no comments."""
    return (line for line in lines if line.strip() and not line.lstrip().startswith(("#", "---")))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" ")) if line.strip() else 0


def _indented(margin: str) -> str:
    return "".join(margin + line for line in _HOOK.splitlines(keepends=True))


def _cannot_extend() -> UsageError:
    return UsageError(f"{_HOOKS} cannot be extended; add this to its `repos` yourself:\n\n{_indented('  ')}")
