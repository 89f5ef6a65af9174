"""`--fix` and what belongs to it, as users meet them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from cli.support import MISTAKE, Run

# A safe fix in line 8, none in line 9.
UNCALLED = """\
import torch
import torch.nn as nn


def evaluate(path, x):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))
    model.load_state_dict(torch.load(path, weights_only=True))
    model.eval  # évaluer
    with torch.no_grad():
        return model(x).argmax(1)
"""
FIXED = UNCALLED.replace("model.eval ", "model.eval() ")
DIFF = """\
--- train.py
+++ train.py
@@ -5,6 +5,6 @@
 def evaluate(path, x):
     model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))
     model.load_state_dict(torch.load(path, weights_only=True))
-    model.eval  # évaluer
+    model.eval()  # évaluer
     with torch.no_grad():
         return model(x).argmax(1)
"""
ONLY = ("--select", "TL305")


def text_of(path: Path) -> str:
    return path.read_bytes().decode()


def test_what_can_be_fixed_is_told(project, run: Run) -> None:
    root = project({"train.py": UNCALLED})
    outcome = run(*ONLY)
    assert outcome.status == 1
    assert outcome.err == "Found 1 error.\n[*] 1 fixable with the `--fix` option.\n"
    assert text_of(root / "train.py") == UNCALLED
    assert "fixable" not in run(*ONLY, "-q").err


def test_fix(project, run: Run) -> None:
    root = project({"train.py": UNCALLED, "other.py": MISTAKE})
    outcome = run("--fix", "--select", "TL305,TL101")
    assert outcome.status == 1
    assert outcome.out.startswith("other.py:6:28: TL101")
    assert outcome.err.startswith("Found 2 errors in 2 of 2 files (1 fixed, 1 remaining).\n")
    assert text_of(root / "train.py") == FIXED
    assert sorted(path.name for path in root.glob("[!.]*")) == ["other.py", "train.py"]


def test_when_all_is_fixed_the_status_is_0(project, run: Run) -> None:
    project({"train.py": UNCALLED})
    outcome = run("--fix", *ONLY)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "Found 1 error (1 fixed, 0 remaining).\n")
    outcome = run("--fix", *ONLY)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "All checks passed!\n")


def test_show_fixes(project, run: Run) -> None:
    project({"train.py": UNCALLED})
    assert run("--fix", "--show-fixes", *ONLY).err == (
        "Fixed 1 error:\n"
        "- train.py:\n"
        "    1 × TL305 (mode-call-without-parentheses)\n"
        "Found 1 error (1 fixed, 0 remaining).\n"
    )  # fmt: skip


def test_a_diff_changes_nothing(project, run: Run) -> None:
    root = project({"train.py": UNCALLED})
    outcome = run("--diff", *ONLY)
    assert (outcome.status, outcome.out, outcome.err) == (1, DIFF, "Would fix 1 error.\n")
    assert text_of(root / "train.py") == UNCALLED
    (root / "train.py").write_text(FIXED, "utf-8")
    outcome = run("--diff", *ONLY)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "Nothing would be fixed.\n")


def test_the_standard_input_is_fixed_to_the_standard_output(project, run: Run) -> None:
    project({})
    outcome = run("--fix", *ONLY, "-", stdin=UNCALLED.encode())
    assert (outcome.status, outcome.out, outcome.err) == (0, FIXED, "Found 1 error (1 fixed, 0 remaining).\n")
    outcome = run("--fix", *ONLY, "-", stdin=FIXED.encode())
    assert (outcome.status, outcome.out) == (0, FIXED)
    outcome = run("--diff", *ONLY, "--stdin-filename", "train.py", stdin=UNCALLED.encode())
    assert (outcome.status, outcome.out) == (1, DIFF)


def test_findings_of_the_standard_input_go_where_messages_go(project, run: Run) -> None:
    project({})
    both = UNCALLED.replace("    with", "    torch.no_grad()\n    with")
    outcome = run("--fix", *ONLY, "-", stdin=both.encode())
    assert outcome.status == 1
    assert outcome.out == both.replace("model.eval ", "model.eval() ")
    assert outcome.err.startswith("-:9:5: TL305")


def test_an_excluded_standard_input_comes_back(project, run: Run) -> None:
    project({})
    options = ("--fix", "--exclude", "train.py", "--force-exclude", "--stdin-filename", "train.py")
    assert run(*options, stdin=UNCALLED.encode()).out == UNCALLED


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    "encode",
    [
        crlf,
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: b"\xef\xbb\xbf" + crlf(text),
        lambda text: f"# coding: latin-1\n{text}".encode("latin-1"),
        lambda text: text.replace("    ", "\t").encode(),
        lambda text: text.removesuffix("\n").encode(),
    ],
    ids=["CRLF", "CR", "BOM", "latin-1", "tabs", "no final newline"],
)
def test_bytes_stay_as_they_are(project, run: Run, encode) -> None:
    path = project({}) / "train.py"
    path.write_bytes(encode(UNCALLED))
    assert run("--fix", *ONLY).status == 0
    assert path.read_bytes() == encode(FIXED)


def test_mode_and_links_stay(project, run: Run) -> None:
    root = project({"real/train.py": UNCALLED})
    path = root / "real" / "train.py"
    path.chmod(0o751)
    mode = path.stat().st_mode  # what is left of it differs between systems
    (root / "link.py").symlink_to(path)
    assert run("--fix", *ONLY, "link.py").status == 0
    assert (root / "link.py").is_symlink()
    assert text_of(path) == FIXED
    assert path.stat().st_mode == mode


def test_a_file_that_cannot_be_written(project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project({"locked/train.py": UNCALLED, "b.py": UNCALLED})
    replace = os.replace

    def replace_unless_locked(source: str, target: Path) -> None:
        if Path(target).parent.name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_unless_locked)
    outcome = run("--fix", *ONLY)
    assert outcome.status == 2
    assert f"{Path('locked', 'train.py')} cannot be written: Permission denied" in outcome.err
    assert text_of(root / "locked" / "train.py") == UNCALLED
    assert [path.name for path in (root / "locked").iterdir()] == ["train.py"]
    assert text_of(root / "b.py") == FIXED


def test_suppressed_findings_are_not_fixed(project, run: Run) -> None:
    text = UNCALLED.replace("# évaluer", "# noqa: TL305")
    root = project({"train.py": text})
    assert run("--fix", *ONLY).status == 0
    assert text_of(root / "train.py") == text


# --- Notebooks --------------------------------------------------------------------------------------------------------

CELLS = [
    ["import torch\n", "import torch.nn as nn\n", "%matplotlib inline"],
    ["# évaluer\n", "model = nn.Sequential(nn.Linear(4, 8), nn.Dropout())\n", "model.eval"],
    ["model(torch.randn(2, 4))"],
]


def notebook(as_text: bool = False, ensure_ascii: bool = False, indent: int | None = 1) -> str:
    cells = [
        {"cell_type": "markdown", "source": ["A *title*"], "metadata": {"x": 1.50}},
        *(
            {
                "cell_type": "code",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": "".join(cell) if as_text else cell,
            }
            for cell in CELLS
        ),
    ]
    content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, ensure_ascii=ensure_ascii, indent=indent) + "\n"


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("ensure_ascii", [False, True])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_notebook_keeps_its_json(project, run: Run, as_text: bool, ensure_ascii: bool, indent: int | None) -> None:
    raw = notebook(as_text, ensure_ascii, indent).replace("1.5", "1.50")
    root = project({"n.ipynb": raw})
    assert run("--fix", *ONLY).status == 0
    assert text_of(root / "n.ipynb") == raw.replace("model.eval", "model.eval()")


def test_the_diff_of_a_notebook_is_one_of_its_cells(project, run: Run) -> None:
    project({"n.ipynb": notebook()})
    assert run("--diff", *ONLY).out == (
        "--- n.ipynb:cell 2\n"
        "+++ n.ipynb:cell 2\n"
        "@@ -1,3 +1,3 @@\n"
        " # évaluer\n"
        " model = nn.Sequential(nn.Linear(4, 8), nn.Dropout())\n"
        "-model.eval\n"
        "+model.eval()\n"
    )


def test_lines_that_were_no_python_are_left_alone(project, run: Run) -> None:
    raw = notebook().replace('"model.eval"', '"%time model.eval"')
    root = project({"n.ipynb": raw})
    assert run("--fix", *ONLY).status == 1
    assert text_of(root / "n.ipynb") == raw


def test_json_tells_of_fixes(project, run: Run) -> None:
    project({"train.py": UNCALLED})
    (found,) = json.loads(run(*ONLY, "--output-format", "json").out)
    assert found["fix"] == {
        "message": "call it",
        "safety": "safe",
        "edits": [
            {
                "filename": "train.py",
                "cell": None,
                "line": 8,
                "column": 15,
                "end_line": 8,
                "end_column": 15,
                "replacement": "()",
            }
        ],
    }


def test_settings_may_ask_for_fixes(project, run: Run) -> None:
    root = project({"train.py": UNCALLED, "trainlint.toml": "fix = true"})
    assert run(*ONLY, "--no-fix").status == 1
    assert text_of(root / "train.py") == UNCALLED
    assert run(*ONLY).err == "Found 1 error (1 fixed, 0 remaining).\n"
    assert text_of(root / "train.py") == FIXED


def test_settings_may_count_unsafe_fixes(project, run: Run) -> None:
    text = "import torch.nn.functional as F\n\n\ndef f(x, y):\n    return F.cross_entropy(F.softmax(x, dim=1), y)\n"
    root = project({"train.py": text, "trainlint.toml": "unsafe-fixes = true"})
    only = ("--select", "TL101")
    assert run(*only).err == "Found 1 error.\n[*] 1 fixable with the `--fix` option.\n"
    assert run(*only, "--fix", "--no-unsafe-fixes").status == 1
    assert text_of(root / "train.py") == text
    assert run(*only, "--fix").status == 0
    assert "F.cross_entropy(x, y)" in text_of(root / "train.py")
    assert "unsafe-fixes = true\n" in run("--show-settings").out
