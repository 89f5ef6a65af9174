"""The plugin in the real flake8, in a process of its own, as if both were installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import tomli
from cli.support import MISTAKE

ROOT = Path(__file__).resolve().parents[2]
FOUND = "train.py:6:28: TL101"

Done = subprocess.CompletedProcess[str]
Flake8 = Callable[..., Done]


@pytest.fixture
def flake8(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Flake8:
    """Runs flake8 in `tmp_path`, for our codes only, with the entry points of `pyproject.toml`."""
    points = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["flake8.extension"]
    site = tmp_path_factory.mktemp("site")
    info = site / "trainlint-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trainlint\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[flake8.extension]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    )

    def run(*arguments: str, stdin: str = "", select: str | None = "TL", python: Sequence[str] = ()) -> Done:
        path = os.pathsep.join(map(str, (site, ROOT)))
        chosen = [] if select is None else [f"--select={select}"]
        return subprocess.run(
            [sys.executable, *python, "-m", "flake8", "-j1", *chosen, *arguments],
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            input=stdin,
            capture_output=True,
            text=True,
        )

    return run


def codes(done: Done) -> list[str]:
    """Place and code of each line printed."""
    assert not done.stderr, done.stderr
    return [" ".join(line.split()[:2]) for line in done.stdout.splitlines()]


def test_flake8_lists_the_plugin(flake8: Flake8) -> None:
    assert "trainlint: " in flake8("--version").stdout


def test_place_code_and_message_are_those_of_the_command(flake8: Flake8, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('é', '🙂')\n" + MISTAKE.replace("return F", "print('🙂'); return F"))
    command = subprocess.run(
        [sys.executable, "-m", "trainlint", "--quiet", "--isolated", "train.py"],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert command.stdout.startswith("train.py:7:")
    done = flake8("train.py")
    assert (done.stdout, done.stderr, done.returncode) == (command.stdout, "", 1)


def test_it_speaks_unless_deselected(flake8: Flake8, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(MISTAKE)
    assert FOUND in codes(flake8("train.py", select=None))
    assert FOUND not in codes(flake8("--extend-ignore=TL1", "train.py", select=None))
    assert FOUND not in codes(flake8("train.py", select="E,W"))


def test_noqa_is_flake8s(flake8: Flake8, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(MISTAKE.replace("labels)\n", "labels)  # noqa: TL101\n"))
    assert codes(flake8("train.py")) == []
    assert codes(flake8("--disable-noqa", "train.py")) == [FOUND]


def test_comments_of_our_own_count(flake8: Flake8, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(MISTAKE.replace("labels)\n", "labels)  # trainlint: ignore[TL101]\n"))
    assert codes(flake8("--disable-noqa", "train.py")) == []


def test_a_suppression_that_only_the_project_needs_is_not_unused(flake8: Flake8, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import torch\n\nx = torch.ones(1)  # trainlint: ignore[TL101]\n")
    assert codes(flake8("train.py")) == []


def test_settings_of_the_files_folder(flake8: Flake8, tmp_path: Path) -> None:
    for name in ("checked", "ignored", "excluded", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.py").write_text(MISTAKE)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.trainlint]\nexclude = ["excluded/"]\nper-file-ignores = { "tests/**" = ["TL1"] }\n'
    )
    (tmp_path / "ignored" / "trainlint.toml").write_text('ignore = ["softmax-before-cross-entropy"]\n')
    assert codes(flake8(".")) == [f"./checked/{FOUND}"]


def test_what_the_baseline_knows_is_no_news(flake8: Flake8, tmp_path: Path) -> None:
    for name in ("old.py", "new.py"):
        (tmp_path / name).write_text(MISTAKE)
    (tmp_path / "trainlint.toml").write_text('baseline = "known.json"\n')
    (tmp_path / "known.json").write_text('{"old.py": {"TL101": ["x"]}}')
    assert codes(flake8(".")) == ["./new.py:6:28: TL101"]


def test_per_file_ignores_of_flake8(flake8: Flake8, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(MISTAKE)
    assert codes(flake8("--per-file-ignores=train.py:TL1", "train.py")) == []


def test_rules_that_are_off_by_default(flake8: Flake8, tmp_path: Path) -> None:
    """flake8 turns one on by naming it or its family; `TL` is what one writes to have the plugin at all."""
    (tmp_path / "train.py").write_text(
        "import torch\n\nloader = torch.utils.data.DataLoader([1, 2], shuffle=True)\nloss = torch.tensor(1.0)\n"
        "model = torch.nn.Linear(2, 2)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for x in loader:\n    optimizer.zero_grad()\n    model(x).sum().backward()\n    optimizer.step()\n"
        "    print(loss.item())\n    torch.cuda.empty_cache()\n"
    )
    assert codes(flake8("train.py", select="TL")) == []
    assert codes(flake8("train.py", select="TL9")) != []
    assert codes(flake8("--extend-select=TL9", "train.py", select=None)) != []


def test_the_project_around_a_file_is_known(flake8: Flake8, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.head = torch.nn.Linear(4, 2)\n\n"
        "    def forward(self, x):\n        return self.head(x).softmax(1)\n"
    )
    (tmp_path / "train.py").write_text(
        "import torch.nn.functional as F\n\nfrom model import Net\n\n\n"
        "def loss_of(x, y):\n    return F.cross_entropy(Net()(x), y)\n"
    )
    done = flake8("train.py")
    assert codes(done) == ["train.py:7:28: TL101"]
    assert "softmax at model.py:10" in done.stdout


def test_stdin(flake8: Flake8, tmp_path: Path) -> None:
    assert codes(flake8("-", stdin=MISTAKE)) == ["stdin:6:28: TL101"]
    assert codes(flake8("--stdin-display-name=train.py", "-", stdin=MISTAKE)) == [FOUND]
    (tmp_path / "trainlint.toml").write_text('per-file-ignores = { "train.py" = ["TL1"] }\n')
    assert codes(flake8("--stdin-display-name=train.py", "-", stdin=MISTAKE)) == []


def test_several_jobs_find_the_same(flake8: Flake8, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"train{number}.py").write_text(MISTAKE)
    alone = flake8(".")
    assert len(codes(alone)) == 4
    assert flake8("-j2", ".").stdout == alone.stdout


@pytest.mark.parametrize("jobs", ["-j1", "-j2"])
def test_a_mistake_in_the_settings_is_told(flake8: Flake8, tmp_path: Path, jobs: str) -> None:
    (tmp_path / "trainlint.toml").write_text('selct = ["TL1"]\n')
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(MISTAKE)
    done = flake8(jobs, ".")
    assert codes(done) == ["./a.py:1:1: TL000", "./b.py:1:1: TL000"]
    assert "unknown key `selct`; did you mean `select`?" in done.stdout


def test_crlf_tabs_and_byte_order_marks_keep_places(flake8: Flake8, tmp_path: Path) -> None:
    text = MISTAKE.replace("    ", "\t").replace("\n", "\r\n")
    (tmp_path / "train.py").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert codes(flake8("train.py")) == ["train.py:6:25: TL101"]


def test_files_without_training_code_do_not_import_the_parser(flake8: Flake8, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import json\n\nprint(json.dumps({}))\n")
    assert "libcst" not in flake8("train.py", python=("-X", "importtime")).stderr
    (tmp_path / "train.py").write_text(MISTAKE)
    assert "libcst" in flake8("train.py", python=("-X", "importtime")).stderr
