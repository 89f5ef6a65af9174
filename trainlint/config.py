"""Settings: which there are, where they are written, and which rules they enable."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import eq
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlint.kinds import FILE, FOLDER, GLOBS, KNOWLEDGE, RULES, RULES_BY_GLOB, SWITCH, Kind, Patterns, choice
from trainlint.reports import OUTPUT_FORMATS

if TYPE_CHECKING:
    from trainlint.checks import RuleInfo

UNREADABLE, UNUSED_SUPPRESSION, OWN_FAILURE = "TL000", "TL001", "TL002"
SEVERITIES = ("error", "warning", "info")


class UsageError(Exception):
    """A mistake in the call or in a settings file; the message says what to do about it."""


def require_writable(path: Path) -> None:
    """Raise UsageError if a file cannot be written to, before there is anything to write."""
    try:
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Selection:
    """One layer of rule selectors; each is a code, the beginning of codes, a rule's name, or `ALL`."""

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """What there is to know about a setting apart from its name and default."""

    kind: Kind
    meaning: str
    # A value that a settings file may have.
    example: Any


def _setting(kind: Kind, default: Any, meaning: str, example: Any) -> Any:
    about = {"setting": Setting(kind, meaning, example)}
    if isinstance(default, dict):
        return field(default_factory=lambda: default, metadata=about, hash=False)
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that can be configured, for the files below one settings file.

    The fields below are the one place where settings are defined: what reads settings files, `--show-settings`,
    `trainlint config` and the schema follow them.
    """

    root: Path
    source: Path | None = None
    # What the command line selects, on top of what the settings do.
    overriding: tuple[Selection, ...] = ()

    select: tuple[str, ...] | None = _setting(
        RULES, None, "run these rules instead of the default ones", ["TL1", "TL2"]
    )
    extend_select: tuple[str, ...] = _setting(RULES, (), "run these rules as well", ["TL301"])
    ignore: tuple[str, ...] = _setting(RULES, (), "do not run these rules", ["graph-retained"])
    exclude: tuple[Patterns, ...] = _setting(
        GLOBS, (), "leave these files and folders out, as in a .gitignore", ["third_party/", "*_old.py"]
    )
    per_file_ignores: tuple[tuple[Patterns, tuple[str, ...]], ...] = _setting(
        RULES_BY_GLOB, (), "do not report these rules in files that match", {"tests/**": ["TL4"]}
    )
    respect_gitignore: bool = _setting(SWITCH, True, "leave out what .gitignore files name", False)
    force_exclude: bool = _setting(SWITCH, False, "also leave out files that are named on the command line", True)
    fix: bool = _setting(SWITCH, False, "fix without being asked to; `--no-fix` prevents it", True)
    unsafe_fixes: bool = _setting(SWITCH, False, "count unsafe fixes too; `--no-unsafe-fixes` prevents it", True)
    output_format: str = _setting(choice(*OUTPUT_FORMATS), "concise", "how to print findings", "full")
    fail_on: str = _setting(
        choice(*SEVERITIES), "info", "how severe a finding must be for an exit status of 1", "error"
    )
    baseline: Path | None = _setting(
        FILE, None, "the findings that are known already and not reported", "trainlint-baseline.json"
    )
    cache_dir: Path | None = _setting(
        FOLDER, None, "where to keep results of earlier runs, `.trainlint_cache` by default", ".cache/trainlint"
    )
    knowledge: Mapping[str, Any] = _setting(
        KNOWLEDGE, {}, "what is known of other libraries; see docs/knowledge.md", {"harmless": ["lablog"]}
    )

    @property
    def cache(self) -> Path:
        """The folder of results of earlier runs."""
        return self.cache_dir or self.root / ".trainlint_cache"

    @property
    def selections(self) -> tuple[Selection, ...]:
        """The layers of rule selectors, each on top of those before."""
        return (Selection(self.select, self.extend_select, self.ignore), *self.overriding)


_FIELDS = {item.name.replace("_", "-"): item for item in fields(Settings) if "setting" in item.metadata}
SETTINGS: dict[str, Setting] = {key: item.metadata["setting"] for key, item in _FIELDS.items()}


def shown(settings: Settings, key: str) -> Any:
    """The value of a setting as a settings file would have it."""
    return SETTINGS[key].kind.show(getattr(settings, _FIELDS[key].name))


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says, on top of any settings file."""

    selection: Selection = field(default_factory=Selection)
    exclude: Patterns | None = None
    # Values of other settings, by the names of their fields.
    values: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, settings: Settings) -> Settings:
        """The settings with these on top."""
        return replace(
            settings,
            overriding=(*settings.overriding, self.selection),
            exclude=(*settings.exclude, *([self.exclude] if self.exclude else [])),
            **self.values,
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
    values = {}
    for key, value in table.items():
        if key not in SETTINGS:
            raise UsageError(f"{path}: unknown key `{key}`{did_you_mean(key, SETTINGS) or _SEE_ALL}")
        kind = SETTINGS[key].kind
        try:
            values[_FIELDS[key].name] = kind.read(value, root)
        except TypeError as error:
            raise UsageError(f"{path}: `{key}` must be {error if error.args else kind.text}") from error
    return Settings(root=root, source=path, **values)


_SEE_ALL = "; `trainlint config` lists all"


def enabled_codes(selections: Iterable[Selection], catalogue: Sequence[RuleInfo]) -> frozenset[str]:
    """The codes that layers of selections turn on; within a layer the more specific selector wins.

    An unreadable file is reported unless that is ignored, and our own failure always. A `select` that names only rules
    of another door (of a live run, when source is checked) leaves the rules of this one as they are.
    """
    enabled = {info.code for info in catalogue if info.default}
    for layer in selections:
        if layer.select is not None and not (layer.select and all(_is_elsewhere(s, catalogue) for s in layer.select)):
            enabled = {UNREADABLE}
        steps = [(selector, False) for selector in (*(layer.select or ()), *layer.extend_select)]
        steps += [(selector, True) for selector in layer.ignore]
        matched = [(specificity(selector), off, codes_of(selector, catalogue)) for selector, off in steps]
        for _, off, codes in sorted(matched, key=lambda step: step[:2]):
            enabled = enabled - codes if off else enabled | codes
    return frozenset(enabled | {OWN_FAILURE})


def by_name(code: str) -> str:
    """What stands among the codes that are on for a rule that was selected, and is not on by default only."""
    return f"{code}+"


def concerning(layer: Selection, infos: Sequence[RuleInfo]) -> Selection:
    """The selectors of a layer that some of these rules answer to; a `select` of none of them selects nothing."""

    def known(selectors: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(s for s in selectors if s.upper() == "ALL" or any(_answers(info, s) for info in infos))

    select = None if layer.select is None else known(layer.select) or None
    return replace(layer, select=select, extend_select=known(layer.extend_select), ignore=known(layer.ignore))


def _answers(info: RuleInfo, selector: str) -> bool:
    return info.code.startswith(selector.upper()) or info.name == selector.lower()


def specificity(selector: str) -> int:
    """How narrow a selector is: `ALL`, then prefixes by length, then codes and names."""
    return 0 if selector.upper() == "ALL" else min(len(selector), len(UNREADABLE))


def codes_of(selector: str, catalogue: Sequence[RuleInfo]) -> frozenset[str]:
    """The codes that a selector stands for, none if it is of another door; raises UsageError if no rule has it."""
    prefix, name = selector.upper(), selector.lower()
    if prefix == "ALL":
        return frozenset(info.code for info in catalogue)
    codes = frozenset(info.code for info in catalogue if info.code.startswith(prefix) or info.name == name)
    if (not codes and not _is_elsewhere(selector, catalogue)) or not selector:
        raise UsageError(unknown_rule(selector, catalogue))
    return codes


def refuse(selection: Selection, catalogue: Sequence[RuleInfo], codes: Container[str], why: str) -> None:
    """Raise UsageError for a selector that asks only for rules with these codes, which another command looks for."""
    for selector in (*(selection.select or ()), *selection.extend_select):
        asked = codes_of(selector, catalogue)
        if asked and all(code in codes for code in asked):
            raise UsageError(f"{selector} {why}")


_DOOR = re.compile(r"(T[LRC])\d{0,3}", re.IGNORECASE)


def _is_elsewhere(selector: str, catalogue: Sequence[RuleInfo]) -> bool:
    """Whether a selector is of codes that begin as none in this catalogue do."""
    code = _DOOR.fullmatch(selector)
    return code is not None and not any(info.code.startswith(code[1].upper()) for info in catalogue)


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
