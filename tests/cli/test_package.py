"""What users install: the wheel and the sdist, and the hook that pre-commit installs. Slow: both build environments."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from cli.support import FIXABLE, MISTAKE

import trainlint
from trainlint.checks import catalogue
from trainlint.pages import curve_rules, runtime_rules

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RULES = [*catalogue(), *runtime_rules(), *curve_rules()]


def run(*command: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command without this process's own settings for Python and git."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GIT_"))}
    options = {"capture_output": True, "text": True, "timeout": 600}
    return subprocess.run(command, check=False, cwd=cwd, env=kept | environ, **options)


def succeed(*command: str | Path, cwd: Path, **environ: str) -> str:
    result = run(*command, cwd=cwd, **environ)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and, built from it, the wheel."""
    folder = tmp_path_factory.mktemp("packages")
    succeed(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


def test_the_sdist_holds_what_tests_need(packages: Path) -> None:
    (sdist,) = packages.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "trainlint/cli/check.py", "tests/cli/test_package.py"} <= names
    assert any(name.startswith("rules/TL101-") for name in names)


def test_the_wheel_holds_the_package_and_its_data_and_no_more(packages: Path) -> None:
    (wheel,) = packages.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"trainlint", f"trainlint-{trainlint.__version__}.dist-info"}
    assert {
        "trainlint/py.typed",
        *(f"trainlint/reports/page/{name}" for name in ("charts.css", "page.css", "page.js")),
    } <= set(names)
    pages = {name.rpartition("/")[2] for name in names if name.startswith("trainlint/rule_pages/")}
    assert pages == {f"{info.code}-{info.name}.md" for info in RULES}
    in_source = {path.name for path in (ROOT / "trainlint" / "knowledge").glob("*.toml")}
    assert in_source == {name.rpartition("/")[2] for name in names if name.startswith("trainlint/knowledge/")} - {
        "__init__.py"
    }


def test_the_wheel_works_outside_the_checkout(packages: Path, tmp_path: Path) -> None:
    (wheel,) = packages.glob("*.whl")
    succeed(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    succeed(scripts / "python", "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    (tmp_path / "train.py").write_text(MISTAKE)

    command = scripts / "trainlint"
    assert succeed(command, "--version", cwd=tmp_path) == f"trainlint {trainlint.__version__}\n"
    found = run(command, "train.py", cwd=tmp_path)
    assert (found.returncode, found.stderr.splitlines()[0]) == (1, "Found 1 error.")
    assert found.stdout.startswith("train.py:6:28: TL101")
    assert "## Why" in succeed(command, "rule", "TL101", cwd=tmp_path)
    assert succeed(command, "rules", cwd=tmp_path).count("\n") == len(RULES)


def test_pre_commit_stops_a_bad_commit_mends_what_it_can_and_lets_a_good_one_pass(tmp_path: Path) -> None:
    # pre-commit installs hooks from repositories: make one of the checkout as it is now.
    hooks, work = tmp_path / "hooks", tmp_path / "work"
    identity = {
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
    }

    def git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run("git", "-C", repository, *arguments, cwd=tmp_path, **identity)

    def files_of(folder: Path) -> list[str]:
        listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
        return [name for name in listed.split("\0") if name and (folder / name).is_file()]

    for repository in (hooks, work):
        repository.mkdir()
        assert git(repository, "init", "--quiet").returncode == 0
    for name in files_of(ROOT):
        (hooks / name).parent.mkdir(parents=True, exist_ok=True)
        (hooks / name).write_bytes((ROOT / name).read_bytes())
    git(hooks, "add", "--all")
    assert git(hooks, "commit", "--quiet", "--message", "snapshot").returncode == 0
    revision = git(hooks, "rev-parse", "HEAD").stdout.strip()

    (work / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {hooks.as_uri()}\n  rev: {revision}\n  hooks:\n  - id: trainlint-fix\n  - id: trainlint\n"
    )
    pre_commit = (sys.executable, "-m", "pre_commit")
    succeed(*pre_commit, "install", "--install-hooks", cwd=work, **identity)

    (work / "train.py").write_text(MISTAKE)
    (work / "notes.txt").write_text("not Python\n")
    git(work, "add", "--all")
    stopped = git(work, "commit", "--message", "bad")
    assert stopped.returncode == 1
    assert "train.py:6:28: TL101" in stopped.stdout + stopped.stderr
    assert git(work, "log").returncode != 0  # there is no commit

    (work / "train.py").write_text(FIXABLE)
    git(work, "add", "--all")
    mended = git(work, "commit", "--message", "mended")
    assert mended.returncode == 1
    assert re.search(
        r"trainlint \(fix\)\.+Failed\n- hook id: trainlint-fix\n- exit code: 1\n- files were", mended.stderr
    )
    assert re.search(r"trainlint\.+Passed", mended.stderr)
    assert (work / "train.py").read_text() == FIXABLE.replace("total += loss", "total += loss.detach()")
    assert git(work, "log").returncode != 0

    git(work, "add", "--all")
    passed = git(work, "commit", "--message", "good")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "Passed" in passed.stdout + passed.stderr
    assert git(work, "log", "--format=%s").stdout == "good\n"
