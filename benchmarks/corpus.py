"""The code on which speed is measured: well-known packages as their authors publish them, from PyPI.

`python benchmarks/corpus.py` downloads and unpacks them and says where they lie. pip is the only thing that speaks to
the network.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

# About 310 thousand lines in a thousand files: models, training scripts, examples, tests.
DEFAULT = {
    "accelerate": "1.10.1",
    "open-clip-torch": "2.32.0",
    "pytorch-ignite": "0.5.3",
    "pytorch-metric-learning": "2.8.1",
    "segmentation-models-pytorch": "0.5.0",
    "skorch": "1.2.0",
    "timm": "1.0.22",
}

# More of the kind, by name or by `all`: over a million lines.
FURTHER = {
    "avalanche-lib": "0.6.0",
    "diffusers": "0.35.1",
    "fairseq": "0.12.2",
    "flair": "0.15.1",
    "kornia": "0.8.1",
    "lightly": "1.5.22",
    "lightning": "2.5.5",
    "peft": "0.17.1",
    "sentence-transformers": "5.1.0",
    "speechbrain": "1.0.3",
    "trl": "0.22.2",
}

# What a linter reads, and what tells it where a project's root is.
UNPACKED = (".py", ".ipynb", ".toml", ".cfg")


def default_cache() -> Path:
    """Where downloads and environments are kept, outside the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "trainlint-benchmarks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where to keep downloads (%(default)s)")
    parser.add_argument(
        "--packages",
        metavar="NAMES",
        type=_names,
        default=list(DEFAULT),
        help=f"separated by commas, or `all` (default: {','.join(DEFAULT)}; further: {','.join(FURTHER)})",
    )


def _names(text: str) -> list[str]:
    known = {**DEFAULT, **FURTHER}
    names = list(known) if text == "all" else text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"no such package: {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def prepare(cache: Path, names: Iterable[str]) -> list[Path]:
    """The folders of the packages, downloaded unless they are there."""
    return [_prepared(cache / "packages", name, {**DEFAULT, **FURTHER}[name]) for name in names]


def _prepared(cache: Path, name: str, version: str) -> Path:
    folder = cache / f"{name}-{version}"
    if not folder.exists():
        print(f"downloading {name} {version}", file=sys.stderr)
        archive = _download(cache / "archives", name, version)
        unfinished = cache / f"{name}-{version}.unfinished"
        _unpack(archive, unfinished)
        unfinished.rename(folder)
    return folder


def _download(folder: Path, name: str, version: str) -> Path:
    """The source distribution of a package. Its build backend may come as a wheel, which spares building that."""
    folder = folder / f"{name}-{version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name]
    subprocess.run([*command, "--dest", str(folder), f"{name}=={version}"], check=True, stdout=sys.stderr)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            # The first part of a name is the package's own folder.
            parts = Path(member.name).parts[1:]
            content = tar.extractfile(member) if member.isreg() and member.name.endswith(UNPACKED) else None
            if content is None or ".." in parts:
                continue
            path = folder.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())


def python_files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.rglob("*.py"))


def count_lines(folders: Iterable[Path]) -> int:
    return sum(path.read_bytes().count(b"\n") for path in python_files(folders))


def main() -> None:
    parser = argparse.ArgumentParser(description="Download the packages that speed is measured on.")
    add_arguments(parser)
    options = parser.parse_args()
    for folder in prepare(options.cache, options.packages):
        files = len(list(python_files([folder])))
        print(f"{folder}  {files} files, {count_lines([folder]):,} lines")


if __name__ == "__main__":
    main()
