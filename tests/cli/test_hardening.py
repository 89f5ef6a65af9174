"""Whatever is in a file: a check ends, in time and without a crash, and runs nothing of what it reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli.support import MISTAKE, Run

from trainlint.semantics import interpreter
from trainlint.semantics import project as engine

# --- Nothing of a project is run --------------------------------------------------------------------------------------

# A module that tells of being imported.
TRAP = "import os\nopen(os.environ['SPRUNG'], 'a').write(__file__)\n"
TRAPS = (
    "torch.py torch/__init__.py numpy.py json.py re.py libcst.py rich.py tomli.py sitecustomize.py usercustomize.py "
    "conftest.py setup.py helper.py package/__init__.py package/__main__.py trainlint_plugin.py .pth.py"
).split()
# Runs the command line, and then prints what the interpreter did on the way, as its audit events tell.
AUDIT = """\
import json, os, sys
seen = []

def note(event, arguments):
    if event in ("open", "import", "os.listdir", "os.scandir", "exec", "subprocess.Popen", "os.system", "os.exec",
                 "os.posix_spawn", "socket.connect", "ctypes.dlopen"):
        what = arguments[0]
        if event == "exec":
            what = what.co_filename
        if isinstance(what, (str, bytes)):
            seen.append((event, os.fsdecode(what)))
        elif event not in ("open", "os.listdir", "os.scandir"):
            seen.append((event, repr(arguments)))

sys.addaudithook(note)
from trainlint.cli import main
status = main(sys.argv[1:])
sys.stdout.flush()
print("\\n" + json.dumps([status, seen]))
"""


@pytest.fixture
def trapped(project) -> Path:
    """A project full of modules that must not be imported, with neighbours that must not be read."""
    main = "import helper, torch, package, conftest, outside, neighbour.secret\nfrom .. import above\n" + MISTAKE
    root = project(
        {
            "neighbour/secret.py": TRAP + MISTAKE,
            "outside.py": TRAP + MISTAKE,
            "above/__init__.py": TRAP,
            "project/pyproject.toml": "[tool.trainlint]\n",
            "project/train.py": main,
            "project/notes.ipynb": json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": main}]}),
            **{f"project/{name}": TRAP + MISTAKE for name in TRAPS},
        }
    )
    return Path(root)


@pytest.mark.parametrize("options", [["check", "."], ["--fix", "--unsafe-fixes", "."], ["--add-noqa"], ["train.py"]])
def test_a_check_runs_nothing_and_reads_nothing_else(trapped: Path, options: list[str]) -> None:
    sprung = trapped / "sprung"
    where = trapped / "project"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "SPRUNG": str(sprung),
    }
    (trapped / "audit.py").write_text(AUDIT)
    run = subprocess.run(
        [sys.executable, trapped / "audit.py", *options],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    status, seen = json.loads(run.stdout.splitlines()[-1])
    assert status in (0, 1)
    assert not sprung.exists()
    ran = {what for event, what in seen if event == "exec" and what.startswith(str(trapped))}
    assert not ran
    assert not [
        what for event, what in seen if event.startswith(("subprocess", "socket", "os.system", "os.exec", "os.p"))
    ]
    # Files are opened in the project, among the settings above it, and where Python and its packages are.
    installed = (sys.prefix, sys.base_prefix, str(Path(engine.__file__).parents[2]), os.devnull)
    opened = {os.path.join(where, what) for event, what in seen if event == "open"}
    strange = {path for path in opened if not path.startswith((str(where), *installed))}
    strange -= {str(folder) for root in installed for folder in Path(root).parents}  # Python 3.13 finds itself
    assert {os.path.basename(path) for path in strange} <= {"pyproject.toml", "trainlint.toml", ".gitignore", "exclude"}


def test_modules_of_the_working_folder_do_not_stand_for_ours(trapped: Path) -> None:
    sprung = trapped / "sprung"
    # Python itself imports some before we can do anything, and a `torch.py` would be meant by the import.
    for name in ("json.py", "re.py", "sitecustomize.py", "usercustomize.py", "torch.py", "torch/__init__.py"):
        (trapped / "project" / name).unlink()
    (trapped / "project" / "torch").rmdir()
    (trapped / "project" / "pathspec.py").write_text(TRAP)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "SPRUNG": str(sprung),
    }
    command = [sys.executable, "-m", "trainlint", "check", "train.py"]
    run = subprocess.run(command, cwd=trapped / "project", env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stderr
    assert not sprung.exists()


# --- Every check ends -------------------------------------------------------------------------------------------------

# What a line of code can ask for, and no machine can hold.
BOMBS = """\
a = 10 ** 10 ** 10
b = "%1000000000d" % 1
c = "%*d" % (10 ** 9, 1)
d = "{:>1000000000}".format(1)
e = "{:>{}}".format(1, 10 ** 9)
f = [0] * 10 ** 9
g = (0,) * 10 ** 9
h = list(range(10 ** 12))
i = "a".ljust(10 ** 10)
j = bytes(10 ** 10)
k = 1 << 10 ** 9
l = torch.nn.Sequential(*[torch.nn.Linear(3, 3)] * 10 ** 9)
""".splitlines()
# Statements that double what they work on.
DOUBLING = {
    "z = z * z": "z = 3",
    "z = z + z": "z = (1,)",
    "z += z": "z = [1]",
    "z = z + z ": "z = 'a'",
    "z.extend(z)": "z = [1]",
    "z = z.replace('a', 'aa')": "z = 'a'",
    "z = z.format(z, z)": "z = '{}{}'",
    "z = '%s%s' % (z, z)": "z = 'a'",
    "z = f'{z}{z}'": "z = 'a'",
    "z = z + z  # of unknown strings": "z = 'a%s' % x",
    "z = {**z, len(z): z}": "z = {}",
    "z = [z, z]": "z = [1]",
    "z = z << 1000": "z = 1",
    "z = torch.cat([z, z])": "z = torch.zeros(3)",
    "z = lambda x, z=z: z(x) + z(x)": "z = len",
}
AFTER = "import torch.nn.functional as F\nF.cross_entropy(torch.softmax(model(x), 1), y)\n"


@pytest.mark.parametrize("bomb", [*BOMBS, *(f"{start}\n" + f"{double}\n" * 80 for double, start in DOUBLING.items())])
def test_what_no_machine_can_hold_is_not_computed(project, bomb: str) -> None:
    root = project({"train.py": f"import torch\n{bomb}\n{AFTER}"})
    command = [sys.executable, "-m", "trainlint", "-q", "--select", "TL101", str(root / "train.py")]
    limited = ["bash", "-c", 'ulimit -v 4000000; exec "$@"', "bash", *command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.run(limited, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (1, "")
    assert " TL101 " in run.stdout


MANY_PROGRAMS = "".join(f"def f{i}(x):\n    x = 1\n    return x\n" for i in range(40))


def slow_down(monkeypatch: pytest.MonkeyPatch, **seconds: int) -> None:
    """Have each look at a clock take so many seconds."""
    for name, each in seconds.items():
        clock = iter(range(0, 10**9, each))
        for module in (engine, interpreter):
            monkeypatch.setattr(module, name, lambda clock=clock: next(clock))


def test_a_machine_that_is_busy_with_other_things_takes_no_time_from_a_file(
    project, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, monotonic=1)
    project({"slow.py": f"import torch\n{MANY_PROGRAMS}", "z.py": MISTAKE})
    outcome = run()
    assert [line.split()[:2] for line in outcome.out.splitlines()] == [["z.py:6:28:", "TL101"]]


def test_a_file_that_takes_too_long_is_named_and_the_others_go_on(
    project, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The programs of the slow file are short, but many."""
    slow_down(monkeypatch, monotonic=1, thread_time=20)
    project({"a.py": MISTAKE, "slow.py": f"import torch\n{MANY_PROGRAMS}", "z.py": MISTAKE})
    outcome = run()
    assert outcome.status == 2
    assert [line.split()[:2] for line in outcome.out.splitlines()] == [
        ["a.py:6:28:", "TL101"],
        ["slow.py:1:1:", "TL002"],
        ["z.py:6:28:", "TL101"],
    ]
    assert "takes too long" in outcome.out
