"""Settings: where they are written, how they are checked, and which rules they enable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import eq
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainlint.checks import RuleInfo

UNREADABLE, UNUSED_SUPPRESSION, OWN_FAILURE = "TL000", "TL001", "TL002"
OUTPUT_FORMATS = ("concise", "full", "json")


class UsageError(Exception):
    """A mistake in the call or in a settings file; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One layer of rule selectors; each is a code, the beginning of codes, a rule's name, or `ALL`."""

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Patterns:
    """Globs in the syntax of `.gitignore`, relative to the folder of the file that holds them."""

    root: Path
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that can be configured, for the files below one settings file."""

    root: Path
    source: Path | None = None
    selections: tuple[Selection, ...] = ()
    exclude: tuple[Patterns, ...] = ()
    per_file_ignores: tuple[tuple[Patterns, tuple[str, ...]], ...] = ()
    respect_gitignore: bool = True
    force_exclude: bool = False
    fix: bool = False
    unsafe_fixes: bool = False
    output_format: str = "concise"
    knowledge: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says, on top of any settings file."""

    selection: Selection = field(default_factory=Selection)
    exclude: Patterns | None = None
    force_exclude: bool = False
    fix: bool | None = None
    unsafe_fixes: bool | None = None
    output_format: str | None = None

    def apply(self, settings: Settings) -> Settings:
        """The settings with these on top."""
        return replace(
            settings,
            selections=(*settings.selections, self.selection),
            exclude=(*settings.exclude, *([self.exclude] if self.exclude else [])),
            force_exclude=settings.force_exclude or self.force_exclude,
            fix=settings.fix if self.fix is None else self.fix,
            unsafe_fixes=settings.unsafe_fixes if self.unsafe_fixes is None else self.unsafe_fixes,
            output_format=self.output_format or settings.output_format,
        )


class Configuration:
    """Gives each folder its settings: those of the nearest settings file above it, then the command line's."""

    def __init__(
        self, overrides: Overrides | None = None, *, config: Path | None = None, isolated: bool = False
    ) -> None:
        self._overrides = overrides or Overrides()
        self._folders: dict[Path, Settings] = {}
        self._fixed: Settings | None = None
        if config is not None:
            settings = load_settings(config, required=True)
            assert settings is not None
            self._fixed = self._overrides.apply(settings)
        elif isolated:
            self._fixed = self._defaults()

    def _defaults(self) -> Settings:
        return self._overrides.apply(Settings(root=Path.cwd()))

    def for_folder(self, folder: Path) -> Settings:
        """The settings for the files in `folder`, an absolute path."""
        if self._fixed is not None:
            return self._fixed
        known = self._folders.get(folder)
        if known is None:
            own = next(filter(None, map(load_settings, (folder / "trainlint.toml", folder / "pyproject.toml"))), None)
            if own is not None:
                known = self._overrides.apply(own)
            elif folder.parent != folder:
                known = self.for_folder(folder.parent)
            else:
                known = self._defaults()
            self._folders[folder] = known
        return known


def load_settings(path: Path, *, required: bool = False) -> Settings | None:
    """Read a settings file; None if there is none, or a `pyproject.toml` that says nothing about trainlint."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        if required:
            raise UsageError(f"cannot read the settings file {path}: {error.strerror}") from error
        return None
    except OSError as error:
        raise UsageError(f"cannot read the settings file {path}: {error.strerror}") from error
    in_pyproject = path.name == "pyproject.toml"
    # Most `pyproject.toml` files do not concern us: do not even parse them.
    if in_pyproject and b"trainlint" not in content and not required:
        return None

    import tomli

    try:
        table: Any = tomli.loads(content.decode("utf-8-sig"))
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    if in_pyproject:
        table = table.get("tool", {}).get("trainlint")
        if table is None:
            if required:
                raise UsageError(f"{path} has no table [tool.trainlint]")
            return None
    if not isinstance(table, dict):
        raise UsageError(f"{path}: `tool.trainlint` must be a table")
    return _settings(table, path)


def _settings(table: Mapping[str, Any], path: Path) -> Settings:
    """Check the values of a settings table."""
    root = path.absolute().parent
    for key in table:
        if key not in _READERS:
            raise UsageError(f"{path}: unknown key `{key}`{did_you_mean(key, _READERS)}")

    def read(key: str, default: Any) -> Any:
        if key not in table:
            return default
        try:
            return _READERS[key](table[key])
        except TypeError as error:
            raise UsageError(f"{path}: `{key}` must be {error}") from error

    return Settings(
        root=root,
        source=path,
        selections=(
            Selection(select=read("select", None), extend_select=read("extend-select", ()), ignore=read("ignore", ())),
        ),
        exclude=(Patterns(root, read("exclude", ())),),
        per_file_ignores=tuple(
            (Patterns(root, (glob,)), selectors) for glob, selectors in read("per-file-ignores", {}).items()
        ),
        respect_gitignore=read("respect-gitignore", True),
        force_exclude=read("force-exclude", False),
        fix=read("fix", False),
        unsafe_fixes=read("unsafe-fixes", False),
        output_format=read("output-format", "concise"),
        knowledge=read("knowledge", {}),
    )


# The readers raise TypeError with what the value must be.
def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError('a list of strings, such as ["TL1", "TL301"]')
    return tuple(value)


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _output_format(value: object) -> str:
    if value not in OUTPUT_FORMATS:
        raise TypeError("one of " + ", ".join(f'"{name}"' for name in OUTPUT_FORMATS))
    return str(value)


def _lists_by_glob(value: object) -> dict[str, tuple[str, ...]]:
    try:
        if isinstance(value, dict):
            return {glob: _strings(selectors) for glob, selectors in value.items()}
    except TypeError:
        pass
    raise TypeError('a table of lists, such as { "tests/**" = ["TL4"] }')


def _knowledge(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not set(value) <= {"api", "class", "harmless"}:
        raise TypeError("a table with the keys `api`, `class` and `harmless`")
    if "harmless" in value:
        try:
            _strings(value["harmless"])
        except TypeError:
            raise TypeError("a table whose `harmless` is a list of packages") from None
    for kind, named in (("api", "calls"), ("class", "names")):
        rows = value.get(kind, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) and _is_text(row.get(named)) for row in rows):
            raise TypeError(f"a table whose `{kind}` is a list of tables with the dotted names of {named} in `{named}`")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


_READERS: dict[str, Callable[[object], Any]] = {
    "select": _strings,
    "extend-select": _strings,
    "ignore": _strings,
    "exclude": _strings,
    "per-file-ignores": _lists_by_glob,
    "respect-gitignore": _switch,
    "force-exclude": _switch,
    "fix": _switch,
    "unsafe-fixes": _switch,
    "output-format": _output_format,
    "knowledge": _knowledge,
}


def enabled_codes(selections: Iterable[Selection], catalogue: Sequence[RuleInfo]) -> frozenset[str]:
    """The codes that layers of selections turn on; within a layer the more specific selector wins.

    An unreadable file is reported unless that is ignored, and our own failure always.
    """
    enabled = {info.code for info in catalogue if info.default}
    for layer in selections:
        if layer.select is not None:
            enabled = {UNREADABLE}
        steps = [(selector, False) for selector in (*(layer.select or ()), *layer.extend_select)]
        steps += [(selector, True) for selector in layer.ignore]
        matched = [(specificity(selector), off, codes_of(selector, catalogue)) for selector, off in steps]
        for _, off, codes in sorted(matched, key=lambda step: step[:2]):
            enabled = enabled - codes if off else enabled | codes
    return frozenset(enabled | {OWN_FAILURE})


def specificity(selector: str) -> int:
    """How narrow a selector is: `ALL`, then prefixes by length, then codes and names."""
    return 0 if selector.upper() == "ALL" else min(len(selector), len(UNREADABLE))


def codes_of(selector: str, catalogue: Sequence[RuleInfo]) -> frozenset[str]:
    """The codes that a selector stands for; raises UsageError if there are none."""
    prefix, name = selector.upper(), selector.lower()
    if prefix == "ALL":
        return frozenset(info.code for info in catalogue)
    codes = frozenset(info.code for info in catalogue if info.code.startswith(prefix) or info.name == name)
    if not codes or not selector:
        raise UsageError(unknown_rule(selector, catalogue))
    return codes


def unknown_rule(selector: str, catalogue: Sequence[RuleInfo]) -> str:
    """The message about a selector that no rule answers to, with the nearest that one does."""
    known = [text for info in catalogue for text in (info.code, info.name)]
    return f"unknown rule `{selector}`{did_you_mean(selector, known) or '; `trainlint rules` lists all'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint at the nearest known word, or at nothing."""
    from difflib import SequenceMatcher

    asked = word.lower().replace("_", "-")

    def likeness(candidate: str) -> tuple[float, int]:
        return SequenceMatcher(None, asked, candidate.lower()).ratio(), sum(map(eq, asked, candidate.lower()))

    nearest = max(known, key=likeness)
    return f"; did you mean `{nearest}`?" if likeness(nearest)[0] >= 0.5 else ""
