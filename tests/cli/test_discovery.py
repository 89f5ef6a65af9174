from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainlint.config import Configuration, Overrides, Settings, UsageError
from trainlint.discovery import discover, is_excluded
from trainlint.kinds import Patterns


def names(*paths: str, exclude: tuple[str, ...] = (), force_exclude: bool = False) -> list[str]:
    """The files found, as they would be shown."""
    patterns = Patterns(Path.cwd(), exclude) if exclude else None
    configuration = Configuration(Overrides(exclude=patterns, values={"force_exclude": force_exclude}))
    return [target.filename.replace(os.sep, "/") for target in discover(paths or ["."], configuration)]


def test_python_files_and_notebooks_below_a_folder(project) -> None:
    project({"b.py": "", "a.py": "", "n.ipynb": "", "c.txt": "", "d.pyc": "", "p/q/e.py": "", "p/f.py": ""})
    assert names() == ["a.py", "b.py", "n.ipynb", "p/f.py", "p/q/e.py"]


def test_names_are_as_the_user_would_write_them(project) -> None:
    root = project({"src/a.py": "", "src/sub/b.py": ""})
    assert names("src") == names("./src/") == ["src/a.py", "src/sub/b.py"]
    assert names(str(root / "src")) == [str(root / "src" / "a.py"), str(root / "src" / "sub" / "b.py")]
    assert names("src/a.py") == ["src/a.py"]
    os.chdir(root / "src" / "sub")
    assert names("..") == ["../a.py", "../sub/b.py"]


def test_a_file_that_is_named_is_checked_whatever_it_is_called(project) -> None:
    project({"script": "", "build/a.py": "", ".gitignore": "ignored.py\n", "ignored.py": ""})
    assert names("script", "build/a.py", "ignored.py") == ["script", "build/a.py", "ignored.py"]


def test_each_file_once(project) -> None:
    root = project({"src/a.py": "", "b.py": ""})
    assert names("src/a.py", "src", ".", str(root), "src/a.py") == ["src/a.py", "b.py"]


def test_what_is_not_there(project) -> None:
    project({"a.py": ""})
    with pytest.raises(UsageError, match=r"no such file or folder: nowhere, b.py"):
        names("nowhere", "a.py", "b.py")


def test_folders_of_others_are_skipped(project) -> None:
    skipped = (".git", ".venv", "venv", "node_modules", "build", "dist", "__pycache__", ".tox", ".nox", ".mypy_cache")
    files = {f"{folder}/a.py": "" for folder in (*skipped, "lib/site-packages", "x.ipynb_checkpoints/..")}
    project(files | {"my-env/pyvenv.cfg": "", "my-env/a.py": "", "conda/conda-meta/history": "", "conda/a.py": ""})
    assert names() == ["a.py"]


def test_a_skipped_folder_that_is_named_is_checked(project) -> None:
    project({"build/a.py": "", "build/dist/b.py": "", "build/lib/c.py": ""})
    assert names("build") == ["build/a.py", "build/lib/c.py"]


def test_exclude(project) -> None:
    project({"a.py": "", "a_pb2.py": "", "legacy/b.py": "", "src/legacy/c.py": "", "src/d.py": "", "top/e.py": ""})
    assert names(exclude=("legacy", "*_pb2.py", "/top")) == ["a.py", "src/d.py"]
    assert names(exclude=("/legacy/", "src/d.py")) == ["a.py", "a_pb2.py", "src/legacy/c.py", "top/e.py"]
    # What is named is checked, and within it the other patterns still count.
    assert names("legacy", "a_pb2.py", exclude=("legacy", "*_pb2.py")) == ["legacy/b.py", "a_pb2.py"]
    assert names("src", exclude=("src", "legacy")) == ["src/d.py"]


def test_exclude_can_bring_a_folder_back(project) -> None:
    project({".gitignore": "build\n", "build/a.py": "", "dist/b.py": ""})
    assert names(exclude=("!build/",)) == ["build/a.py"]


def test_force_exclude_holds_for_what_is_named(project) -> None:
    project({"a.py": "", "legacy/b.py": "", "build/c.py": "", "src/d.py": ""})
    everything = ("a.py", "legacy/b.py", "legacy", "build/c.py", "build", "src/d.py")
    assert names(*everything, exclude=("legacy/",), force_exclude=True) == ["a.py", "src/d.py"]


def test_exclude_is_relative_to_the_settings_file(project) -> None:
    project(
        {
            "pyproject.toml": '[tool.trainlint]\nexclude = ["/gen"]',
            "gen/a.py": "",
            "sub/gen/b.py": "",
            "own/trainlint.toml": 'exclude = ["/gen"]',
            "own/gen/c.py": "",
            "own/d.py": "",
        }
    )
    assert names() == ["own/d.py", "sub/gen/b.py"]


def test_patterns_count_by_name_outside_their_folder(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path / "here", exclude=(Patterns(tmp_path / "here", ("legacy", "/top")),))
    assert is_excluded(str(tmp_path / "there" / "legacy" / "a.py"), settings)
    assert not is_excluded(str(tmp_path / "there" / "top" / "a.py"), settings)


def test_a_pattern_that_means_nothing_is_told(project) -> None:
    project({"a.py": ""})
    with pytest.raises(UsageError, match="Invalid git pattern"):
        names(exclude=("!",))


def test_gitignore(project) -> None:
    project(
        {
            ".git/HEAD": "",
            ".git/info/exclude": "private.py\n",
            ".gitignore": "# comment\n!\n*.gen.py\n/out/\nsecret/\n",
            "a.py": "",
            "a.gen.py": "",
            "private.py": "",
            "out/b.py": "",
            "src/out/c.py": "",
            "src/secret/d.py": "",
            "src/.gitignore": "!keep.gen.py\ndata\n",
            "src/keep.gen.py": "",
            "src/drop.gen.py": "",
            "src/data/e.py": "",
            "data/f.py": "",
        }
    )
    expected = ["a.py", "data/f.py", "src/keep.gen.py", "src/out/c.py"]
    assert names() == expected
    # From within the repository the ignore files above still count.
    os.chdir("src")
    assert names() == ["keep.gen.py", "out/c.py"]
    assert names("secret") == ["secret/d.py"]


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (("*", "!*/", "!*.py"), ["a.py", "p/b.py", "p/q/c.py"]),
        (("*", "!p/", "!*.py"), ["a.py", "p/b.py"]),
        (("/*", "!/p", "/p/*", "!/p/q"), ["p/q/c.py", "p/q/n.ipynb"]),
        (("p/", "!b.py"), ["a.py", "n.ipynb"]),
        (("p/**", "!p/b.py"), ["a.py", "n.ipynb", "p/b.py"]),
        (("*.py", "!*/"), ["n.ipynb", "p/q/n.ipynb"]),
    ],
)
def test_what_is_ignored_is_taken_up_again_as_by_git(project, lines: tuple[str, ...], kept: list[str]) -> None:
    files = dict.fromkeys(("a.py", "n.ipynb", "p/b.py", "p/q/c.py", "p/q/n.ipynb"), "")
    project({".git/HEAD": "", ".gitignore": "\n".join(lines), **files})
    assert names() == kept
    (Path.cwd() / ".gitignore").unlink()
    assert names(exclude=lines) == kept
    assert names(*files, exclude=lines, force_exclude=True) == kept


def test_ignore_files_above_the_repository_do_not_count(project) -> None:
    project({".gitignore": "*.py\n", "repo/.git/HEAD": "", "repo/a.py": ""})
    assert names("repo") == ["repo/a.py"]


def test_gitignore_can_be_disregarded(project) -> None:
    project({".gitignore": "a.py\n", "a.py": "", "trainlint.toml": "respect-gitignore = false"})
    assert names() == ["a.py"]


def test_a_gitignore_that_is_not_text(project) -> None:
    root = project({"a.py": "", "b/c.py": "", "b/.gitignore/d.py": ""})
    (root / ".gitignore").write_bytes(b"\xff\xfe\na.py\n")
    assert names() == ["b/.gitignore/d.py", "b/c.py"] or names() == ["b/c.py", "b/.gitignore/d.py"]


def test_links(project) -> None:
    root = project({"src/a.py": "", "other/b.py": ""})
    (root / "src" / "loop").symlink_to(root / "src")
    (root / "src" / "other").symlink_to(root / "other")
    (root / "src" / "again.py").symlink_to("a.py")
    (root / "src" / "b.py").symlink_to("../other/b.py")
    (root / "src" / "folder.py").symlink_to(root / "other")
    assert names("src") == ["src/a.py", "src/b.py"]
    assert names("src/other") == ["src/other/b.py"]


def test_a_link_to_nowhere_is_not_lost(project) -> None:
    root = project({"a.py": ""})
    (root / "gone.py").symlink_to("nowhere")
    (root / "self.py").symlink_to("self.py")
    (root / ".#a.py").symlink_to("an.editor@host.123")
    assert names() == ["a.py", "gone.py", "self.py"]


def test_a_folder_with_a_suffix(project) -> None:
    project({"x.py/y.py": "", "z.ipynb/w.py": ""})
    assert names() == ["x.py/y.py", "z.ipynb/w.py"]


def test_what_is_no_file(project) -> None:
    root = project({"a.py": ""})
    os.mkfifo(root / "pipe.py")
    assert names() == ["a.py"]
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        names("pipe.py")


def test_a_folder_that_cannot_be_listed_is_not_lost(project, monkeypatch: pytest.MonkeyPatch) -> None:
    project({"a.py": "", "closed/b.py": ""})
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names() == ["a.py", "closed"]
