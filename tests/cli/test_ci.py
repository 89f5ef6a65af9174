"""What `docs/ci.md`, `action.yml` and `.pre-commit-hooks.yaml` tell CI systems to do, and whether it works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.support import FIXABLE, MISTAKE, Run
from pre_commit.clientlib import load_config

from trainlint import cli

ROOT = Path(__file__).parents[2]

# What a block of the document is, by the file name in its first line, and the schema of such files.
SCHEMAS = {
    ".github/workflows/": "vendor.github-workflows",
    ".gitlab-ci.yml": "vendor.gitlab-ci",
    "azure-pipelines.yml": "vendor.azure-pipelines",
    ".pre-commit-config.yaml": "",
}


def snippets() -> list[tuple[str, str]]:
    """File name and text of the document's blocks."""
    text = (ROOT / "docs" / "ci.md").read_text("utf-8")
    return re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def values(item: Any, *keys: str) -> Iterator[Any]:
    """The values of some keys, at any depth."""
    if isinstance(item, dict):
        for key, value in item.items():
            if key in keys:
                yield value
            yield from values(value, *keys)
    elif isinstance(item, list):
        for value in item:
            yield from values(value, *keys)


def parsed(arguments: list[str]) -> Any:
    """What our command line makes of arguments; it leaves with 2 on those that it does not know."""
    given = arguments if arguments[:1] and arguments[0] in cli.COMMANDS else ["check", *arguments]
    return cli.parser(given[:1]).parse_args(given)


def validate(path: Path, schema: str) -> None:
    # Azure's own schema escapes more in its patterns than ECMAScript's unicode mode allows.
    options = ["--regex-variant", "nonunicode", "--builtin-schema", schema]
    command = [sys.executable, "-m", "check_jsonschema", *options, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_document_has_all_that_is_tested_here() -> None:
    blocks = (ROOT / "docs" / "ci.md").read_text("utf-8").count("```yaml")
    assert len(snippets()) == blocks >= 6
    assert all(any(name.startswith(known) for name, _ in snippets()) for known in SCHEMAS)


@pytest.mark.parametrize(("name", "text"), snippets(), ids=lambda value: value if "\n" not in value else "")
def test_a_snippet_is_valid(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / Path(name).name
    path.write_text(text, "utf-8")
    if (schema := next(schema for known, schema in SCHEMAS.items() if name.startswith(known))) != "":
        validate(path, schema)
    else:
        load_config(str(path))


def commands() -> list[list[str]]:
    """The arguments of trainlint in every script of the snippets."""
    found = []
    for _, text in snippets():
        for script in values(yaml.safe_load(text), "run", "script"):
            for line in script if isinstance(script, list) else script.splitlines():
                words = [shlex.split(part) for part in line.split("|")]
                found += [part[1:] for part in words if part[0] == "trainlint"]
    return found


def test_our_command_line_knows_the_options_of_the_snippets() -> None:
    assert {parsed(command).output_format for command in commands()} >= {"sarif", "html", "gitlab", "azure", "rdjson"}


def test_hooks_and_action_inputs_of_the_snippets_exist() -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    used, asked = [], []
    for _, text in snippets():
        document = yaml.safe_load(text)
        used += [hook for found in values(document, "hooks") for hook in found]
        for steps in values(document, "steps"):
            asked += [step["with"] for step in steps if "/trainlint@" in step.get("uses", "")]
    assert {hook["id"] for hook in used} == set(hooks)
    for hook in used:
        entry = shlex.split(hooks[hook["id"]]["entry"])
        assert entry[0] == "trainlint"
        parsed([*entry[1:], *hook.get("args", ())])
    assert asked
    for given in asked:
        assert set(given) <= set(action["inputs"])
        parsed(shlex.split(given.get("args", "")))


# --- The hook that mends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "statuses"),
    [
        (["--fix"], [0, 0]),
        (["--fix", "--exit-non-zero-on-fix"], [1, 0]),
        (["--fix", "--exit-non-zero-on-fix", "--fail-on", "error"], [1, 0]),
        (["--fix", "--exit-non-zero-on-fix", "--exit-zero"], [0, 0]),
        (["--diff", "--exit-non-zero-on-fix"], [1, 1]),
        (["--exit-non-zero-on-fix"], [1, 1]),
    ],
)
def test_exit_statuses_when_something_is_fixed(project, run: Run, arguments: list[str], statuses: list[int]) -> None:
    project({"train.py": FIXABLE})
    assert [run(*arguments).status for _ in statuses] == statuses


# --- The action -------------------------------------------------------------------------------------------------------


def test_the_action_follows_its_schema() -> None:
    validate(ROOT / "action.yml", "vendor.github-actions")


@pytest.mark.slow
def test_the_action_installs_and_annotates(tmp_path: Path) -> None:
    """Its steps, run as GitHub's runner runs those of a composite action."""
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    inputs = {name: given["default"] for name, given in action["inputs"].items()}
    inputs |= {"paths": "'a folder' train.py", "args": "--select TL101 --exit-zero"}
    for name in ("train.py", "a folder/b.py", "unasked.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(MISTAKE)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    kept |= {
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_WORKSPACE": str(tmp_path),
        "RUNNER_TEMP": str(tmp_path / "runner"),
    }

    def steps() -> Iterator[str]:
        for step in action["runs"]["steps"]:
            given = {
                key: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: inputs[match[1]], value)
                for key, value in step["env"].items()
            }
            assert "${{" not in step["run"]  # what an input says must not become a command
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            result = subprocess.run(
                command, cwd=tmp_path, env=kept | given, capture_output=True, text=True, check=False, timeout=600
            )
            assert result.returncode == 0, result.stdout + result.stderr
            yield result.stdout

    *_, output = steps()
    assert [re.match(r"::error title=[^,]*,file=([^,]*),line=6,", line)[1] for line in output.splitlines()] == [
        "a folder/b.py",
        "train.py",
    ]
