"""The command line as its users meet it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli.support import MISTAKE, TRAINING, Engine, Outcome, Run, finding

import trainlint
from trainlint.checks import catalogue
from trainlint.findings import Severity
from trainlint.pages import curve_rules, runtime_rules

HIDDEN = "No fixes available (1 hidden fix can be enabled with the `--unsafe-fixes` option).\n"


def test_a_mistake_is_found(project, run: Run) -> None:
    project({"train.py": MISTAKE})
    for arguments in (["check", "train.py"], ["train.py"], ["check"], []):
        outcome = run(*arguments)
        assert outcome.status == 1
        assert re.fullmatch(r"train\.py:6:28: TL101 `cross_entropy` gets probabilities .*\n", outcome.out)
        assert outcome.err == f"Found 1 error.\n{HIDDEN}"


def test_a_clean_project(project, run: Run) -> None:
    project({"train.py": TRAINING})
    for arguments in ([], ["."], ["check", "train.py"]):
        outcome = run(*arguments)
        assert (outcome.status, outcome.out, outcome.err) == (0, "", "All checks passed!\n")


def test_the_summary_counts(project, run: Run, engine: Engine) -> None:
    project({"a.py": TRAINING, "b.py": TRAINING, "c.py": TRAINING})
    engine.findings = [
        finding(filename="a.py"),
        finding("TL102", filename="a.py"),
        finding("TL206", filename="b.py", severity=Severity.WARNING),
    ]
    assert run().err == "Found 2 errors and 1 warning in 2 of 3 files.\n"


def test_no_python_files(project, run: Run) -> None:
    project({"a.txt": "", "empty/b.txt": ""})
    outcome = run("empty", ".")
    assert outcome.status == 0
    assert outcome.err.splitlines()[0] == "trainlint: no Python files or notebooks found in empty ."


def test_a_path_that_is_not_there(project, run: Run) -> None:
    project({"a.py": MISTAKE})
    outcome = run("a.py", "nowhere")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "trainlint: error: no such file or folder: nowhere\n"


def test_a_folder_named_like_a_command(project, run: Run) -> None:
    project({"rules/a.py": MISTAKE})
    assert run("./rules").out.startswith("rules/a.py:6:28: TL101")
    assert run("check", "rules").out.startswith("rules/a.py:6:28: TL101")


def test_a_broken_file_does_not_stop_the_others(project, run: Run) -> None:
    project({"a.py": "import torch\nprint 'Python 2'\n", "b.py": MISTAKE, "n.ipynb": '{"cells": "import torch"}'})
    outcome = run()
    assert outcome.status == 1
    assert [line.split(" ")[:2] for line in outcome.out.splitlines()] == [
        ["a.py:2:7:", "TL000"],
        ["b.py:6:28:", "TL101"],
        ["n.ipynb:1:1:", "TL000"],
    ]


def test_a_failure_of_our_own_is_told_and_the_status_is_2(project, run: Run, engine: Engine) -> None:
    project({"a.py": TRAINING})
    engine.findings = [finding(filename="a.py"), finding("TL002", "a.py")]
    for arguments in ([], ["--exit-zero"], ["--ignore", "ALL"]):
        outcome = run(*arguments)
        assert outcome.status == 2
        assert "a.py:1:1: TL002" in outcome.out


def test_a_crash_is_a_message_and_not_a_traceback(project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    project({"a.py": TRAINING})

    def crash(*arguments: object, **more: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("trainlint.semantics.project.check_files", crash)
    monkeypatch.delenv("TRAINLINT_DEBUG", raising=False)
    outcome = run()
    assert outcome.status == 2
    assert "internal error at test_cli.py" in outcome.err
    assert "ZeroDivisionError: oops" in outcome.err
    assert "Traceback" not in outcome.err
    monkeypatch.setenv("TRAINLINT_DEBUG", "1")
    assert "Traceback" in run().err


def test_interrupted(project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    project({"a.py": TRAINING})

    def interrupt(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainlint.semantics.project.check_files", interrupt)
    assert run() == Outcome(130, "", "trainlint: interrupted\n")


# --- Rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--select", "TL101"], True),
        (["--select", "TL1,TL3"], True),
        (["--select=softmax-before-cross-entropy"], True),
        (["--select", "ALL"], True),
        (["--select", "TL301", "--select", "TL101"], True),
        (["--select", "TL301", "--extend-select", "tl101"], True),
        (["--select", "TL301"], False),
        (["--ignore", "TL1"], False),
        (["--ignore", "softmax-before-cross-entropy"], False),
        (["--select", "ALL", "--ignore", "TL101"], False),
    ],
)
def test_selection(project, run: Run, arguments: list[str], found: bool) -> None:
    project({"train.py": MISTAKE})
    outcome = run("check", *arguments, "train.py")
    assert ("TL101" in outcome.out, outcome.status) == (found, int(found))


# Torch guesses the axis of the classes for the first, that of the batch for the second, and nobody knows for the third.
GUESSED = """\
import torch
from torch.nn import functional as F

x = torch.randn(16, 8)
p = F.softmax(x)
q = F.softmax(x.view(2, 8, 8))
r = F.softmax(torch.load("scores.pt"))
"""


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ([], ["6:5"]),
        (["--select", "TL1"], ["5:5", "6:5", "7:5"]),
        (["--select", "softmax-dim"], ["5:5", "6:5", "7:5"]),
        (["--select", "ALL"], ["5:5", "6:5", "7:5"]),
        (["--select", "ALL", "--ignore", "TL1"], []),
        (["--extend-select", "TL801"], ["6:5"]),
        (["--extend-select", "TL1,TL801"], ["5:5", "6:5", "7:5"]),
    ],
)
def test_what_hardly_does_harm_is_told_where_its_rule_is_selected(
    project, run: Run, arguments: list[str], lines: list[str]
) -> None:
    project({"net.py": GUESSED})
    for _ in range(2):  # once out of the cache
        assert re.findall(r"net\.py:(\d+:\d+): TL109", run("check", *arguments, "net.py").out) == lines


def test_what_takes_no_gradients_anyway_may_be_told_so_in_a_way_that_nobody_hears(project, run: Run) -> None:
    project({"net.py": "import torch\n\nx = torch.zeros(8)\nx.require_grad = False\nx.require_grad = True\n"})
    assert re.findall(r"net\.py:(\d+):\d+: TL616", run("check", "net.py").out) == ["5"]
    assert re.findall(r"net\.py:(\d+):\d+: TL616", run("check", "--select", "TL616", "net.py").out) == ["4", "5"]


def test_a_comment_for_what_hardly_does_harm_is_used(project, run: Run) -> None:
    project({"net.py": GUESSED.replace("softmax(x)\n", "softmax(x)  # trainlint: ignore[TL109]\n")})
    assert "TL001" not in run("check", "net.py").out
    assert "net.py:5" not in run("check", "--select", "TL1", "net.py").out


@pytest.mark.parametrize("option", ["--select", "--ignore", "--extend-select"])
def test_an_unknown_rule_is_an_error_even_if_there_is_nothing_to_check(project, run: Run, option: str) -> None:
    project({})
    outcome = run(option, "TL101,TL3O1")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "trainlint: error: unknown rule `TL3O1`; did you mean `TL301`?\n"


def test_an_unknown_rule_in_the_settings(project, run: Run) -> None:
    project({"trainlint.toml": "per-file-ignores = { 'a.py' = ['TL1', 'softmax-before-crossentropy'] }"})
    outcome = run()
    assert outcome.status == 2
    assert "did you mean `softmax-before-cross-entropy`?" in outcome.err


# --- Files and settings -----------------------------------------------------------------------------------------------


def test_settings_are_used_unless_isolated(project, run: Run) -> None:
    project(
        {
            "train.py": MISTAKE,
            "pyproject.toml": '[tool.trainlint]\nignore = ["TL1"]\noutput-format = "json"',
            "other.toml": 'select = ["TL101"]\noutput-format = "full"',
        }
    )
    assert run().out == "[]\n"
    assert run("--isolated").out.startswith("train.py:6:28: TL101")
    assert " | " in run("--config", "other.toml").out
    assert run("--select", "TL101", "--output-format", "concise").out.startswith("train.py:6:28: TL101")
    assert run("--config", "other.toml", "--isolated").status == 2
    assert run("--config", "missing.toml").status == 2


def test_a_mistake_in_the_settings(project, run: Run) -> None:
    root = project({"train.py": MISTAKE, "trainlint.toml": "selct = []"})
    outcome = run()
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == f"trainlint: error: {root}/trainlint.toml: unknown key `selct`; did you mean `select`?\n"


def test_exclude(project, run: Run) -> None:
    project({"a.py": MISTAKE, "legacy/b.py": MISTAKE})
    assert "legacy" in run().out
    assert "legacy" not in run("--exclude", "legacy,other").out
    assert "legacy" in run("--exclude", "legacy", "legacy/b.py").out
    assert run("--exclude", "legacy", "--force-exclude", "legacy/b.py").status == 0


def test_show_settings(project, run: Run) -> None:
    root = project({"trainlint.toml": 'exclude = ["legacy"]\nper-file-ignores = { "a.py" = ["TL1"] }'})
    outcome = run("--show-settings", "--select", "TL1", "--ignore", "TL102", "--output-format", "full")
    assert outcome.status == 0
    assert f"# {root}/trainlint.toml" in outcome.out
    assert 'exclude = ["legacy"]' in outcome.out
    assert '"a.py" = ["TL1"]' in outcome.out
    assert 'output-format = "full"' in outcome.out
    assert '"TL101",  # softmax-before-cross-entropy' in outcome.out
    assert '"TL102"' not in outcome.out
    # What is printed can be used as a settings file.
    (root / "trainlint.toml").write_text(outcome.out)
    assert run("--show-settings").out.split("\n")[1:] == outcome.out.split("\n")[1:]


def test_flags_whose_time_is_to_come_are_accepted(project, run: Run) -> None:
    project({"a.py": TRAINING})
    assert run("--no-cache", "-j", "4").status == 0
    assert run("--jobs=1").status == 0
    assert run("-j", "0").status == 2
    assert run("-j", "many").status == 2


# --- The standard input -----------------------------------------------------------------------------------------------


def test_the_standard_input(project, run: Run) -> None:
    project({})
    assert run("-", stdin=MISTAKE.encode()).out.startswith("-:6:28: TL101")
    named = run("-", "--stdin-filename", "src/train.py", stdin=b"\xef\xbb\xbf" + MISTAKE.encode())
    assert named.out.startswith("src/train.py:6:28: TL101")
    assert run("--stdin-filename", "train.py", stdin=b"").status == 0
    assert run("check", "-", "train.py", stdin=b"").status == 2


def test_the_standard_input_stands_for_the_file_on_the_disk(project, run: Run) -> None:
    project({"train.py": "import torch\n", "trainlint.toml": "[per-file-ignores]\n'other.py' = ['TL1']"})
    outcome = run("-", "--stdin-filename", "train.py", "--output-format", "full", stdin=MISTAKE.encode())
    assert "6 |     return F.cross_entropy(probabilities, labels)" in outcome.out
    assert run("-", "--stdin-filename", "other.py", stdin=MISTAKE.encode()).out == ""


def test_the_standard_input_sees_the_files_beside_it(project, run: Run) -> None:
    project(
        {
            "pkg/model.py": "import torch\n\ndef predict(net, x):\n    return torch.softmax(net(x), dim=1)\n",
            "pkg/train.py": "",
        }
    )
    code = MISTAKE.replace("def loss_of", "from model import predict\n\ndef loss_of").replace(
        "torch.softmax(model(images), dim=1)", "predict(model, images)"
    )
    outcome = run("-", "--stdin-filename", "pkg/train.py", stdin=code.encode())
    assert outcome.out.startswith("pkg/train.py:8:28: TL101")


def test_the_standard_input_in_other_encodings(project, run: Run) -> None:
    project({})
    assert run("-", stdin=("# coding: latin-1\n# é\n" + MISTAKE).encode("latin-1")).out.startswith("-:8:28: TL101")
    outcome = run("-", stdin=b"import torch\nx = '\xe9'\n")
    assert outcome.status == 2
    assert outcome.err.startswith("trainlint: error: the standard input cannot be read: ")


def test_a_notebook_on_the_standard_input(project, run: Run) -> None:
    project({})
    cells = [{"cell_type": "code", "source": source} for source in ("%time", MISTAKE)]
    notebook = json.dumps({"cells": cells, "nbformat": 4}).encode()
    outcome = run("-", "--stdin-filename", "n.ipynb", stdin=notebook)
    assert outcome.out.startswith("n.ipynb:cell 2:6:28: TL101")


def test_force_exclude_holds_for_the_standard_input(project, run: Run) -> None:
    project({})
    arguments = ["-", "--stdin-filename", "legacy/a.py", "--exclude", "legacy"]
    assert run(*arguments, stdin=MISTAKE.encode()).status == 1
    assert run(*arguments, "--force-exclude", stdin=MISTAKE.encode()).status == 0


# --- Output -----------------------------------------------------------------------------------------------------------


def test_json_is_nothing_but_json(project, run: Run) -> None:
    project({"train.py": MISTAKE})
    outcome = run("--output-format", "json")
    assert (outcome.status, outcome.err) == (1, "")
    (found,) = json.loads(outcome.out)
    assert (found["code"], found["name"]) == ("TL101", "softmax-before-cross-entropy")
    assert (found["filename"], found["line"], found["column"]) == ("train.py", 6, 28)
    assert [related["line"] for related in found["related"]] == [5]


def test_full(project, run: Run) -> None:
    project({"train.py": MISTAKE})
    lines = run("--output-format", "full").out.splitlines()
    assert lines[2] == "6 |     return F.cross_entropy(probabilities, labels)"
    assert lines[3] == "  |                            ^^^^^^^^^^^^^"
    assert "5 |     probabilities = torch.softmax(model(images), dim=1)" in lines


def test_quiet(project, run: Run) -> None:
    project({"train.py": MISTAKE, "empty/a.txt": ""})
    assert run("-q").out.startswith("train.py:6:28: TL101")
    assert run("--quiet").err == run("--quiet", "empty").err == ""


def test_output_file(project, run: Run) -> None:
    root = project({"train.py": MISTAKE})
    outcome = run("--output-file", "report.txt", "--output-format", "concise")
    assert (outcome.status, outcome.out) == (1, "")
    assert (root / "report.txt").read_text("utf-8").startswith("train.py:6:28: TL101")
    outcome = run("--output-file", "nowhere/report.txt")
    assert outcome.status == 2
    assert "cannot write to nowhere/report.txt" in outcome.err


def test_statistics(project, run: Run) -> None:
    project({"a.py": MISTAKE, "b.py": MISTAKE})
    assert run("--statistics").out == "2  TL101  softmax-before-cross-entropy\n"
    assert json.loads(run("--statistics", "--output-format", "json").out)[0]["count"] == 2


def test_exit_zero(project, run: Run) -> None:
    project({"train.py": MISTAKE})
    outcome = run("--exit-zero")
    assert outcome.status == 0
    assert "TL101" in outcome.out


def test_color(project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    project({"train.py": MISTAKE})
    assert "\x1b[" in run("--color", "always").out
    assert "\x1b[" not in run().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run().out
    assert "\x1b[" not in run("--color=never").out


def test_bad_usage(project, run: Run) -> None:
    project({})
    for arguments in (["--no-such-flag"], ["--output-format", "xml"], ["rule"], ["rule", "a", "b"]):
        assert run(*arguments).status == 2


def test_help_and_version(project, run: Run) -> None:
    project({})
    assert run("--version").out == f"trainlint {trainlint.__version__}\n" == run("check", "--version").out
    assert "COMMAND" in run("--help").out
    assert "--output-format" in run("check", "--help").out


# --- rule, rules ------------------------------------------------------------------------------------------------------


def test_rule_shows_the_page(project, run: Run) -> None:
    project({})
    page = run("rule", "TL101")
    assert page.status == 0
    assert page.out.startswith("# TL101 softmax-before-cross-entropy\n")
    assert "## Why" in page.out
    assert run("rule", "tl101") == run("rule", "softmax-before-cross-entropy") == page


def test_rule_renders_the_page_for_a_terminal(project, run: Run) -> None:
    project({})
    out = run("rule", "TL101", "--color", "always").out
    assert "\x1b[" in out
    assert "## Why" not in out


def test_an_unknown_rule(project, run: Run) -> None:
    project({})
    outcome = run("rule", "TL1O1")
    assert outcome.status == 2
    assert outcome.err == "trainlint: error: unknown rule `TL1O1`; did you mean `TL101`?\n"


def test_rules_lists_all(project, run: Run) -> None:
    project({})
    text = run("rules")
    objects = json.loads(run("rules", "--output-format", "json").out)
    codes = [info.code for info in (*catalogue(), *runtime_rules(), *curve_rules())]
    assert [line.split()[0] for line in text.out.splitlines()] == codes
    assert [entry["code"] for entry in objects] == codes
    assert set(objects[0]) == {"code", "name", "summary", "severity", "default", "fix"}
    assert "\x1b[" in run("rules", "--color", "always").out


# --- As a process -----------------------------------------------------------------------------------------------------


def start(
    *arguments: str, command: Sequence[str] = ("-m", "trainlint"), encoding: str = "utf-8"
) -> subprocess.Popen[str]:
    """Start the command line as a process of its own."""
    package = str(Path(trainlint.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": package, "PYTHONIOENCODING": encoding}
    whole = [sys.executable, *command, *arguments]
    return subprocess.Popen(whole, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_as_a_module(project) -> None:
    project({"train.py": MISTAKE})
    process = start("train.py")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, f"Found 1 error.\n{HIDDEN}")
    assert out.startswith("train.py:6:28: TL101")


TELLING_IMPORTS = ("-X", "importtime", "-m", "trainlint")


@pytest.mark.parametrize("command", [["check"], ["--version"], ["check", "--isolated", "other.py"]])
def test_without_training_code_the_parser_is_not_even_imported(project, command: list[str]) -> None:
    project({"other.py": "import os\n", "trainlint.toml": "force-exclude = true"})
    process = start(*command, command=TELLING_IMPORTS)
    imported = {line.rpartition("|")[2].strip() for line in process.communicate(timeout=60)[1].splitlines()}
    assert process.returncode == 0
    assert "trainlint.config" in imported
    slow = {"libcst", "rich", "pathspec", "torch", "asyncio"}
    assert not slow & {name.partition(".")[0] for name in imported}


def test_a_check_imports_no_more_than_it_needs(project) -> None:
    project({"train.py": MISTAKE})
    process = start(command=TELLING_IMPORTS)
    imported = {line.rpartition("|")[2].strip() for line in process.communicate(timeout=60)[1].splitlines()}
    assert process.returncode == 1
    assert "libcst" in imported
    assert not {"rich", "pathspec", "torch", "numpy", "yaml"} & {name.partition(".")[0] for name in imported}


def test_a_reader_that_goes_away(project) -> None:
    project({f"train{number}.py": MISTAKE for number in range(20)})
    process = start("--output-format", "full")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.readline() == "Found 20 errors in 20 of 20 files.\n"
    assert process.wait(timeout=60) == 1


def test_names_that_the_terminal_cannot_show(project) -> None:
    root = project({})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xe9.py")).write_text(MISTAKE)
    (root / "日本.py").write_text(MISTAKE)
    for encoding in ("ascii", "utf-8"):
        process = start("--output-format", "full", encoding=encoding)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err.splitlines()[0]) == (1, "Found 2 errors in 2 of 2 files.")
        assert "\\udcff\\udce9.py:6:28: TL101" in out


def test_interrupted_from_the_keyboard(project) -> None:
    """While a check runs that would go on for a minute."""
    project({"train.py": MISTAKE})
    code = """
import sys, time
from trainlint import cli
from trainlint.semantics.project import Project

def check(self, progress):
    print("checking", flush=True)
    time.sleep(60)

Project.check = check
sys.exit(cli.main(["train.py"]))
"""
    process = start(command=["-c", code])
    assert process.stdout is not None
    assert process.stdout.readline() == "checking\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "trainlint: interrupted\n")
