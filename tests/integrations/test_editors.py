"""What docs/editors.md says of the lines that trainlint prints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trainlint.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "editors.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_vs_codes_pattern_finds_all_in_the_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    folder = "examples/digits"
    main([folder, "--quiet"])
    lines = capsys.readouterr().out.splitlines()
    main([folder, "--quiet", "--output-format", "json"])
    expected = json.loads(capsys.readouterr().out)
    tasks, _ = map(json.loads, blocks("json"))
    pattern = tasks["tasks"][0]["problemMatcher"]["pattern"]
    found = [re.fullmatch(pattern["regexp"], line) for line in lines]
    assert len(lines) == len(expected) > 0
    for match, finding in zip(found, expected, strict=True):
        assert match is not None
        groups = {name: match[group] for name, group in pattern.items() if name != "regexp"}
        assert (groups["file"], int(groups["line"]), int(groups["column"]), groups["code"], groups["message"]) == (
            *(finding[key] for key in ("filename", "line", "column", "code", "message")),
        )


def test_the_commands_are_there() -> None:
    """Every way that the page starts trainlint in is one that it takes."""
    starts = {*re.findall(r'"(trainlint [^"]+)"', PAGE), *re.findall(r"`(trainlint [^`]+)`", PAGE)}
    assert "trainlint lsp" in starts
    for start in starts:
        name, *arguments = start.split()
        command = [sys.executable, "-m", name, *(a for a in arguments if a != "."), "--help"]
        assert subprocess.run(command, check=False, cwd=ROOT, capture_output=True).returncode == 0
