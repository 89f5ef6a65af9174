"""What the documentation says is so: its tables, its terminal output, its settings and its links."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from trainlint.checks import catalogue
from trainlint.cli import main
from trainlint.config import SETTINGS, codes_of, load_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language in the README."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_current(tables: ModuleType) -> None:
    stale = [
        path.name for path, renew in tables.TABLES.items() if renew(path.read_text("utf-8")) != path.read_text("utf-8")
    ]
    assert not stale, "run docs/tables.py"


def test_stale_tables_are_renewed(tables: ModuleType) -> None:
    assert tables.with_rules("a <!-- rules -->\nold\n<!-- end of rules --> b").count("\n| [TL") == len(catalogue())
    (row,) = tables.with_tips(checklist(tables, last="old")).splitlines()[-1:]
    assert "TL101" in row


def test_tables_that_cannot_be_written_are_refused(tables: ModuleType) -> None:
    with pytest.raises(ValueError, match="markers"):
        tables.with_rules("no markers")
    with pytest.raises(ValueError, match="markers"):
        tables.with_formats("no markers")
    with pytest.raises(ValueError, match="not listed: I19"):
        tables.with_tips(checklist(tables, last="old").rpartition("| I19")[0])


def test_every_tip_whose_fault_shows_in_the_source_is_found(tables: ModuleType) -> None:
    coverage = tables.coverage()
    assert len(coverage) > 40
    assert not [tip for tip, _, rules in coverage if not rules]


def checklist(tables: ModuleType, last: str) -> str:
    """A checklist of all tips that the pages cite, I19 at its end."""
    tips = sorted(tables.rules_by_tip(), key=lambda tip: tip == "I19")
    return "".join(f"| {tip} | a tip | {last} |\n" for tip in tips)


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.partition("\n")[0])
def test_terminal_output_is_real(
    block: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, _, output = block.partition("\n")
    monkeypatch.chdir(ROOT)
    main(shlex.split(command.removeprefix("$ trainlint")))
    assert "".join(capsys.readouterr()) == output


def test_the_readme_shows_output() -> None:
    assert len(blocks("console")) == 2


def test_settings_are_accepted_and_complete(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    path = tmp_path / "pyproject.toml"
    path.write_text(text, "utf-8")
    settings = load_settings(path)
    assert settings is not None
    (selection,) = settings.selections
    ignored = [selector for _, selectors in settings.per_file_ignores for selector in selectors]
    for selector in (*(selection.select or ()), *selection.extend_select, *selection.ignore, *ignored):
        assert codes_of(selector, catalogue())

    assert {line.split(" = ")[0] for line in text.splitlines()[1:]} == set(SETTINGS)


def test_the_commands_for_a_fresh_machine() -> None:
    install, test = [line for block in blocks("sh") for line in block.splitlines() if "-m venv" in line]
    assert install.endswith(".venv/bin/trainlint examples/digits")
    # The continuous integration looks for this line.
    assert re.fullmatch(r"python -m venv \.venv && .*\.venv/bin/pytest", test)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert not [link for link in local if not (document.parent / link).exists()]


def test_the_changelog_has_this_version() -> None:
    from trainlint import __version__

    assert f"\n## [{__version__}] - " in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_table_of_precision_is_what_the_judgements_say() -> None:
    spec = importlib.util.spec_from_file_location("precision", ROOT / "benchmarks" / "precision.py")
    assert spec is not None
    assert spec.loader is not None
    precision = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(precision)
    assert precision.document() == (ROOT / "docs" / "precision.md").read_text("utf-8")
    judged = precision.judgements()
    assert {judgement.repository for judgement in judged} <= set(precision.repositories())
    assert {judgement.verdict for judgement in judged} <= set(precision.VERDICTS)
