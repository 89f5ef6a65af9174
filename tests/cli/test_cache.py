"""Results do not depend on caches, processes or order; and whatever happens to a cache, it is never wrong."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cli.support import MISTAKE, Run

from trainlint import analysis, engine
from trainlint.analysis import File, Job
from trainlint.cache import Cache
from trainlint.config import Configuration
from trainlint.discovery import discover
from trainlint.engine import Result
from trainlint.findings import Finding
from trainlint.imports import digest
from trainlint.semantics import project as project_module

ROOT = Path(__file__).parents[2]

MODEL = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, x):
        return {returned}
"""
WRONG, RIGHT = (MODEL.format(returned=code) for code in ("torch.softmax(self.layer(x), 1)", "self.layer(x)"))
TRAIN = """\
import torch
import torch.nn.functional as F
from {model} import Net

net = Net()
optimizer = torch.optim.SGD(net.parameters(), 0.1)
for x, y in torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.rand(64, 8), torch.zeros(64).long())):
    optimizer.zero_grad()
    F.cross_entropy(net(x), y).backward()
    optimizer.step()
"""


def many(number: int) -> dict[str, str]:
    """Small projects: every other one with a mistake that comes of a file and one that it imports."""
    files = {}
    for i in range(number):
        files[f"p{i}/model{i}.py"] = (WRONG, RIGHT)[i % 2]
        files[f"p{i}/train{i}.py"] = TRAIN.format(model=f"model{i}")
    return files


def check(*paths: str, cache: Path | None = None, jobs: int = 1) -> Result:
    targets = discover(paths or ["."], Configuration(isolated=True))
    return engine.check(targets, cache=Cache(cache), jobs=jobs)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are really checked, in this process."""
    names: list[str] = []

    def perform(job: Job, *more: Any) -> analysis.Outcome:
        names.extend(file.filename for file in job.files)
        return analysis.perform(job, *more)

    monkeypatch.setattr("trainlint.engine.perform", perform)
    return names


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any work is enough for several processes."""
    monkeypatch.setattr("trainlint.engine.WORTH_PROCESSES", 0)


def entries(cache: Path) -> list[Path]:
    """The files of a cache but for the marks in its folder."""
    return sorted(path for path in cache.glob("*/**/*") if path.is_file())


# --- The same results -------------------------------------------------------------------------------------------------


def all_ways(cache: Path) -> Iterator[tuple[str, Result]]:
    """Checks of the folder at hand."""
    folders = sorted(path.name for path in Path.cwd().iterdir() if path.is_dir() or path.suffix == ".py")
    random.Random(3).shuffle(folders)
    yield "without a cache", check()
    yield "cold", check(cache=cache)
    yield "warm", check(cache=cache)
    yield "in another order", check(*folders)
    yield "in another order, warm", check(*folders, cache=cache)
    yield "in three processes", check(jobs=3)
    yield "in two processes, cold", check(cache=cache / "other", jobs=2)


@pytest.mark.usefixtures("several")
def test_all_ways_give_the_same(project, tmp_path_factory: pytest.TempPathFactory) -> None:
    project({**many(4), "unrelated.py": MISTAKE, "broken.py": "import torch\n)", "quiet.py": MISTAKE + "# noqa\n"})
    results = dict(all_ways(tmp_path_factory.mktemp("cache")))
    assert len(results["without a cache"].findings) == 5
    for way, result in results.items():
        assert result == results["without a cache"], way


@pytest.mark.slow
@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("tree", ["fixtures", "examples", "benchmarks", "rules"])
def test_all_ways_give_the_same_on_our_own_trees(
    tree: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tree == "rules":  # the code on some of the pages, as the projects that it is
        from trainlint.testing import read

        for page in sorted((ROOT / tree).glob("*.md"))[::15]:
            for case in read(page).cases:
                case.write(tmp_path / case.name)
    else:
        shutil.copytree(ROOT / tree, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    results = dict(all_ways(tmp_path_factory.mktemp("cache")))
    for way, result in results.items():
        assert result == results["without a cache"], way


@pytest.mark.slow
def test_hashes_of_strings_decide_nothing(project, tmp_path_factory: pytest.TempPathFactory) -> None:
    shutil.copytree(ROOT / "fixtures", project({}), dirs_exist_ok=True)
    command = [sys.executable, "-m", "trainlint", "--no-cache", "--select=ALL", "--output-format=json", "-q"]
    outputs = {
        subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=False,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


# --- What a result depends on -----------------------------------------------------------------------------------------


def test_only_what_depends_on_an_edit_is_checked_again(project, tmp_path: Path, checked: list[str]) -> None:
    root = project(many(3))
    before = check(cache=tmp_path / "cache")
    assert [finding.filename for finding in before.findings] == ["p0/train0.py", "p2/train2.py"]
    checked.clear()
    assert check(cache=tmp_path / "cache") == before
    assert checked == []
    (root / "p2/model2.py").write_text(RIGHT)
    assert check(cache=tmp_path / "cache").findings == before.findings[:1]
    assert sorted(checked) == ["p2/model2.py", "p2/train2.py"]


SHARED = """\
import torch
from torch import nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)
        self.spare = nn.Linear(8, 3)

    def forward(self, x):
        return self.layer(x)

def loss_of(scores, labels):
    return F.cross_entropy(scores, labels)

def rescaled(scores, labels):
    return F.cross_entropy(torch.softmax(scores, 1), labels)
"""
USER = """\
import torch
import shared

net = shared.Net()
print(shared.loss_of({scores}, torch.zeros(64).long()))
"""
PLAIN, SOFTMAX = "net(torch.rand(64, 8))", "torch.softmax(net(torch.rand(64, 8)), 1)"


@pytest.fixture
def run_programs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose programs are really run, and of the functions run alone, in this process."""
    names: list[str] = []
    check_files = project_module.check_files
    run_alone = project_module.Project.run_alone

    def noting_alone(project: Any, interp: Any, function: Any) -> None:
        names.append(function.name)
        run_alone(project, interp, function)

    monkeypatch.setattr(project_module.Project, "run_alone", noting_alone)

    def noting(files: Sequence[tuple[Path, str]], *arguments: Any, seam: Any, **more: Any) -> list[Finding]:
        programs = seam.programs or [path for path, _ in files]
        names.extend(path.name for path in programs)
        return check_files(files, *arguments, seam=seam, **more)

    monkeypatch.setattr(project_module, "check_files", noting)
    return names


def shared_by(a: str, b: str) -> dict[str, str]:
    return {"shared.py": SHARED, "a.py": USER.format(scores=a), "b.py": USER.format(scores=b)}


def test_programs_that_share_a_file_are_checked_by_themselves(project, tmp_path: Path, run_programs: list[str]) -> None:
    root = project(shared_by(SOFTMAX, PLAIN))
    cache = tmp_path / "cache"
    run_alone: set[str] = set()

    def checked_again() -> tuple[list[str], list[str]]:
        run_programs.clear()
        run_alone.clear()
        result = check(cache=cache)
        programs = sorted(name for name in run_programs if name.endswith(".py"))
        run_alone.update(name for name in run_programs if not name.endswith(".py"))
        assert result == check()
        return programs, [f"{finding.filename}:{finding.code}" for finding in result.findings]

    unused, called, alone = "shared.py:TL603", "shared.py:TL101", "shared.py:TL101"
    assert checked_again() == (["a.py", "b.py", "shared.py"], [unused, called, alone])
    # An edit of one program concerns nobody else.
    (root / "b.py").write_text(USER.format(scores=PLAIN) + "print(net)\n")
    assert checked_again() == (["b.py"], [unused, called, alone])
    # What the other found in the shared file goes with the reason.
    (root / "a.py").write_text(USER.format(scores=PLAIN))
    assert checked_again() == (["a.py"], [unused, alone])
    # Whoever uses the layer, no part says that nobody does.
    (root / "b.py").write_text(USER.format(scores=PLAIN) + "print(net.spare(torch.rand(64, 8)))\n")
    assert checked_again() == (["b.py"], [alone])
    # A function that a program calls now is not run by itself any more.
    (root / "b.py").write_text(USER.format(scores=PLAIN) + "print(shared.rescaled(torch.rand(64, 3), 1))\n")
    assert checked_again() == (["b.py", "shared.py"], [unused, alone])
    assert "rescaled" not in run_alone
    (root / "b.py").write_text(USER.format(scores=PLAIN))
    assert checked_again() == (["b.py", "shared.py"], [unused, alone])
    # What all import concerns all.
    (root / "shared.py").write_text(SHARED.replace("        self.spare = nn.Linear(8, 3)\n", ""))
    assert checked_again() == (["a.py", "b.py", "shared.py"], [alone])


OTHER = """\
import torch
import tools
import elsewhere.spare


class Other(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.spare = torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.spare(x)


print("no spare one", Other()(torch.rand(2, 8)))
"""


def test_a_name_of_a_part_that_never_saw_the_class(project) -> None:
    """What it is there, in an import or in a sentence uses no layer of another class."""
    files = {"shared.py": SHARED, "a.py": "import tools\n" + USER.format(scores=PLAIN), "b.py": OTHER, "tools.py": ""}
    root = project(files)
    assert [finding.code for finding in check().findings] == ["TL603", "TL101"]
    (root / "b.py").write_text(OTHER + "tools.net.spare(torch.rand(64, 8))\n")
    assert [finding.code for finding in check().findings] == ["TL101"]


def test_a_comment_in_a_shared_file_is_of_use_if_any_program_needs_it(project, tmp_path: Path) -> None:
    files = shared_by(SOFTMAX, PLAIN)
    files["shared.py"] = SHARED.replace(
        "(scores, labels)\n\ndef res", "(scores, labels)  # trainlint: ignore[TL101]\n\ndef res"
    )
    root = project(files)
    codes = [finding.code for finding in check(cache=tmp_path / "cache").findings]
    assert codes == ["TL603", "TL101"]
    (root / "a.py").write_text(USER.format(scores=PLAIN))
    codes = [finding.code for finding in check(cache=tmp_path / "cache").findings]
    assert codes == ["TL603", "TL001", "TL101"]


def edits(root: Path, number: int) -> Iterator[str]:
    """Edits of files below a folder, one after the other, each of which changes what runs; their names."""
    chance = random.Random(5)
    files = sorted(path for path in root.rglob("*.py") if path.stat().st_size)
    for _ in range(number):
        path = chance.choice(files)
        lines = path.read_text("utf-8").splitlines(keepends=True)
        calls = [
            n for n, line in enumerate(lines) if line.startswith("    ") and line.rstrip().endswith(")") and "(" in line
        ]
        if calls:
            line = chance.choice(calls)
            indent = lines[line][: len(lines[line]) - len(lines[line].lstrip())]
            lines[line] = f"{indent}pass\n"
            path.write_text("".join(lines), "utf-8")
            yield str(path.relative_to(root))


@pytest.mark.slow
@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("tree", ["fixtures", "examples"])
def test_after_any_edit_the_result_is_that_of_a_whole_run(
    tree: str, tmp_path: Path, tmp_path_factory, monkeypatch
) -> None:
    shutil.copytree(ROOT / tree, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    cache = tmp_path_factory.mktemp("cache")
    check(cache=cache)
    for edited in edits(tmp_path, 25):
        assert check(cache=cache, jobs=2) == check(), edited


def test_an_edit_counts_though_size_and_time_stay(project, tmp_path: Path) -> None:
    root = project({"train.py": MISTAKE})
    assert len(check(cache=tmp_path / "cache").findings) == 1
    status = (root / "train.py").stat()
    (root / "train.py").write_text(
        MISTAKE.replace("softmax(", "sigmoid(").replace("cross_entropy(p", "mse_loss     (p")
    )
    os.utime(root / "train.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (root / "train.py").stat().st_size == status.st_size
    assert check(cache=tmp_path / "cache").findings == ()


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "lib/net.py").write_text(RIGHT), id="a file read along"),
        pytest.param(lambda root: (root / "lib/net.py").unlink(), id="one that is gone"),
        pytest.param(lambda root: (root / "app/net.py").write_text(RIGHT), id="one that is nearer"),
        pytest.param(lambda root: (root / "app/.git").mkdir(), id="the root of the project"),
    ],
)
def test_what_lies_around_is_part_of_a_result(project, tmp_path: Path, change: Change, checked: list[str]) -> None:
    """Only `app` is checked; what it imports lies outside."""
    root = project({"app/train.py": TRAIN.format(model="net"), "lib/net.py": WRONG, ".git/HEAD": "", "src/a.py": ""})
    (root / "lib/net.py").rename(root / "net.py")
    (root / "lib").rmdir()
    (root / "lib").symlink_to(root)
    cache = tmp_path / "cache"
    assert [finding.code for finding in check("app", cache=cache).findings] == ["TL101"]
    checked.clear()
    assert [finding.code for finding in check("app", cache=cache).findings] == ["TL101"]
    assert checked == []
    change(root)
    assert check("app", cache=cache) == check("app")
    assert check("app", cache=cache).findings == ()


def test_the_versions_a_project_asks_for_are_part_of_a_result(project, tmp_path: Path) -> None:
    root = project({"load.py": 'import torch\n\nprint(torch.load("model.pt"))\n', "requirements.txt": "torch>=2.6\n"})
    assert check(cache=tmp_path / "cache").findings == ()
    (root / "requirements.txt").write_text("torch==2.0\n")
    assert [finding.code for finding in check(cache=tmp_path / "cache").findings] == ["TL807"]


def test_settings_are_part_of_a_result(project, run: Run) -> None:
    root = project({"train.py": MISTAKE, "pyproject.toml": "[tool.trainlint]\n"})
    for _ in range(2):
        assert "TL101" in run().out
        assert run("--ignore", "TL101").out == ""
    (root / "pyproject.toml").write_text('[tool.trainlint.per-file-ignores]\n"train.py" = ["TL1"]\n')
    assert run().out == ""
    (root / "pyproject.toml").write_text('[tool.trainlint.per-file-ignores]\n"train.py" = ["TL2"]\n')
    assert "TL101" in run().out
    (root / "pyproject.toml").write_text('[tool.trainlint.per-file-ignores]\n"train.py" = ["TX2"]\n')
    assert "unknown rule `TX2`" in run().err


def test_a_new_version_starts_afresh(project, tmp_path: Path, checked: list[str], monkeypatch) -> None:
    project({"train.py": MISTAKE})
    check(cache=tmp_path / "cache")
    monkeypatch.setattr("trainlint.cache._version", lambda: f"trainlint-99.0-{'0' * 16}")
    assert len(check(cache=tmp_path / "cache").findings) == 1
    assert checked == ["train.py"] * 2


# --- What may happen to a cache ---------------------------------------------------------------------------------------


def spoilt(text: bytes) -> Iterator[bytes]:
    """What may become of a file."""
    yield b""
    yield text[: len(text) // 2]
    yield text.replace(b"TL", b"XX").replace(b"true", b"null")
    yield b"\xff" + text
    for other in ([], {}, None, {"files": None}, [[1, 2]], {"0": [1]}):
        body = json.dumps(other).encode()
        yield digest(body).encode() + b"\n" + body


def test_a_broken_cache_is_none(project, tmp_path: Path) -> None:
    project({**many(1), "other.py": "import os\n"})
    expected = check()
    check(cache=tmp_path / "cache")
    whole = {path: path.read_bytes() for path in entries(tmp_path / "cache")}
    assert len(whole) == 3  # the rules, what is known of the files, and one unit
    for path, text in whole.items():
        for broken in spoilt(text):
            path.write_bytes(broken)
            assert check(cache=tmp_path / "cache") == expected
            assert check(cache=tmp_path / "cache") == expected


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_disk_that_takes_nothing_only_costs_the_cache(project, tmp_path: Path, error: int, monkeypatch) -> None:
    project(many(2))
    expected = check()

    def write_some(path: Path, data: bytes) -> int:
        with open(path, "wb") as file:
            file.write(data[:10])
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(Path, "write_bytes", write_some)
    assert check(cache=tmp_path / "cache") == expected
    assert entries(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_made(project, run: Run) -> None:
    root = project({"train.py": MISTAKE})
    for folder in (root / "train.py", root / "train.py/below", Path("/dev/null/x")):
        outcome = run("--cache-dir", str(folder))
        assert outcome.status == 1
        assert "TL101" in outcome.out
    assert (root / "train.py").read_text() == MISTAKE


def start(*arguments: str, **more: Any) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "trainlint", "--isolated", "--output-format=json", "-q", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


def until(condition: Callable[[], object], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 7, 20])
def test_a_run_that_is_killed_leaves_whole_entries(project, tmp_path: Path, number: int) -> None:
    project(many(40))
    process = start("--cache-dir", "cache")
    assert until(lambda: len(entries(tmp_path / "cache")) >= number or process.poll() is not None)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert check(cache=tmp_path / "cache") == check()


@pytest.mark.slow
def test_two_runs_at_once(project, tmp_path: Path) -> None:
    project(many(30))
    processes = [start("--cache-dir", "cache") for _ in range(3)]
    outputs = {process.communicate()[0] for process in processes}
    assert len(outputs) == 1
    assert len(json.loads(outputs.pop())) == 15
    assert check(cache=tmp_path / "cache") == check()
    assert [path for path in entries(tmp_path / "cache") if path.suffix == ".tmp"] == []


def test_entries_that_nobody_uses_go(project, tmp_path: Path) -> None:
    root = project(many(2))
    cache = tmp_path / "cache"
    check(cache=cache)
    old = [path for path in entries(cache) if path.parent.parent.parent == cache]
    for path in old:
        os.utime(path, (0, 0))
    check("p0", cache=cache)  # uses one as part of no other: its folder in common is another
    (root / "p1/model1.py").write_text(WRONG)
    check("p1", cache=cache)
    assert not any(path.exists() for path in old)
    assert not any(path.parent.exists() and not any(path.parent.iterdir()) for path in old)


def test_entries_in_use_stay(project, tmp_path: Path) -> None:
    root = project(many(2))
    cache = tmp_path / "cache"
    check(cache=cache)
    old = [path for path in entries(cache) if path.parent.parent.parent == cache]
    for path in old:
        os.utime(path, (0, 0))
    check(cache=cache)
    (root / "p1/model1.py").write_text(WRONG)
    check(cache=cache)
    assert all(path.exists() for path in old)


# --- The command ------------------------------------------------------------------------------------------------------


def test_where_it_lies(project, run: Run) -> None:
    root = project({"train.py": MISTAKE, "pyproject.toml": "[tool.trainlint]\n", "below/a.txt": ""})
    run("--no-cache")
    assert not (root / ".trainlint_cache").exists()
    run()
    assert (root / ".trainlint_cache/.gitignore").read_text() == "*\n"
    assert (
        (root / ".trainlint_cache/CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    )
    (root / "pyproject.toml").write_text('[tool.trainlint]\ncache-dir = "build/kept"\n')
    run()
    assert entries(root / "build/kept")


def test_clean(project, run: Run) -> None:
    root = project(
        {"train.py": MISTAKE, "pyproject.toml": '[tool.trainlint]\ncache-dir = "kept"\n', "kept/mine.txt": ""}
    )
    run()
    assert entries(root / "kept")
    outcome = run("clean")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", f"Removed {root / 'kept'}\n")
    assert sorted(path.name for path in (root / "kept").iterdir()) == ["mine.txt"]
    assert run("clean").err == f"There is no cache at {root / 'kept'}\n"
    run("--cache-dir", "other")
    run("clean", "--cache-dir", "other", "-q")
    assert not (root / "other").exists()


def test_a_warm_run_does_not_import_the_parser(project) -> None:
    project(
        {
            "train.py": MISTAKE,
            "trainlint.toml": 'extend-select = ["TL1"]\nper-file-ignores = { "tests/**" = ["TL2"] }\n',
        }
    )
    program = "import sys; from trainlint.cli import main; main(['-q']); print('libcst' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    cold, warm = (
        subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert cold.splitlines()[-1] == "True"
    assert warm == cold.replace("True", "False")


# --- Processes --------------------------------------------------------------------------------------------------------


class Deadly(str):
    """A name that ends the process that reads it."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        return os._exit, (3,)


def job_of(root: Path, names: Sequence[str], kind: type[str] = str) -> Job:
    codes = frozenset(["TL101"])
    return Job(tuple(File(kind(root / name), name, codes, False) for name in names), str(root), size=len(names))


def test_a_process_that_dies_costs_its_files_only(project) -> None:
    from trainlint.workers import perform_all

    root = project({"a.py": MISTAKE, "b.py": MISTAKE, "c.py": "", "d.py": "", "e.py": MISTAKE})
    jobs = [
        job_of(root, ["a.py"]),
        job_of(root, ["c.py", "d.py"], Deadly),
        job_of(root, ["b.py"]),
        job_of(root, ["e.py"]),
    ]
    found = [finding for _, outcome in perform_all(jobs, 2) for finding in outcome.findings]
    assert sorted((finding.filename, finding.code) for finding in found) == [
        *(("a.py", "TL101"), ("b.py", "TL101"), ("c.py", "TL002"), ("d.py", "TL002"), ("e.py", "TL101"))
    ]
    assert "the process that checked the file ended by itself (status 3)" in {finding.message for finding in found}


def test_what_cannot_be_checked_is_tried_again(project, tmp_path: Path, monkeypatch, checked: list[str]) -> None:
    project({"train.py": MISTAKE})
    monkeypatch.setattr("trainlint.engine.perform", lambda job, *_: analysis.failed(job, "no luck"))
    assert [finding.code for finding in check(cache=tmp_path / "cache").findings] == ["TL002"]
    monkeypatch.setattr("trainlint.engine.perform", analysis.perform)
    assert [finding.code for finding in check(cache=tmp_path / "cache").findings] == ["TL101"]


@pytest.mark.usefixtures("several")
def test_errors_of_usage_come_out_of_processes(project, run: Run) -> None:
    project(
        {
            **many(2),
            "trainlint.toml": '[[knowledge.api]]\ncalls = "lab.loss"\nlike = "lab.nothing"\n',
        }
    )
    outcome = run("-j2")
    assert outcome.status == 2
    assert "knowledge of an API like `lab.nothing`: that one is not known" in outcome.err


@pytest.mark.slow
def test_an_interrupt_ends_all_processes(project, tmp_path: Path) -> None:
    project({name: text + "\n" + "#" * 20_000 for name, text in many(40).items()})
    process = start("-j3", "--cache-dir", "cache", start_new_session=True)
    assert until(lambda: len(entries(tmp_path / "cache")) > 3)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"trainlint: interrupted\n")

    def is_over() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    assert until(is_over, 20)
