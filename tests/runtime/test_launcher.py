"""`trainlint run` runs a script just as Python does, and reports at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Write

ROOT = str(Path(__file__).parents[2])

# Prints all that a script can see of how it was started.
MIRROR = """\
import sys, __main__
print(sys.argv, __name__, __file__, __spec__ and __spec__.name, __package__, type(__loader__).__name__)
print(sys.path[0], __main__.__dict__ is globals(), sorted(globals()), "torch" in sys.modules)
print(sys.stdin.read(), file=sys.stderr)
"""

BY_HAND = """
import torch

model = torch.nn.Linear(4, 1)
for _ in range(3):
    model.zero_grad()
    model(torch.randn(16, 4)).pow(2).mean().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.01 * parameter.grad
"""

BAD = """\
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 2), nn.Softmax(dim=1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss()
for step in range(12):
    x = torch.randn(16, 4)
    loss = criterion(model(x), (x[:, 0] > 0).long()){comment}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("done", step)
"""


def python(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the interpreter in the working folder."""
    environment = {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    environment |= options.pop("env", {})  # type: ignore[arg-type]
    command = [sys.executable, *arguments]
    settled: dict[str, Any] = {"capture_output": True, "text": True, "env": environment}
    return subprocess.run(command, check=False, **settled, **options)  # type: ignore[call-overload, no-any-return]


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return python("-m", "trainlint", "run", *arguments, **options)


@pytest.mark.parametrize(
    "program",
    [
        ["sub/mirror.py"],
        ["package"],
        ["./sub/mirror.py", "--epochs", "3", "-m"],
        ["-m", "sub.mirror", "--help"],
        ["-m", "package"],
    ],
)
def test_a_script_sees_what_it_sees_under_python(project: Write, program: list[str]) -> None:
    project({"sub/mirror.py": MIRROR, "package/__init__.py": "", "package/__main__.py": MIRROR})
    plain, watched = python(*program, input="typed"), run("--quiet", *program, input="typed")
    assert watched.stdout == plain.stdout
    assert watched.stderr == plain.stderr
    assert watched.returncode == plain.returncode == 0


@pytest.mark.parametrize(
    "ending",
    [
        "sys.exit(3)",
        "sys.exit('a message')",
        "sys.exit()",
        "raise SystemExit(0)",
        "raise ValueError('theirs')",
        "1 / 0",
        "atexit.register(print, 'bye'); sys.exit(4)",
        "sys.excepthook = lambda kind, error, trace: print('hooked', kind, error); [][1]",
        "raise KeyboardInterrupt",
        "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
        "os._exit(5)",
        (
            "def f():\n    try:\n        {}['k']\n"
            "    except KeyError as error:\n        raise RuntimeError('from') from error\nf()"
        ),
        "this is no Python",
    ],
)
def test_a_script_ends_as_it_does_under_python(project: Write, ending: str) -> None:
    project({"end.py": f"import atexit, os, signal, sys, time\nprint('out')\n{ending}\n"})
    plain, watched = python("end.py"), run("--quiet", "end.py")
    assert (watched.stdout, watched.stderr, watched.returncode) == (plain.stdout, plain.stderr, plain.returncode)


def test_an_interrupt_from_outside(project: Write) -> None:
    project({"wait.py": "import time\nprint('ready', flush=True)\ntime.sleep(30)\n"})
    command = [sys.executable, "-m", "trainlint", "run", "wait.py"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in errors
    assert "trainlint/" not in errors


def test_findings_come_at_the_end_on_the_standard_error(project: Write) -> None:
    project({"bad.py": BAD.format(comment="")})
    watched = run("bad.py")
    assert watched.stdout == "done 11\n"
    assert watched.returncode == 0
    finding, summary = watched.stderr.splitlines()
    column = 12 if sys.version_info >= (3, 11) else 1
    assert finding.startswith(f"bad.py:10:{column}: TR202 `cross_entropy` gets probabilities")
    assert summary == "trainlint: 1 finding in 12 steps of training"


def test_comments_suppress(project: Write) -> None:
    project({"bad.py": BAD.format(comment="  # noqa: TR202")})
    assert run("bad.py").stderr == "trainlint: nothing found in 12 steps of training\n"


def test_settings_choose_and_rules_of_other_doors_are_passed_over(project: Write) -> None:
    project({"bad.py": BAD.format(comment=""), "trainlint.toml": 'select = ["TL1"]\nignore = ["loss-input-kind"]\n'})
    assert "nothing found" in run("bad.py").stderr
    assert "TR202" in run("--isolated", "bad.py").stderr


def test_a_file_and_the_exit_status(project: Write) -> None:
    folder = project({"bad.py": BAD.format(comment="")})
    watched = run("--output-format", "json", "--output-file", "run.json", "--fail-on", "error", "bad.py")
    assert watched.returncode == 1
    record = json.loads((folder / "run.json").read_text())
    (finding,) = record["findings"]
    assert (finding["code"], finding["filename"], finding["line"]) == ("TR202", "bad.py", 10)
    assert finding["counterparts"] == ["TL101"]
    assert (record["version"], record["steps"], record["known"], record["is_whole"]) == (1, 12, [], True)
    assert list(record["files"]) == ["bad.py"]
    assert watched.stderr.startswith("trainlint: 1 finding")


def test_a_baseline_hides_what_is_known(project: Write) -> None:
    source = {"other.py": {"TR411": ["a line"]}, "bad.py": {"TL101": ["a line"], "TR411": ["a line"]}}
    folder = project({"bad.py": BAD.format(comment=""), "known.json": json.dumps(source)})
    (folder / "trainlint.toml").write_text('baseline = "known.json"\n')
    assert run("bad.py").stderr.startswith("bad.py:10")
    told = "trainlint: nothing found in 12 steps of training\ntrainlint: The baseline knows 1 finding now.\n"
    assert run("--write-baseline", "bad.py").stderr == told
    known = {"TL101": ["a line"], "TR202": ["loss = criterion(model(x), (x[:, 0] > 0).long())"]}
    assert json.loads((folder / "known.json").read_text()) == {"other.py": source["other.py"], "bad.py": known}
    told = "trainlint: nothing found in 12 steps of training\ntrainlint: 1 finding known to the baseline.\n"
    assert run("--fail-on", "error", "bad.py").stderr == told
    assert "TR202" in run("--isolated", "bad.py").stderr
    run("--output-format", "json", "--output-file", "run.json", "--baseline", "known.json", "bad.py")
    record = json.loads((folder / "run.json").read_text())
    assert (record["findings"], [finding["code"] for finding in record["known"]]) == ([], ["TR202"])


def test_reports_go_where_they_were_asked_for(project: Write) -> None:
    folder = project({"away.py": "import os, torch\nos.mkdir('sub')\nos.chdir('sub')\n"})
    run("--output-file", "found.txt", "--baseline", "known.json", "--write-baseline", "away.py")
    assert (folder / "found.txt").read_text() == ""
    assert json.loads((folder / "known.json").read_text()) == {}


def test_watching_ends_after_the_steps_asked_for(project: Write) -> None:
    project({"bad.py": BAD.format(comment="")})
    assert run("--max-steps", "2", "bad.py").stderr == "trainlint: nothing found in 2 steps of training\n"


def test_what_was_seen_of_a_training_without_an_optimizer(project: Write) -> None:
    project({"by_hand.py": BY_HAND})
    assert run("by_hand.py").stderr == "trainlint: nothing found in 3 backward passes, and no step of an optimizer\n"


def test_only_the_first_rank_reports(project: Write) -> None:
    project({"bad.py": BAD.format(comment="")})
    assert run("bad.py", env={"RANK": "1", "WORLD_SIZE": "2"}).stderr == ""
    assert "on each of 2 ranks" in run("bad.py", env={"RANK": "0", "WORLD_SIZE": "2"}).stderr


def test_forked_processes_do_not_report(project: Write) -> None:
    forked = BAD.format(comment="").replace("for step", "import os\nchild = os.fork()\nfor step")
    project({"bad.py": forked + "if child:\n    os.waitpid(child, 0)\n"})
    watched = run("bad.py")
    assert watched.stdout == "done 11\n" * 2
    assert watched.stderr.count("TR202") == watched.stderr.count("trainlint:") == 1


def test_a_traceback_has_no_frames_of_ours(project: Write) -> None:
    project({"crash.py": "import torch\ntorch.nn.functional.mse_loss(torch.ones(2), torch.ones(3), reduction='x')\n"})
    plain, watched = (
        python("-W", "ignore", "crash.py"),
        python("-W", "ignore", "-m", "trainlint", "run", "-q", "crash.py"),
    )
    assert "Traceback" in plain.stderr
    assert watched.stderr == plain.stderr
    assert watched.returncode == 1


BARS = """\
import sys, time
import torch

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(30):
    optimizer.zero_grad()
    model(torch.randn(4, 2)).square().mean().backward()
    optimizer.step()
    print(f"\\r{step:3}|{'#' * step}", end="", file=sys.stderr, flush=True)
print(file=sys.stderr)
"""


def on_a_terminal(*command: str) -> str:
    """What a command writes to a terminal that it has to itself."""
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, *command], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = bytearray()
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # so Linux says that the other end is closed
            part = b""
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


def test_progress_is_in_the_title_and_leaves_bars_alone(project: Write) -> None:
    project({"bars.py": BARS})
    plain = on_a_terminal("bars.py")
    watched = on_a_terminal("-m", "trainlint", "run", "--every", "7", "bars.py")
    summary = "trainlint: nothing found in 30 steps of training\r\n"
    titles = re.findall(r"\x1b]2;([^\x07]*)\x07", watched)
    assert titles[0] == "trainlint: 10 steps"
    assert watched.count("\x1b[22;2t") == watched.count("\x1b[23;2t") == 1
    assert re.sub(r"\x1b]2;[^\x07]*\x07|\x1b\[2[23];2t", "", watched) == plain + summary
    assert on_a_terminal("-m", "trainlint", "run", "-q", "bars.py") == plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.py"], "cannot run missing.py: No such file"),
        (["-m", "no.such.module"], "cannot find the module no.such.module"),
        (["--select", "TR999", "x.py"], "unknown rule `TR999`"),
        (["--output-file", "no/such/folder.json", "x.py"], "cannot write to"),
        (["--report", "no/such/page.html", "x.py"], "cannot write to"),
        (
            ["--select", "TR411,TR601", "x.py"],
            "TR601 takes an experiment, which a run cannot make; see `trainlint preflight`",
        ),
        (["--extend-select", "batch-mixing", "x.py"], "batch-mixing takes an experiment"),
        (["--baseline", "none.json", "x.py"], "there is no baseline "),
        (["--write-baseline", "x.py"], "--write-baseline needs a name"),
        ([], "SCRIPT is missing"),
    ],
)
def test_a_wrong_call_is_told_before_anything_runs(project: Write, arguments: list[str], message: str) -> None:
    project({"x.py": "print('ran')\n"})
    watched = run(*arguments)
    assert watched.returncode == 2
    assert message in watched.stderr
    assert "Traceback" not in watched.stderr
    assert not watched.stdout
