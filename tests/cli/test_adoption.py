"""What lets a project with many findings begin: comments, a baseline, a threshold; and a check that goes on."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.support import MISTAKE, TRAINING, Engine, Run, finding

from trainlint.findings import Severity

CALL = "F.cross_entropy(probabilities, labels)"


def mistake(last: str) -> str:
    """The mistake in another last statement of the function."""
    return MISTAKE.replace(f"    return {CALL}", last)


def notebook(*sources: str) -> str:
    cells = [
        {"cell_type": "code", "execution_count": 1, "metadata": {"a": 1}, "outputs": [], "source": source}
        for source in sources
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


# --- Comments ---------------------------------------------------------------------------------------------------------


def test_findings_are_suppressed_by_comments(project, run: Run) -> None:
    root = project({"train.py": MISTAKE, "other.py": TRAINING})
    outcome = run("--add-noqa")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "Suppressed 1 error.\n")
    new = (root / "train.py").read_text()
    assert new == MISTAKE[:-1] + "  # noqa: TL101\n"
    assert run().err == "All checks passed!\n"
    assert run("--add-noqa").err == "Nothing to suppress.\n"
    assert (root / "train.py").read_text() == new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A list of codes is extended, in its own manner and wherever in the statement it stands.
        (f"    return {CALL}  # noqa: E501", f"    return {CALL}  # noqa: E501, TL101"),
        (f"    return {CALL}  # NOQA:E501,W291 why", f"    return {CALL}  # NOQA:E501,W291,TL101 why"),
        (
            "    return F.cross_entropy(\n        probabilities,\n        labels,  # noqa: B008\n    )",
            "    return F.cross_entropy(\n        probabilities,\n        labels,  # noqa: B008, TL101\n    )",
        ),
        # To another comment, or to a blanket one of which this is no part, it is added.
        (f"    return {CALL}  # as in the paper", f"    return {CALL}  # as in the paper  # noqa: TL101"),
        (f"    return {CALL}  # type: ignore", f"    return {CALL}  # type: ignore  # noqa: TL101"),
        (f"    return {CALL}   ", f"    return {CALL}  # noqa: TL101"),
        # The line of the finding carries it, unless a backslash or a string goes on there.
        (
            "    return (F.cross_entropy(probabilities,\n        labels))",
            "    return (F.cross_entropy(probabilities,  # noqa: TL101\n        labels))",
        ),
        (
            "    return F.cross_entropy(probabilities, \\\n        labels)",
            "    return F.cross_entropy(probabilities, \\\n        labels)  # noqa: TL101",
        ),
        (
            '    return F.cross_entropy(probabilities, g(labels, """\n    # noqa: E1\n    """))',
            '    return F.cross_entropy(probabilities, g(labels, """\n    # noqa: E1\n    """))  # noqa: TL101',
        ),
        (
            f"    return g('''\n''', {CALL}, '''\n''', '''\n''')",
            f"    return g('''\n''', {CALL}, '''\n''', '''\n''')  # noqa: TL101",
        ),
    ],
)
def test_where_comments_go(project, run: Run, before: str, after: str) -> None:
    root = project({"train.py": mistake(before)})
    assert run("--add-noqa", "--ignore", "TL001").status == 0
    new = (root / "train.py").read_text()
    assert new == mistake(after)
    assert ast.dump(ast.parse(new)) == ast.dump(ast.parse(mistake(before)))
    assert run("--ignore", "TL001").err == "All checks passed!\n"


def test_two_findings_of_a_statement_share_a_comment(project, run: Run) -> None:
    twice = "    return F.cross_entropy(\n        probabilities, labels) + F.nll_loss(\n        probabilities, labels)"
    root = project({"train.py": mistake(twice)})
    assert run("--add-noqa").err == "Suppressed 2 errors.\n"
    assert (root / "train.py").read_text().count("noqa") == 2
    assert run().status == 0
    root = project(
        {"train.py": mistake("    return F.cross_entropy(probabilities, labels) + F.nll_loss(probabilities, labels)")}
    )
    run("--add-noqa")
    assert "  # noqa: TL101, TL104\n" in (root / "train.py").read_text()


def test_a_suppression_that_suppresses_nothing_can_be_suppressed(project, run: Run) -> None:
    root = project({"train.py": TRAINING + "x = 1  # trainlint: ignore[TL101]\n"})
    assert run("--add-noqa").err == "Suppressed 1 warning.\n"
    assert (root / "train.py").read_text().endswith("ignore[TL101]  # noqa: TL001\n")
    assert run().status == 0


def test_line_ends_and_encodings_stay(project, run: Run) -> None:
    root = project({})
    path = root / "train.py"
    path.write_bytes(f"# coding: latin-1\n# é\n{MISTAKE}".replace("\n", "\r\n").encode("latin-1"))
    before = path.read_bytes()
    path.chmod(0o640)
    assert run("--add-noqa").status == 0
    assert path.read_bytes() == before[:-2] + b"  # noqa: TL101\r\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_notebooks_get_comments_too(project, run: Run) -> None:
    imports, body = MISTAKE.split("\n\n")
    before = notebook(f"%matplotlib inline\n{imports}", "# nothing", body.rstrip())
    root = project({"train.ipynb": before})
    assert run("--add-noqa").err == "Suppressed 1 error.\n"
    after = (root / "train.ipynb").read_text()
    assert after == before.replace("probabilities, labels)", "probabilities, labels)  # noqa: TL101")
    assert run().err == "All checks passed!\n"
    assert run("--add-noqa").err == "Nothing to suppress.\n"
    assert (root / "train.ipynb").read_text() == after


def test_where_no_line_can_carry_a_comment_it_says_so(project, run: Run) -> None:
    imports, body = MISTAKE.split("\n\n")
    magic = body.replace("def loss_of(model, images, labels):\n    ", "").replace("    return ", "%time loss = ")
    before = notebook(f"{imports}\nmodel = torch.nn.Linear(3, 3)\nimages, labels = load()", magic.rstrip())
    root = project({"train.ipynb": before, "broken.py": "import torch\n)"})
    outcome = run("--add-noqa")
    assert outcome.status == 1
    assert [line.split(" TL")[1][:3] for line in outcome.out.splitlines()] == ["000", "101"]
    assert outcome.err == (
        "Nothing to suppress.\nNo comment can suppress 2 errors: no line of the statement can carry one.\n"
    )
    assert (root / "train.ipynb").read_text() == before


def test_a_diff_of_comments_changes_nothing(project, run: Run) -> None:
    root = project({"train.py": MISTAKE})
    outcome = run("--add-noqa", "--diff")
    assert outcome.status == 1
    assert f"\n-    return {CALL}\n+    return {CALL}  # noqa: TL101\n" in outcome.out
    assert outcome.err == "Would suppress 1 error.\n"
    assert (root / "train.py").read_text() == MISTAKE


def test_the_standard_input_comes_back_with_comments(project, run: Run) -> None:
    project({})
    outcome = run("--add-noqa", "-", stdin=MISTAKE.encode())
    assert (outcome.status, outcome.out) == (0, MISTAKE[:-1] + "  # noqa: TL101\n")


def test_a_file_that_cannot_be_written(project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project({"train.py": MISTAKE})

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    outcome = run("--add-noqa")
    assert outcome.status == 2
    assert "trainlint: error: train.py cannot be written: No space left on device\n" in outcome.err
    assert (root / "train.py").read_text() == MISTAKE
    assert [path.name for path in root.glob("[!.]*")] == ["train.py"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--add-noqa", "--fix"], "--add-noqa and --fix exclude each other"),
        (["--write-baseline", "--add-noqa"], "--write-baseline and --add-noqa exclude each other"),
        (["--write-baseline", "--diff"], "--write-baseline and --diff exclude each other"),
        (["--write-baseline", "--prune"], "--write-baseline and --prune exclude each other"),
        (["--write-baseline"], "--write-baseline needs a name: give `--baseline FILE`, or `baseline` in the settings"),
        (["--prune"], "--prune needs a name: give `--baseline FILE`, or `baseline` in the settings"),
        (["--baseline", "b.json"], "there is no baseline b.json; `--write-baseline` writes it"),
        (["--watch", "-"], "--watch needs files: the standard input does not change"),
    ],
)
def test_what_does_not_go_together(project, run: Run, options: list[str], message: str) -> None:
    project({"train.py": MISTAKE})
    outcome = run(*options)
    assert (outcome.status, outcome.out, outcome.err) == (2, "", f"trainlint: error: {message}\n")


# --- The baseline -----------------------------------------------------------------------------------------------------

OTHER = "\n\ndef other(model, images, y):\n    p = torch.softmax(model(images), 1)\n    return F.cross_entropy(p, y)\n"
KNOWN = ("--baseline", "known.json")


def test_what_the_baseline_knows_is_not_reported(project, run: Run) -> None:
    root = project({"train.py": MISTAKE, "sub/train.py": MISTAKE})
    outcome = run(*KNOWN, "--write-baseline")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == "All checks passed!\nThe baseline knows 2 findings now.\n"
    assert json.loads((root / "known.json").read_text()) == {
        name: {"TL101": [f"return {CALL}"]} for name in ("sub/train.py", "train.py")
    }
    outcome = run(*KNOWN)
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == "All checks passed!\n2 findings known to the baseline.\n"
    assert run(*KNOWN, "sub").status == 0
    assert run().status == 1


def test_the_baseline_of_the_settings_lies_beside_them(project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project({"train.py": MISTAKE, "sub/train.py": MISTAKE, "trainlint.toml": 'baseline = "known.json"'})
    assert run("--write-baseline").status == 0
    assert (root / "known.json").exists()
    assert run().status == 0
    monkeypatch.chdir(root / "sub")
    assert run().status == 0
    assert run("..").status == 0
    assert run("-", "--stdin-filename", "train.py", stdin=MISTAKE.encode()).status == 0


def test_code_may_move_and_be_edited(project, run: Run) -> None:
    root = project({"train.py": MISTAKE})
    run(*KNOWN, "--write-baseline")
    (root / "train.py").write_text(
        "# moved\n\n" + MISTAKE.replace("probabilities", "probs").replace("return F", "x = F")
    )
    assert run(*KNOWN).status == 0


@pytest.mark.parametrize("source", [MISTAKE + OTHER, MISTAKE.replace("\n\n", OTHER, 1)], ids=["behind", "before"])
def test_of_more_findings_than_known_the_new_one_is_shown(project, run: Run, source: str) -> None:
    root = project({"train.py": MISTAKE})
    run(*KNOWN, "--write-baseline")
    (root / "train.py").write_text(source)
    outcome = run(*KNOWN)
    assert outcome.status == 1
    (line,) = outcome.out.splitlines()
    assert source.splitlines()[int(line.split(":")[1]) - 1] == "    return F.cross_entropy(p, y)"


def test_the_new_one_is_the_line_least_like_the_known_ones(project, run: Run, engine: Engine) -> None:
    lines = ["import torch", "loss = criterion(model(inputs), targets)", "total = weigh(a, b)"]
    root = project({"train.py": "\n".join(lines)})
    engine.findings = [finding(line=2), finding(line=3)]
    run(*KNOWN, "--write-baseline")
    lines[1:] = ["loss = criterion(net(inputs), targets)", "z = f(q)", "total = weigh(a, b)"]
    (root / "train.py").write_text("\n".join(lines))
    engine.findings = [finding(line=2), finding(line=3), finding(line=4)]
    assert run(*KNOWN).out.startswith("train.py:3:1:")
    # Of lines that are equal, the later one.
    (root / "train.py").write_text("import torch\n" + "total = weigh(a, b)\n" * 3)
    assert run(*KNOWN).out.startswith("train.py:4:1:")


def test_another_rule_or_file_is_news(project, run: Run, engine: Engine) -> None:
    project({"a.py": TRAINING, "b.py": TRAINING})
    engine.findings = [finding(filename="a.py")]
    run(*KNOWN, "--write-baseline")
    engine.findings = [finding("TL102", "a.py"), finding(filename="b.py")]
    assert len(run(*KNOWN).out.splitlines()) == 2


def test_stale_entries_are_reported_and_pruned(project, run: Run, engine: Engine) -> None:
    root = project({"a.py": TRAINING * 3, "b.py": TRAINING})
    engine.findings = [finding(filename="a.py", line=1), finding(filename="a.py", line=2), finding("TL102", "b.py")]
    run(*KNOWN, "--write-baseline")
    engine.findings = engine.findings[:1]
    told = [
        "All checks passed!",
        "1 finding known to the baseline.",
        "The baseline knows 1 TL101 too many in a.py; `--prune` takes them out.",
        "The baseline knows 1 TL102 too many in b.py; `--prune` takes them out.",
    ]
    assert run(*KNOWN).err.splitlines() == told
    # What this check could not find is not stale for that.
    assert run(*KNOWN, "--ignore", "TL102").err.splitlines() == told[:3]
    assert run(*KNOWN, "a.py").err.splitlines() == told[:2]
    (root / "b.py").unlink()
    assert run(*KNOWN, "a.py").err.splitlines() == told
    assert run(*KNOWN, "--prune").err.splitlines() == [*told[:2], "2 findings taken out of the baseline."]
    assert json.loads((root / "known.json").read_text()) == {"a.py": {"TL101": ["import torch"]}}
    assert run(*KNOWN).err.splitlines() == told[:2]


def test_pruning_does_not_take_in_what_is_new(project, run: Run, engine: Engine) -> None:
    root = project({"a.py": TRAINING * 3})
    engine.findings = [finding(filename="a.py"), finding("TL102", "a.py")]
    run(*KNOWN, "--write-baseline")
    engine.findings = [finding(filename="a.py"), finding(filename="a.py", line=2)]
    outcome = run(*KNOWN, "--prune")
    assert (outcome.status, len(outcome.out.splitlines())) == (1, 1)
    assert json.loads((root / "known.json").read_text()) == {"a.py": {"TL101": ["import torch"]}}


def test_a_part_of_the_project_replaces_its_part_of_the_baseline(project, run: Run) -> None:
    root = project({"a.py": MISTAKE, "b.py": MISTAKE})
    run(*KNOWN, "--write-baseline")
    (root / "a.py").write_text(TRAINING)
    run(*KNOWN, "--write-baseline", "a.py")
    assert list(json.loads((root / "known.json").read_text())) == ["b.py"]


def test_our_own_failures_are_never_known(project, run: Run, engine: Engine) -> None:
    root = project({"a.py": TRAINING})
    engine.findings = [finding("TL002", "a.py"), finding(filename="a.py")]
    assert run(*KNOWN, "--write-baseline").status == 2
    assert list(json.loads((root / "known.json").read_text())["a.py"]) == ["TL101"]
    (root / "known.json").write_text('{"a.py": {"TL002": ["import torch"]}}')
    assert run(*KNOWN).status == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"a.py": 3}', '{"a.py": {"TL101": 1}}', '{"a.py": {"TL101": [1]}}', "\0"]
)
def test_what_is_no_baseline_is_an_error_of_usage(project, run: Run, text: str) -> None:
    project({"a.py": MISTAKE, "known.json": text})
    outcome = run(*KNOWN)
    assert (outcome.status, outcome.out) == (2, "")
    assert "known.json is not a baseline" in outcome.err


def test_the_baseline_and_comments_and_fixes(project, run: Run) -> None:
    root = project({"train.py": MISTAKE})
    run(*KNOWN, "--write-baseline")
    (root / "train.py").write_text(MISTAKE + OTHER)
    assert run(*KNOWN, "--add-noqa").err == "Suppressed 1 error.\n1 finding known to the baseline.\n"
    assert (root / "train.py").read_text() == (MISTAKE + OTHER)[:-1] + "  # noqa: TL101\n"
    outcome = run(*KNOWN, "--fix", "--unsafe-fixes")
    assert (outcome.status, outcome.out) == (0, "")
    assert "knows 1 TL101 too many in train.py" in outcome.err


# --- What is enough to fail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("worst", "failing"),
    [
        (Severity.INFO, ["info"]),
        (Severity.WARNING, ["warning", "info"]),
        (Severity.ERROR, ["error", "warning", "info"]),
    ],
)
def test_fail_on(project, run: Run, engine: Engine, worst: Severity, failing: list[str]) -> None:
    root = project({"train.py": TRAINING})
    engine.findings = [finding(severity=Severity.INFO), finding(severity=worst)]
    assert [level for level in ("error", "warning", "info") if run("--fail-on", level).status] == failing
    assert run().status == 1
    assert len(run("--fail-on", "error").out.splitlines()) == 2
    (root / "trainlint.toml").write_text('fail-on = "error"')
    assert run().status == (worst is Severity.ERROR)
    assert run("--fail-on", "info").status == 1
    assert run("--fail-on", "info", "--exit-zero").status == 0


def test_show_files(project, run: Run) -> None:
    project({"a.py": "", "sub/b.ipynb": "not JSON", ".venv/c.py": "", "d.txt": ""})
    outcome = run("--show-files")
    assert (outcome.status, outcome.out.split(), outcome.err) == (0, ["a.py", os.path.join("sub", "b.ipynb")], "")


# --- A check that goes on ---------------------------------------------------------------------------------------------


def test_watch(project) -> None:
    root = project({"train.py": MISTAKE})
    process = subprocess.Popen(
        [sys.executable, "-m", "trainlint", "--watch"],
        stdout=(root / "out.txt").open("wb"),
        stderr=(root / "err.txt").open("wb"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        told(root, lambda text: text.count("exit status 1; waiting for changes") == 1)
        (root / "train.py").write_text(TRAINING)
        told(root, lambda text: text.count("exit status 0; waiting") == 1)
        (root / "new.py").write_text(MISTAKE)
        told(root, lambda text: text.count("exit status 1; waiting") == 2)
        (root / "trainlint.toml").write_text("select = [")
        told(root, lambda text: text.count("exit status 2; waiting") == 1)
        (root / "trainlint.toml").write_text('ignore = ["TL1"]')
        text = told(root, lambda text: text.count("exit status 0; waiting") == 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert "not valid TOML" in text
    assert "Traceback" not in (root / "err.txt").read_text()
    assert [line.split()[0] for line in (root / "out.txt").read_text().splitlines()] == [
        "train.py:6:28:",
        "new.py:6:28:",
    ]


def told(root: Path, enough: Callable[[str], bool]) -> str:
    """What was written to the standard error by the time that it is enough."""
    for _ in range(600):
        text = (root / "err.txt").read_text()
        if enough(text):
            return text
        time.sleep(0.1)
    raise AssertionError(text)
