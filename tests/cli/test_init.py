"""`trainlint init`: adds what is missing, and loses nothing."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tomli
import yaml
from cli.support import MISTAKE, Run
from hypothesis import given
from hypothesis import strategies as st

from trainlint.cli.init import _with_hook
from trainlint.config import load_settings

HOOKS = ".pre-commit-config.yaml"
OURS = {
    "repo": "local",
    "hooks": [
        {
            "id": "trainlint",
            "name": "trainlint",
            "entry": "trainlint check --force-exclude",
            "language": "system",
            "types_or": ["python", "jupyter"],
            "require_serial": True,
        }
    ],
}


def loses_nothing(old: str, new: str) -> bool:
    """Whether all lines are still there, in their order."""
    lines = iter(new.splitlines())
    return all(line in lines for line in old.splitlines())


def test_an_empty_folder(project, run: Run) -> None:
    root = project({"train.py": MISTAKE})
    outcome = run("init")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == f"trainlint.toml: written\n{HOOKS}: written\n"
    assert load_settings(root / "trainlint.toml")
    assert yaml.safe_load((root / HOOKS).read_text()) == {"repos": [OURS]}
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    assert run("init").out == (
        f"trainlint.toml: has it already, left as it is\n{HOOKS}: has it already, left as it is\n"
    )
    assert {path.name: path.read_bytes() for path in root.iterdir()} == before
    assert run().status == 1


@pytest.mark.parametrize(
    "old",
    [
        "",
        "[project]\nname = 'x'  # a comment",
        '[tool.ruff]\nselect = ["E"]\n\n# the end\n',
        "[tool]\n",
        "[project]\r\na = 1\r\n",
    ],
)
def test_a_pyproject_is_extended(project, run: Run, old: str) -> None:
    root = project({"pyproject.toml": old})
    assert run("init").out.startswith("pyproject.toml: extended\n")
    new = (root / "pyproject.toml").read_bytes().decode()
    assert new.startswith(old)
    assert load_settings(root / "pyproject.toml")
    content = tomli.loads(new)
    content["tool"].pop("trainlint")
    assert {"tool": {}, **tomli.loads(old)} == {"tool": {}, **content}
    assert ("\r\n" in old) == ("\n" not in new.replace("\r\n", ""))


@pytest.mark.parametrize(
    "old", ["[tool.trainlint]\n", "[tool.trainlint.per-file-ignores]\n", "tool.trainlint.fix = true\n"]
)
def test_settings_that_are_there_stay(project, run: Run, old: str) -> None:
    root = project({"pyproject.toml": old})
    assert run("init").out.startswith("pyproject.toml: has it already")
    assert (root / "pyproject.toml").read_text() == old
    assert not (root / "trainlint.toml").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pyproject.toml", "[project", "pyproject.toml is not valid TOML"),
        ("pyproject.toml", "tool = { ruff = { fix = true } }\n", "cannot be extended; write trainlint.toml yourself"),
        (HOOKS, "repos: [{repo: local, hooks: []}]\n", "cannot be extended; add this to its `repos` yourself"),
        (HOOKS, "repos:\n  key: value\n", "cannot be extended"),
        (HOOKS, "[]\n", "cannot be extended"),
    ],
)
def test_what_cannot_be_extended_is_told_and_nothing_is_written(
    project, run: Run, name: str, text: str, message: str
) -> None:
    root = project({name: text})
    outcome = run("init")
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert [(path.name, path.read_text()) for path in root.iterdir()] == [(name, text)]


OTHER = (
    "repo: https://example.org/hooks\n{0}  rev: v1  # pinned\n{0}  hooks:\n{0}    - id: one\n{0}      args: [--fix]\n"
)


@pytest.mark.parametrize(
    "old",
    [
        "repos:\n- " + OTHER.format(""),
        "repos:\n  - " + OTHER.format("  "),
        "# first\nfail_fast: true\n\nrepos: # all\n\n    # one\n    -   " + OTHER.format("      "),
        "repos:\n- " + OTHER.format("") + "      # - id: two\n\n# settings\nci:\n  skip: [one]\n",
        "repos:\n- " + OTHER.format("") + "- " + OTHER.format("") + "ci:\n  skip: [one]\n",
        "repos:\n- " + OTHER.format("").rstrip(),
        ("repos:\n- " + OTHER.format("")).replace("\n", "\r\n"),
        "repos: []\n",
        "repos: []  # none yet\nfail_fast: true\n",
        "fail_fast: true",
        "---\n# nothing\n",
        "repos:\n- repo: local\n  hooks:\n  - id: a\n    entry: >\n      x\n      - y\nexclude: |\n  (?x)^(\n  a)\n",
    ],
)
def test_the_hook_is_added(project, run: Run, old: str) -> None:
    root = project({HOOKS: old})
    assert run("init").out.endswith(f"{HOOKS}: extended\n")
    text = (root / HOOKS).read_bytes().decode()
    before: dict[str, Any] = yaml.safe_load(old) or {}
    assert yaml.safe_load(text) == {**before, "repos": [*before.get("repos", []), OURS]}
    assert loses_nothing(old.replace(" []", ""), text)
    assert ("\r\n" in old) == ("\n" not in text.replace("\r\n", ""))


WORDS = st.text("ab-:#'\" \n", max_size=8)
CONFIGURATIONS = st.fixed_dictionaries(
    {
        "repos": st.lists(
            st.fixed_dictionaries(
                {
                    "repo": WORDS,
                    "hooks": st.lists(st.fixed_dictionaries({"id": WORDS, "args": st.lists(WORDS)}), max_size=2),
                }
            ),
            max_size=3,
        )
    },
    optional={"ci": st.dictionaries(WORDS, WORDS, max_size=2), "exclude": WORDS},
)


@given(CONFIGURATIONS, st.booleans(), st.sampled_from([2, 4]))
def test_any_layout_is_extended_or_refused(before: dict[str, Any], sort: bool, indent: int) -> None:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.chdir(folder)
        Path(HOOKS).write_text(yaml.dump(before, sort_keys=sort, indent=indent, width=20), "utf-8")
        _, text = _with_hook()
        assert text is not None
        assert yaml.safe_load(text) == {**before, "repos": [*before["repos"], OURS]}
