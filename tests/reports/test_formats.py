"""Each format as its reader takes it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest
from reports.support import ACROSS, ALL, GONE, HOSTILE, IN_CELL, OF_A_RUN, TEXTS, TRAIN, WITHIN, edited, rendered

from trainlint import fixing
from trainlint.findings import Finding, Judgement, Span
from trainlint.reports import OUTPUT_FORMATS, renderer
from trainlint.reports.places import CHECKOUTS, checkout, relative, utf8_column, utf16_column
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style


@pytest.fixture(autouse=True)
def no_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No job of a CI system, whose checkout would count, and a working folder of the test's own."""
    for name in CHECKOUTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


# --- All of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_every_format_can_be_written_whatever_was_found(output_format: str) -> None:
    for findings in ((), *((finding,) for finding in ALL), ALL):
        rendered(output_format, findings).encode("utf-8", "backslashreplace")


@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_every_format_tells_code_and_message(output_format: str) -> None:
    text = rendered(output_format, [OF_A_RUN])
    assert "XY101" in text
    assert "the loss rises" in text


@pytest.mark.parametrize("output_format", ["azure", "concise", "github", "json-lines", "pylint"])
def test_a_finding_is_a_line(output_format: str) -> None:
    lines = rendered(output_format).split("\n")
    assert len(lines) == len(ALL) + 1
    assert lines[-1] == ""
    assert rendered(output_format, ()) == ""


@pytest.mark.parametrize("output_format", ["gitlab", "json", "rdjson", "sarif"])
def test_a_document_is_json_in_ascii(output_format: str) -> None:
    for findings in ((), ALL):
        text = rendered(output_format, findings)
        assert text.isascii()
        json.loads(text)


# --- Places -----------------------------------------------------------------------------------------------------------


def test_paths_are_relative_to_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert relative("a/b.py", checkout()) == "a/b.py"
    assert relative("../c.py", checkout()) == (tmp_path / "c.py").as_posix()
    for name in CHECKOUTS:
        folder = checkout({name: str(tmp_path)})
        assert relative("a/b.py", folder) == "sub/a/b.py"
        assert relative(str(tmp_path / "x" / ".." / "c.py"), folder) == "c.py"


def test_columns_in_other_units() -> None:
    line = "a" + "é" + "あ" + "𝛼" + "b"
    assert [utf8_column(line, column) for column in range(1, 7)] == [1, 2, 4, 7, 11, 12]
    assert [utf16_column(line, column) for column in range(1, 7)] == [1, 2, 3, 4, 6, 7]
    assert utf8_column(None, 9) == utf16_column(None, 9) == 9


def test_columns_are_those_that_the_encodings_give() -> None:
    line = TRAIN.split("\n")[3]
    for column in range(1, len(line) + 2):
        assert utf8_column(line, column) == 1 + len(line[: column - 1].encode("utf-8"))
        assert utf16_column(line, column) == 1 + len(line[: column - 1].encode("utf-16-le")) // 2


# --- github, azure ----------------------------------------------------------------------------------------------------


def read_github(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as GitHub's runner reads it: at the second `::` the message begins, at commas the properties
    end, and only then escapes are undone, the percent sign last."""
    _, head, message = line.split("::", 2)
    command, _, properties = head.partition(" ")

    def plain(text: str, escapes: str) -> str:
        for char in escapes:
            text = text.replace(f"%{ord(char):02X}", char)
        return text

    pairs = (item.split("=", 1) for item in properties.split(","))
    return command, {key: plain(value, "\r\n:,%") for key, value in pairs}, plain(message, "\r\n%")


def test_github_reads_commands() -> None:
    across, within, in_cell, of_a_run, nasty, gone = map(read_github, rendered("github").splitlines())
    assert across == (
        "error",
        {
            "title": "trainlint TL101 (softmax-before-cross-entropy)",
            "file": "train.py",
            "line": "4",
            "endLine": "4",
            "col": "31",
            "endColumn": "34",
        },
        f"train.py:4:31: TL101 {ACROSS.message}\nlib/model.py:2:12: softmax",
    )
    assert within[0] == "warning"
    assert within[2] == "train.py:4:15: TL206 100% of it is kept"
    assert (in_cell[0], in_cell[1].keys()) == ("notice", {"title", "file"})
    assert in_cell[2].startswith("n.ipynb:cell 1:2:8: TL301")
    assert of_a_run[1].keys() == {"title", "file"}
    assert nasty[1]["file"] == Path(HOSTILE).absolute().relative_to(Path.cwd()).as_posix()
    assert nasty[2].split("\n")[0].endswith("TL999 ::error::x]]>  ##vso[task.complete]<b>%0A; ")
    assert gone[1]["line"] == "3"


def test_github_gets_no_columns_of_a_place_that_spans_lines() -> None:
    _, properties, _ = read_github(rendered("github", [replace(ACROSS, span=Span(4, 8, 5, 3))]))
    assert properties.keys() == {"title", "file", "line", "endLine"}


def test_github_finds_the_file_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path.parent))
    assert read_github(rendered("github", [ACROSS]))[1]["file"] == f"{tmp_path.name}/train.py"


def read_azure(line: str) -> tuple[dict[str, str], str]:
    """A logging command as the agent of Azure Pipelines reads it."""
    match = re.fullmatch(r"##vso\[task\.logissue ([^\]]*)\](.*)", line)
    assert match is not None

    def plain(text: str) -> str:
        for escaped, char in (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%")):
            text = text.replace(escaped, char)
        return text

    pairs = (item.split("=", 1) for item in match[1].split(";") if item)
    return {key: plain(value) for key, value in pairs}, plain(match[2])


def test_azure_reads_commands(tmp_path: Path) -> None:
    across, within, in_cell, of_a_run, nasty, _ = map(read_azure, rendered("azure").splitlines())
    assert across[0] == {
        "type": "error",
        "sourcepath": str(tmp_path / "train.py"),
        "linenumber": "4",
        "columnnumber": "31",
        "code": "TL101",
    }
    assert (within[0]["type"], in_cell[0]["type"]) == ("warning", "warning")
    assert within[1] == "train.py:4:15: TL206 100% of it is kept"
    assert in_cell[0].keys() == of_a_run[0].keys() == {"type", "sourcepath", "code"}
    assert in_cell[1].startswith("n.ipynb:cell 1:2:8: TL301")
    assert nasty[0]["sourcepath"] == str(tmp_path / HOSTILE)
    assert nasty[1].endswith("TL999 ::error::x]]>  ##vso[task.complete]<b>%0A; ")


# --- gitlab -----------------------------------------------------------------------------------------------------------


def test_gitlab_reads_a_list_of_issues() -> None:
    issues = json.loads(rendered("gitlab"))
    assert len(issues) == len(ALL)
    assert issues[0] | {"fingerprint": ""} == {
        "check_name": "TL101",
        "description": "TL101 `cross_entropy` gets probabilities (softmax at lib/model.py:2)",
        "severity": "major",
        "fingerprint": "",
        "location": {
            "path": "train.py",
            "positions": {"begin": {"line": 4, "column": 31}, "end": {"line": 4, "column": 34}},
        },
    }
    assert [issue["severity"] for issue in issues[:3]] == ["major", "minor", "info"]
    assert issues[2]["description"] == "TL301 cell 1: it is evaluated"
    for issue in issues[2:4]:
        assert issue["location"]["positions"]["begin"] == {"line": 1, "column": 1}
    assert json.loads(rendered("gitlab", ())) == []


def fingerprints(text: str, *findings: Finding) -> list[str]:
    report = "".join(renderer("gitlab")(findings, Sources({"train.py": text}), Style()))
    return [issue["fingerprint"] for issue in json.loads(report)]


def test_a_fingerprint_is_unique_and_stays_when_lines_move() -> None:
    # On lines 5 and 6 stands the same text.
    found = [replace(ACROSS, span=Span(line, 1, line, 2)) for line in (4, 5, 6)]
    found += [replace(found[0], code="TL102"), replace(found[1], filename="other.py")]
    before = fingerprints(TRAIN, *found)
    assert len(set(before)) == len(found)

    moved = [replace(finding, span=Span(finding.span.line + 2, 5, finding.span.line + 2, 6)) for finding in found[:3]]
    indented = "\n\n" + TRAIN.replace("loss =", "    loss =")
    assert fingerprints(indented, *moved) == before[:3]

    changed = TRAIN.replace("out, y", "out, z")
    assert [new == old for new, old in zip(fingerprints(changed, *found), before, strict=True)][:3] == [
        False,
        True,
        True,
    ]

    assert [fingerprints(TRAIN, finding) for finding in (found[3], found[4])] == [[name] for name in before[3:]]


def test_a_fingerprint_is_the_same_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    names = fingerprints("", GONE)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert fingerprints("", replace(GONE, filename="../gone.py")) == names
    assert fingerprints("", replace(GONE, filename=str(tmp_path / "gone.py"))) == names
    assert fingerprints("", GONE) != names


def test_without_the_line_a_fingerprint_comes_of_the_message() -> None:
    late = replace(GONE, message="softmax at line 90", span=Span(90, 1, 90, 2))
    early = replace(GONE, message="softmax at line 7", span=Span(7, 1, 7, 2))
    assert fingerprints("", late) == fingerprints("", early)
    assert fingerprints("", late) != fingerprints("", replace(late, message="sigmoid at line 90"))


# --- junit, pylint, grouped, json-lines -------------------------------------------------------------------------------


def test_a_reader_of_junit_sees_failed_tests() -> None:
    report = junitparser.JUnitXml.fromstring(rendered("junit").encode("utf-8"))
    assert (report.tests, report.failures, report.errors) == (6, 6, 0)
    train, *others = report
    assert (train.name, train.tests, train.failures) == ("train.py", 2, 2)
    case = next(iter(train))
    assert (case.name, case.classname) == ("TL101 softmax-before-cross-entropy", "train.py")
    (failure,) = case.result
    assert (failure.type, failure.message) == ("error", ACROSS.message)
    assert "4 | loss = {'𝛼é': F.cross_entropy(out, y)}\n" in failure.text
    assert "--> lib/model.py:2:12: softmax\n" in failure.text
    (notebook,) = others[0]
    assert notebook.result[0].text.startswith("n.ipynb:cell 1:2:8: TL301")


def test_a_reader_of_junit_tells_tests_apart() -> None:
    again = [ACROSS, replace(ACROSS, span=Span(5, 1, 5, 2))]
    (suite,) = junitparser.JUnitXml.fromstring(rendered("junit", again))
    assert [case.name for case in suite] == [
        "TL101 softmax-before-cross-entropy",
        "TL101 softmax-before-cross-entropy (2)",
    ]


def test_a_reader_of_junit_sees_that_all_is_well() -> None:
    report = junitparser.JUnitXml.fromstring(rendered("junit", ()))
    assert (report.tests, report.failures) == (1, 0)
    (suite,) = report
    assert all(case.is_passed for case in suite)


def test_pylint_is_what_its_readers_match() -> None:
    found = [re.fullmatch(r"(.*?):(\d+): \[(\w+)\] (.*)", line) for line in rendered("pylint").splitlines()]
    fields = [match.groups() for match in found if match is not None]
    assert len(fields) == len(ALL)
    assert fields[0] == ("train.py", "4", "TL101", ACROSS.message)
    assert fields[2] == ("n.ipynb", "2", "TL301", "cell 1: it is evaluated")
    assert fields[3] == ("runs/metrics.csv", "1", "XY101", "the loss rises")


def test_grouped_names_each_file_once() -> None:
    assert rendered("grouped", [ACROSS, WITHIN, IN_CELL, OF_A_RUN]) == (
        "train.py:\n"
        "  4:31  TL101  `cross_entropy` gets probabilities (softmax at lib/model.py:2)\n"
        "  4:15  TL206  100% of it is kept\n"
        "\n"
        "n.ipynb:\n"
        "  cell 1:2:8  TL301  it is evaluated\n"
        "\n"
        "runs/metrics.csv:\n"
        "    XY101  the loss rises\n"
        "\n"
    )


def test_a_finding_without_a_place_is_told_of_its_file() -> None:
    assert rendered("concise", [OF_A_RUN]) == "runs/metrics.csv: XY101 the loss rises\n"
    assert rendered("full", [OF_A_RUN]) == "runs/metrics.csv: XY101 the loss rises\n\n"


@pytest.mark.parametrize("output_format", [name for name in OUTPUT_FORMATS if not name.startswith("json")])
def test_what_a_run_says_is_told_behind_the_message(output_format: str) -> None:
    def told(judgement: Judgement | None, *counterparts: str) -> str:
        return rendered(output_format, [replace(GONE, run=judgement, counterparts=counterparts)])

    assert "confirmed by a run: TR202, TR204" in told(Judgement.CONFIRMED, "TR202", "TR204")
    assert "refuted by a run" in told(Judgement.REFUTED)
    assert "not reached by the run" in told(Judgement.NOT_REACHED)
    assert "in the source: TL101, TL102, TL103 and more" in told(None, "TL101", "TL102", "TL103", "TL104")
    assert "in the source: TL101" in told(None, "TL101")
    assert not re.search("by (a|the) run", told(Judgement.NOT_JUDGED))


def test_json_has_what_a_run_says_in_fields() -> None:
    (row,) = json.loads(rendered("json", [replace(GONE, run=Judgement.CONFIRMED, counterparts=("TR202",))]))
    assert (row["message"], row["run"], row["counterparts"]) == ("gone", "confirmed", ["TR202"])
    (row,) = json.loads(rendered("json", [GONE]))
    assert (row["run"], row["counterparts"]) == (None, [])


def test_json_lines_are_the_objects_of_json() -> None:
    assert [json.loads(line) for line in rendered("json-lines").splitlines()] == json.loads(rendered("json"))


# --- rdjson -----------------------------------------------------------------------------------------------------------


def closed(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with these members and no other: reviewdog passes over what it does not know."""
    properties = required | optional
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 1}
POSITION = closed({"line": COUNT, "column": COUNT}, {})
RANGE = closed({"start": POSITION, "end": POSITION}, {})
LOCATION = closed({"path": TEXT}, {"range": RANGE})
# The messages of reviewdog's `reviewdog.proto`, under the names that they have there.
DIAGNOSTIC_RESULT = closed(
    {
        "source": closed({"name": TEXT}, {"url": TEXT}),
        "diagnostics": {
            "type": "array",
            "items": closed(
                {"message": TEXT, "location": LOCATION, "severity": {"enum": ["ERROR", "WARNING", "INFO"]}},
                {
                    "code": closed({"value": TEXT}, {"url": TEXT}),
                    "original_output": TEXT,
                    "suggestions": {"type": "array", "items": closed({"range": RANGE, "text": TEXT}, {})},
                    "related_locations": {
                        "type": "array",
                        "items": closed({"message": TEXT, "location": LOCATION}, {}),
                    },
                },
            ),
        },
    },
    {},
)


def test_reviewdog_reads_diagnostics() -> None:
    report = json.loads(rendered("rdjson"))
    jsonschema.validate(report, DIAGNOSTIC_RESULT)
    across, within, in_cell, of_a_run, *_ = report["diagnostics"]
    # Columns are bytes: there are a character of four and one of two in front.
    assert across["location"] == {
        "path": "train.py",
        "range": {"start": {"line": 4, "column": 35}, "end": {"line": 4, "column": 38}},
    }
    assert (across["severity"], within["severity"], in_cell["severity"]) == ("ERROR", "WARNING", "INFO")
    assert across["related_locations"][0]["location"]["path"] == "lib/model.py"
    assert in_cell["location"] == {"path": "n.ipynb"}
    assert in_cell["message"] == "cell 1: it is evaluated"
    assert of_a_run["location"] == {"path": "runs/metrics.csv"}


def test_reviewdog_gets_only_whole_fixes_as_suggestions() -> None:
    across, within, in_cell, *_ = json.loads(rendered("rdjson"))["diagnostics"]
    assert "suggestions" not in across
    assert "suggestions" not in in_cell
    edits = [
        (*(item["range"][end][key] for end in ("start", "end") for key in ("line", "column")), item["text"])
        for item in within["suggestions"]
    ]
    assert edited(TRAIN, edits, "utf-8", 1) == fixing.applied(TEXTS, [WITHIN])["train.py"]
