from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from trainlint.checks import catalogue
from trainlint.config import Configuration, Overrides, Selection, UsageError, enabled_codes, load_settings
from trainlint.findings import Severity


@dataclass(frozen=True)
class Info:
    code: str
    name: str
    default: bool = True
    severity: Severity = Severity.ERROR


CATALOGUE = [
    Info("TL000", "unreadable-file"),
    Info("TL001", "unused-suppression"),
    Info("TL002", "internal-error"),
    Info("TL101", "softmax-before-cross-entropy"),
    Info("TL102", "sigmoid-before-bce-with-logits"),
    Info("TL118", "hand-written-loss", default=False),
    Info("TL301", "missing-eval-mode"),
]


def enabled(*selections: Selection) -> str:
    """The enabled codes but those that need not be selected."""
    codes = enabled_codes(selections, CATALOGUE)  # type: ignore[arg-type]
    return " ".join(sorted(codes - {"TL000", "TL002"}))


def test_without_a_selection_the_default_rules_are_on() -> None:
    assert enabled() == "TL001 TL101 TL102 TL301"


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(select=("TL1",)), "TL101 TL102 TL118"),
        (Selection(select=("tl101",)), "TL101"),
        (Selection(select=("missing-eval-mode",)), "TL301"),
        (Selection(select=("ALL",)), "TL001 TL101 TL102 TL118 TL301"),
        (Selection(select=()), ""),
        (Selection(extend_select=("TL118",)), "TL001 TL101 TL102 TL118 TL301"),
        (Selection(ignore=("TL1",)), "TL001 TL301"),
        (Selection(select=("ALL",), ignore=("TL1", "TL0")), "TL301"),
        # The more specific selector wins, and of two that are alike the one that ignores.
        (Selection(select=("TL101",), ignore=("TL1",)), "TL101"),
        (Selection(select=("TL1",), ignore=("TL101",)), "TL102 TL118"),
        (Selection(select=("TL101",), ignore=("softmax-before-cross-entropy",)), ""),
        (Selection(extend_select=("TL101",), ignore=("ALL",)), "TL101"),
    ],
)
def test_selection(selection: Selection, expected: str) -> None:
    assert enabled(selection) == expected


def test_a_later_layer_changes_what_an_earlier_one_left() -> None:
    written = Selection(select=("TL1",), ignore=("TL101",))
    assert enabled(written, Selection(ignore=("TL118",))) == "TL102"
    assert enabled(written, Selection(extend_select=("TL301",))) == "TL102 TL118 TL301"
    assert enabled(written, Selection(select=("TL101",))) == "TL101"


def test_an_unreadable_file_need_not_be_selected_and_can_be_ignored_but_our_failures_cannot() -> None:
    assert {"TL000", "TL002"} <= enabled_codes([Selection(select=("TL101",))], CATALOGUE)  # type: ignore[arg-type]
    codes = enabled_codes([Selection(ignore=("TL000", "TL002"))], CATALOGUE)  # type: ignore[arg-type]
    assert "TL000" not in codes
    assert "TL002" in codes


@pytest.mark.parametrize(
    ("selector", "nearest"),
    [
        ("TL1010", "TL101"),
        ("TL3O1", "TL301"),
        ("mising-eval-mode", "missing-eval-mode"),
        ("missing_eval_mode", "missing-eval-mode"),
    ],
)
def test_an_unknown_selector_is_an_error_that_names_the_nearest(selector: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"unknown rule `{selector}`; did you mean `{nearest}`"):
        enabled(Selection(ignore=(selector,)))


def test_a_selector_like_no_other_gets_no_hint() -> None:
    with pytest.raises(UsageError) as caught:
        enabled(Selection(select=("qqqqqqqq",)))
    assert str(caught.value) == "unknown rule `qqqqqqqq`; `trainlint rules` lists all"


def test_the_nearest_settings_file_wins(write) -> None:
    root = write(
        {
            "trainlint.toml": 'output-format = "json"',
            "a/pyproject.toml": '[tool.trainlint]\noutput-format = "full"',
            "a/b/pyproject.toml": "[project]\nname = 'without-our-table'",
            "c/trainlint.toml": 'ignore = ["TL1"]',
            "c/pyproject.toml": '[tool.trainlint]\nignore = ["TL2"]',
        }
    )
    configuration = Configuration()
    assert configuration.for_folder(root).output_format == "json"
    assert configuration.for_folder(root / "a").output_format == "full"
    assert configuration.for_folder(root / "a" / "b").output_format == "full"
    # One file holds: nothing is inherited, and `trainlint.toml` comes before `pyproject.toml`.
    assert configuration.for_folder(root / "c").output_format == "concise"
    assert configuration.for_folder(root / "c").selections[0].ignore == ("TL1",)


def test_a_named_file_and_isolation_replace_the_search(write) -> None:
    root = write({"trainlint.toml": 'output-format = "json"', "other.toml": 'output-format = "full"'})
    assert Configuration(isolated=True).for_folder(root).output_format == "concise"
    assert Configuration(config=root / "other.toml").for_folder(root).output_format == "full"


def test_the_command_line_comes_last(write) -> None:
    root = write({"trainlint.toml": 'output-format = "json"\nselect = ["TL1"]\nforce-exclude = true'})
    settings = Configuration(Overrides(Selection(ignore=("TL101",)), values={"output_format": "full"})).for_folder(root)
    assert settings.output_format == "full"
    assert settings.force_exclude
    assert enabled(*settings.selections) == "TL102 TL118"


def test_all_settings_are_read(write) -> None:
    root = write(
        {
            "trainlint.toml": """
                select = ["TL1"]
                extend-select = ["TL118"]
                ignore = ["TL102"]
                exclude = ["legacy/"]
                respect-gitignore = false
                force-exclude = true
                output-format = "full"
                [per-file-ignores]
                "tests/**" = ["TL4"]
            """
        }
    )
    settings = load_settings(root / "trainlint.toml")
    assert settings is not None
    assert settings.selections == (Selection(("TL1",), ("TL118",), ("TL102",)),)
    assert [patterns.lines for patterns in settings.exclude] == [("legacy/",)]
    assert [(patterns.lines, codes) for patterns, codes in settings.per_file_ignores] == [(("tests/**",), ("TL4",))]
    assert (settings.respect_gitignore, settings.force_exclude, settings.output_format) == (False, True, "full")
    assert settings.root == root


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selct = []", "unknown key `selct`; did you mean `select`?"),
        ("per_file_ignores = {}", "unknown key `per_file_ignores`; did you mean `per-file-ignores`?"),
        ('select = "TL1"', "`select` must be a list of strings"),
        ("ignore = [1]", "`ignore` must be a list of strings"),
        ('force-exclude = "yes"', "`force-exclude` must be true or false"),
        ("fix = 1", "`fix` must be true or false"),
        ('output-format = "xml"', '`output-format` must be one of "azure", "concise", '),
        ('per-file-ignores = { "a.py" = "TL1" }', "`per-file-ignores` must be a table of lists"),
        ("per-file-ignores = []", "`per-file-ignores` must be a table of lists"),
        ("select = [", "is not valid TOML"),
    ],
)
def test_a_mistake_in_the_settings_is_told(write, text: str, message: str) -> None:
    path = write({"trainlint.toml": text}) / "trainlint.toml"
    with pytest.raises(UsageError) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_settings_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "trainlint.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not valid TOML"):
        load_settings(tmp_path / "trainlint.toml")


@pytest.mark.parametrize("text", ["[tool]\ntrainlint = 3", "tool.trainlint = []"])
def test_a_table_that_is_none(write, text: str) -> None:
    root = write({"pyproject.toml": text})
    with pytest.raises(UsageError, match="must be a table"):
        load_settings(root / "pyproject.toml")


def test_a_broken_pyproject_that_is_not_ours_does_not_matter(write) -> None:
    root = write({"pyproject.toml": "[project\n"})
    assert load_settings(root / "pyproject.toml") is None


def test_a_named_settings_file_must_exist_and_be_ours(write) -> None:
    root = write({"pyproject.toml": "[project]\n"})
    with pytest.raises(UsageError, match="cannot read the settings file"):
        Configuration(config=root / "missing.toml")
    with pytest.raises(UsageError, match=r"has no table \[tool.trainlint\]"):
        Configuration(config=root / "pyproject.toml")


def test_rules_of_a_live_run_may_stand_in_the_settings() -> None:
    infos = catalogue()
    default = enabled_codes([], infos)
    assert enabled_codes([Selection(select=("TR4", "TR101"), ignore=("TR202",))], infos) == default
    assert enabled_codes([Selection(select=("TR4", "TL101"))], infos) == {"TL000", "TL002", "TL101"}
    with pytest.raises(UsageError, match="unknown rule `TL999`"):
        enabled_codes([Selection(select=("TL999",))], infos)
