"""The folders that files put on `sys.path`, and what is imported from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainlint.config import Settings
from trainlint.discovery import Target
from trainlint.engine import check
from trainlint.search_path import path_edits

BY_FUNCTION = """
def add(folder):
    sys.path.insert(0, folder)


here = osp.dirname(__file__)
place = osp.join(here, "..", "nets")
add(place)
place = osp.join(here, "data")
add(place)
"""


@pytest.mark.parametrize(
    ("text", "folders"),
    [
        ("sys.path.append('../lib')", ["../lib"]),
        ("sys.path.insert(0, '/root/x/model')", ["/root/x/model"]),
        ("sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'net'))", ["../net"]),
        ("sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + '/net')", ["../net"]),
        ("sys.path += [str(Path(__file__).resolve().parents[1] / 'net'), 'b']", ["../net", "b"]),
        ("sys.path.append(str(Path(__file__).parent.joinpath('net')))", ["net"]),
        ("for name in ('a', 'b'):\n    sys.path.append(name)", ["a", "b"]),
        ("sys.path.extend(['a', os.getcwd()])", ["a", "."]),
        (BY_FUNCTION, ["../nets", "data"]),
        ("sys.path.append(found())\nsys.path.append(sys.argv[1])\nsys.path.append(f'{a}/b')", []),
        ("place = place + 'a'\nsys.path.append(place)", []),
        ("place = 'a' * 3\nplace = [place]\nsys.path.pop()", []),
        ("sys.path.append('a'", []),
        ("# sys.path.append('a')", []),
    ],
)
def test_what_is_put_on_the_path(text: str, folders: list[str]) -> None:
    assert path_edits(text.encode()) == folders


TAIL = """
import torch
import torch.nn.functional as F


def main(x, y):
    loss = F.cross_entropy(scores(x), y)
    loss.backward()
"""
SCORES = "def scores(x):\n    return x.softmax(dim=1)\n"


def found(folder: Path, files: dict[str, str]) -> list[str]:
    """The files in which something is told of."""
    settings = Settings(root=folder)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    targets = [Target(folder / name, name, settings) for name in files]
    return [found.filename for found in check(targets).findings]


def test_a_module_in_a_folder_on_the_path(tmp_path: Path) -> None:
    beginnings = {
        "a": "import sys\nsys.path.insert(0, '../nets')\n",
        "b": "import sys\nsys.path.append('/home/somebody/project/nets')\n",
        "c": "import paths\n",
    }
    paths = "import sys\nimport os.path as osp\nsys.path.append(osp.join(osp.dirname(__file__), '..', 'nets'))\n"
    for name, beginning in beginnings.items():
        files = {"tools/train.py": beginning + "from giving import scores\n" + TAIL, "nets/giving.py": SCORES}
        assert found(tmp_path / name, files | ({"tools/paths.py": paths} if name == "c" else {})) == ["tools/train.py"]


def test_a_module_in_no_folder_on_the_path(tmp_path: Path) -> None:
    script = "from giving import scores\n" + TAIL
    files = {"tools/a.py": script, "nets/giving.py": SCORES}
    assert not found(tmp_path / "none", files)
    example = "import sys\nsys.path.append('parts')\n"
    files = {"one/run.py": example, "one/parts/giving.py": SCORES, "two/run.py": script}
    assert not found(tmp_path / "another", files)


def test_no_library_is_taken_for_a_file_in_a_folder_on_the_path(tmp_path: Path) -> None:
    script = "import sys\nsys.path.insert(0, '../nets')\nfrom timm import scores\n" + TAIL
    assert not found(tmp_path, {"tools/a.py": script, "nets/timm.py": SCORES})
