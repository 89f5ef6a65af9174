"""The example project has the mistakes that it shows, its corrected twin has none, and both run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainlint.config import Configuration
from trainlint.discovery import discover
from trainlint.engine import check

EXAMPLES = Path(__file__).parents[1] / "examples"

MISTAKES = {
    "data.py": {
        "TL401": "images = (images - images.mean()) / images.std()",
        "TL403": '"train": DataLoader(train_set, batch_size=config.batch_size),',
    },
    "engine.py": {
        "TL201": "optimizer.step()",
        "TL206": "total += loss",
        "TL301": "predicted = model(images).argmax(dim=1)",
    },
    "losses.py": {
        "TL101": "return self.cross_entropy(outputs, labels) + self.unlikelihood * unlikelihood",
        "TL501": "unlikelihood = -(wrong * torch.log(1 - outputs)).sum(dim=1).mean()",
    },
}


def found(project: Path) -> list[tuple[str, str, str]]:
    """File, code and line of code of each finding in a project."""
    findings = check(discover([str(project)], Configuration(isolated=True))).findings
    return [
        (Path(f.filename).name, f.code, Path(f.filename).read_text("utf-8").splitlines()[f.span.line - 1].strip())
        for f in findings
    ]


def test_the_example_has_just_its_mistakes() -> None:
    expected = [(name, code, line) for name, lines in MISTAKES.items() for code, line in lines.items()]
    assert sorted(found(EXAMPLES / "digits")) == sorted(expected)


def test_the_corrected_example_is_clean() -> None:
    assert found(EXAMPLES / "digits_fixed") == []


def test_both_have_the_same_files() -> None:
    names, fixed = ({path.name for path in (EXAMPLES / name).glob("*.py")} for name in ("digits", "digits_fixed"))
    assert names == fixed
    assert names >= MISTAKES.keys()


def test_the_table_of_mistakes_names_each() -> None:
    table = (EXAMPLES / "README.md").read_text("utf-8")
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ") and "[TL" in line]
    listed = {(row[0].lstrip("| "), row[2][1:6]) for row in rows}
    assert listed == {(name, code) for name, lines in MISTAKES.items() for code in lines}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "digits_fixed"])
def test_the_example_runs(name: str, tmp_path: Path) -> None:
    for script in ("draw.py", "train.py"):
        options = ["--epochs", "1"] if script == "train.py" else []
        command = [sys.executable, "-B", str(EXAMPLES / name / script), *options]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("epoch  1  loss ")
