"""`trainlint completion`, asked by the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from pathlib import Path

import pytest
from cli.support import Run

ASK_BASH = """\
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_shtab_trainlint
printf '%s\\n' "${COMPREPLY[@]}"
"""
# What is typed, and what some of the proposals must be.
TYPED = [
    (["trainlint", "ch"], {"check"}),
    (["trainlint", "--wat"], {"--watch"}),
    (["trainlint", "check", "--output-format", "gi"], {"github", "gitlab"}),
    (["trainlint", "check", "--fail-on", ""], {"error", "warning", "info"}),
    (["trainlint", "check", "--config", "trai"], {"train.py"}),
    (["trainlint", "check", "tra"], {"train.py"}),
    (["trainlint", "rule", "TL10"], {"TL101", "TL102"}),
    (["trainlint", "config", "base"], {"baseline"}),
    (["trainlint", "completion", ""], {"bash", "zsh", "fish"}),
]


def ask_bash(script: Path) -> None:
    for words, expected in TYPED:
        assert expected <= set(said("bash", "-c", ASK_BASH, "bash", str(script), *words)), words
    # Where it has no answer, as for the files of the command that need not be named, bash completes files.
    assert "-o default" in said("bash", "-c", 'source "$1"; complete -p trainlint', "bash", str(script))[0]


def ask_fish(script: Path) -> None:
    for words, expected in [*TYPED, (["trainlint", "tra"], {"train.py"})]:
        lines = said("fish", "-c", f"source {script}; complete -C '{' '.join(words)}'")
        assert expected <= {line.split("\t")[0] for line in lines}, words


def ask_zsh(script: Path) -> None:
    script.rename(script.with_name("_trainlint"))
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    try:
        os.write(ours, b"fpath=($PWD $fpath); autoload -U compinit; compinit -D -u; print 're''ady'\n")
        shown_until(ours, "ready")
        for typed, expected in {"tra": "train.py", "ch": "check", "--wat": "--watch", "rule TL10": "TL109"}.items():
            os.write(ours, f"\x15trainlint {typed}\t\t".encode())
            shown_until(ours, expected)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
        os.close(theirs)


ASK = {"bash": ask_bash, "fish": ask_fish, "zsh": ask_zsh}


@pytest.mark.parametrize("shell", [shell for shell in ASK if shell == "bash" or shutil.which(shell)])
def test_a_shell_completes_what_is_typed(shell: str, project, run: Run) -> None:
    """In every shell that is here; bash must be."""
    script: Path = project({"train.py": ""}) / f"trainlint.{shell}"
    outcome = run("completion", shell)
    assert (outcome.status, outcome.err) == (0, "")
    script.write_text(outcome.out)
    ASK[shell](script)


def shown_until(terminal: int, text: str) -> None:
    """Read what a terminal shows up to a text; fails if that does not come."""
    shown = ""
    while text not in shown:
        assert select.select([terminal], [], [], 20)[0], f"{text} is not in {shown}"
        shown += os.read(terminal, 1 << 16).decode(errors="replace")


def said(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_an_unknown_shell(run: Run) -> None:
    assert run("completion", "tcsh").status == 2
