"""`trainlint config`: which settings there are; also `--show-settings`, and the schema that editors read."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from trainlint.cli.output import CLEAN, write
from trainlint.config import SETTINGS, Settings, UsageError, did_you_mean, enabled_codes, shown

DESCRIPTION = "Explain the settings, which stand in [tool.trainlint] of a pyproject.toml or in a trainlint.toml."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("key", nargs="?", metavar="KEY", help="the setting to explain (default: list all)")
    parser.add_argument("--output-format", choices=("text", "json"), default="text", help="how to print them")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of a settings file")


def run(options: argparse.Namespace) -> int:
    """Print one setting, all of them, or the schema."""
    if options.schema:
        write([as_json(schema())], sys.stdout)
        return CLEAN
    if options.key is not None and options.key not in SETTINGS:
        known = did_you_mean(options.key, SETTINGS) or "; `trainlint config` lists all"
        raise UsageError(f"unknown setting `{options.key}`{known}")
    if options.output_format == "json":
        about = [_object(key) for key in ([options.key] if options.key else SETTINGS)]
        write([as_json(about[0] if options.key else about)], sys.stdout)
    elif options.key:
        write([_explained(options.key)], sys.stdout)
    else:
        width = max(map(len, SETTINGS))
        write((f"{key:<{width}}  {setting.meaning}\n" for key, setting in SETTINGS.items()), sys.stdout)
    return CLEAN


def _object(key: str) -> dict[str, Any]:
    setting = SETTINGS[key]
    return {
        "key": key,
        "meaning": setting.meaning,
        "type": setting.kind.text,
        "default": default_of(key),
        "example": setting.example,
    }


def _explained(key: str) -> str:
    setting, default = SETTINGS[key], default_of(key)
    return (
        f"{setting.meaning}\n\n"
        f"Type: {setting.kind.text}\n"
        f"Default: {'none' if default is None else toml(default)}\n"
        f"Example:\n\n"
        f"    [tool.trainlint]\n"
        f"    {key} = {toml(setting.example)}\n"
    )


def default_of(key: str) -> Any:
    """The default of a setting as a settings file would have it."""
    return shown(Settings(root=Path()), key)


# --- Settings in force ------------------------------------------------------------------------------------------------


def in_force(settings: Settings) -> str:
    """The settings in force, in the syntax of a settings file; what is selected is spelt out."""
    from trainlint.checks import catalogue

    infos = catalogue()
    enabled = enabled_codes(settings.selections, infos)
    lines = [f"# {settings.source or 'No settings file'}, and the command line"]
    lines += ["select = [", *(f'    "{info.code}",  # {info.name}' for info in infos if info.code in enabled), "]"]
    lines += [
        f"{key} = {toml(value)}"
        for key in SETTINGS
        if key not in ("select", "extend-select", "ignore") and (value := shown(settings, key)) is not None
    ]
    return "\n".join(lines) + "\n"


def toml(value: object) -> str:
    """A value in the syntax of TOML, on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- The schema -------------------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """The JSON schema of `[tool.trainlint]`, and of a `trainlint.toml`, in the draft that SchemaStore asks for."""
    from trainlint.checks import catalogue

    infos = catalogue()
    codes = {info.code for info in infos}
    prefixes = {code[:length] for code in codes for length in (2, 3, 4)}
    known = ["ALL", *sorted(codes | prefixes), *sorted(info.name for info in infos)]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://json.schemastore.org/trainlint.json",
        "title": "Settings of trainlint",
        "type": "object",
        "additionalProperties": False,
        "properties": {key: {**setting.kind.schema, **_annotations(key)} for key, setting in sorted(SETTINGS.items())},
        "definitions": {
            "rule": {
                "description": "a code, the beginning of codes, a name, or ALL",
                # What editors offer; plugins have rules of their own.
                "anyOf": [{"enum": known}, {"type": "string"}],
            }
        },
    }


def _annotations(key: str) -> dict[str, Any]:
    setting, default = SETTINGS[key], default_of(key)
    about: dict[str, Any] = {"description": setting.meaning, "examples": [setting.example]}
    return about if default is None else {**about, "default": default}


def as_json(value: object) -> str:
    """A value as JSON for people and programs."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
