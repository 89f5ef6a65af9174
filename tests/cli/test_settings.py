"""One definition of the settings: the reader of settings files, the schema, and what the commands print agree."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest
import tomli
from cli.support import Run
from hypothesis import given
from hypothesis import strategies as st

from trainlint.cli.config import as_json, in_force, schema, toml
from trainlint.config import SETTINGS, Settings, UsageError, load_settings

VALIDATOR = jsonschema.Draft7Validator(schema())


def is_read(table: dict[str, Any]) -> bool:
    """Whether a settings file may say this."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trainlint.toml"
        path.write_text("".join(f"{toml(key)} = {toml(value)}\n" for key, value in table.items()), "utf-8")
        try:
            load_settings(path)
        except UsageError as error:
            if "not valid TOML" in str(error):
                raise
            return False
    return True


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
LEAF = st.booleans() | st.integers(-3, 3) | TEXT | st.sampled_from(["full", "TL1", "calls", "error"])
TABLE_KEYS = st.sampled_from(["api", "class", "harmless", "calls", "names", "like", "*.py"])
VALUES = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TABLE_KEYS, inner, max_size=3), max_leaves=6
)
EXAMPLES = st.sampled_from([setting.example for setting in SETTINGS.values()])


@given(st.dictionaries(st.sampled_from([*SETTINGS, "selct"]), VALUES | EXAMPLES, max_size=2))
def test_the_schema_accepts_what_is_read_and_nothing_else(table: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(table) == is_read(table)


@given(VALUES)
def test_values_survive_being_written(value: object) -> None:
    assert tomli.loads(f"x = {toml(value)}") == {"x": value}


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


@pytest.mark.parametrize("key", SETTINGS)
def test_examples_and_defaults_are_accepted(key: str, project, run: Run) -> None:
    assert VALIDATOR.is_valid({key: SETTINGS[key].example})
    assert is_read({key: SETTINGS[key].example})
    about = json.loads(run("config", key, "--output-format", "json").out)
    assert about["default"] is None or (
        VALIDATOR.is_valid({key: about["default"]}) and is_read({key: about["default"]})
    )


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"selct": []}, ""),
        ({"select": "TL1"}, "select"),
        ({"ignore": [1]}, "ignore/0"),
        ({"fix": 1}, "fix"),
        ({"output-format": "xml"}, "output-format"),
        ({"per-file-ignores": {"a.py": "TL1"}}, "per-file-ignores/a.py"),
        ({"knowledge": {"apis": []}}, "knowledge"),
        ({"knowledge": {"api": [{"like": "torch.log"}]}}, "knowledge/api/0"),
    ],
)
def test_the_schema_says_where_a_mistake_is(table: dict[str, Any], place: str) -> None:
    (error,) = VALIDATOR.iter_errors(table)
    assert "/".join(map(str, error.path)) == place


def test_the_schema_offers_rules() -> None:
    (offered, _) = schema()["definitions"]["rule"]["anyOf"]
    assert {"ALL", "TL", "TL1", "TL101", "softmax-before-cross-entropy"} <= set(offered["enum"])


def test_the_default_settings_in_force_are_the_default_settings(write) -> None:
    root = write({"trainlint.toml": in_force(Settings(root=Path()))})
    read = load_settings(root / "trainlint.toml")
    assert read is not None
    assert in_force(read).splitlines()[1:] == in_force(Settings(root=Path())).splitlines()[1:]


# --- trainlint config -------------------------------------------------------------------------------------------------


def test_all_settings_are_listed(run: Run) -> None:
    assert [line.split()[0] for line in run("config").out.splitlines()] == list(SETTINGS)
    assert [about["key"] for about in json.loads(run("config", "--output-format", "json").out)] == list(SETTINGS)


def test_a_setting_is_explained(run: Run) -> None:
    assert run("config", "output-format").out.startswith('how to print findings\n\nType: one of "azure", "concise"')
    assert "\nDefault: none\n" in run("config", "select").out
    assert run("config", "respect-gitignore").out.endswith(
        "Default: true\nExample:\n\n    [tool.trainlint]\n    respect-gitignore = false\n"
    )


def test_a_setting_that_is_not_there(run: Run) -> None:
    outcome = run("config", "per_file_ignore")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "trainlint: error: unknown setting `per_file_ignore`; did you mean `per-file-ignores`?\n"


def test_the_schema_is_printed(run: Run) -> None:
    assert run("config", "--schema").out == as_json(schema())
