"""The language server, spoken to as an editor does: a process of its own, and messages through its pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli.support import MISTAKE
from integrations.client import CAPABILITIES, ROOT, Client, edited, started

from trainlint.cli import main
from trainlint.config import Configuration
from trainlint.discovery import discover
from trainlint.engine import check
from trainlint.integrations.lsp.documents import Opened, Part
from trainlint.integrations.lsp.project import Project, Superseded

MODEL = """\
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.head(x).softmax(1)
"""
TRAIN = """\
import torch.nn.functional as F

from model import Net


def loss_of(x, y):
    return F.cross_entropy(Net()(x), y)
"""
# TL305, with a safe fix, and TL101, with an unsafe one.
FIXABLE = """\
import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 2)
model.eval
with torch.no_grad():
    print(F.cross_entropy(model(torch.ones(3, 4)).softmax(1), torch.zeros(3).long()))
"""
GOOD_MODEL = MODEL.replace(".softmax(1)", "")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with started(tmp_path) as running:
        yield running


def written(folder: Path, **files: str) -> list[Path]:
    """Files of Python in a folder, by their names without the suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.py" for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text)
    return paths


def places(diagnostics: list[dict[str, Any]]) -> list[tuple[str, int, int, int, int]]:
    """Code and range of each."""
    ranges = [(d["code"], d["range"]["start"], d["range"]["end"]) for d in diagnostics]
    return [(code, s["line"], s["character"], e["line"], e["character"]) for code, s, e in ranges]


def codes(diagnostics: list[dict[str, Any]]) -> list[str]:
    return [diagnostic["code"] for diagnostic in diagnostics]


FOUND = ("TL101", 5, 27, 5, 40)  # in MISTAKE

# --- Its life ---------------------------------------------------------------------------------------------------------


def test_it_ends_when_it_is_told_to(client: Client, tmp_path: Path) -> None:
    client.initialize(tmp_path)
    assert client.leave() == 0
    assert client.errors == b""


def test_an_end_without_a_shutdown_is_a_failure(client: Client, tmp_path: Path) -> None:
    client.initialize(tmp_path)
    client.send({"method": "exit"})
    assert client.end() == 1


def test_it_ends_with_its_client(client: Client, tmp_path: Path) -> None:
    client.initialize(tmp_path)
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.process.wait(60) == 1


def test_it_does_not_wait_for_a_check_to_end(client: Client, tmp_path: Path) -> None:
    client.initialize(tmp_path)
    (path,) = written(tmp_path, long=long_program())
    client.notify("textDocument/didOpen", textDocument=item(path))
    assert client.leave() == 0
    assert not [m for m in client.received if m.get("method") == "textDocument/publishDiagnostics"]


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pygls", None)
    assert main(["lsp"]) == 2
    assert "pip install 'trainlint[lsp]'" in capsys.readouterr().err


def test_a_check_imports_nothing_of_it(tmp_path: Path) -> None:
    written(tmp_path, train=MISTAKE)
    command = [sys.executable, "-X", "importtime", "-m", "trainlint", "check", str(tmp_path)]
    errors = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True).stderr
    assert "libcst" in errors
    assert not {"pygls", "lsprotocol", "asyncio", "trainlint.integrations"} & {
        line.rpartition("|")[2].strip() for line in errors.splitlines()
    }


# --- What is found ----------------------------------------------------------------------------------------------------


PROJECTS = [*sorted((ROOT / "fixtures").glob("*/bad")), ROOT / "examples" / "digits"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One server for all projects at once."""
    with started(tmp_path_factory.mktemp("elsewhere")) as running:
        running.initialize(*PROJECTS)
        yield running


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_each_file_has_the_findings_of_a_check_of_the_project(wide: Client, folder: Path) -> None:
    configuration = Configuration(isolated=True)
    targets = [replace(t, filename=str(t.path)) for t in discover([str(folder)], configuration)]
    expected: dict[str, list[Any]] = {target.filename: [] for target in targets}
    for found in check(targets).findings:
        span = found.span
        place = (span.line - 1, span.column - 1, span.end_line - 1, span.end_column - 1)
        expected[found.filename].append((found.code, *place))
    assert any(expected.values())
    for name, found_there in expected.items():
        assert places(wide.open(Path(name))) == found_there
        wide.notify("textDocument/didClose", textDocument={"uri": Path(name).as_uri()})


def test_a_diagnostic_tells_all(client: Client, tmp_path: Path) -> None:
    model, train = written(tmp_path, model=MODEL, train=TRAIN)
    client.initialize(tmp_path)
    (found,) = client.open(train)
    assert (found["code"], found["severity"], found["source"]) == ("TL101", 1, "trainlint")
    assert "(softmax at model.py:10)" in found["message"]
    assert found["codeDescription"]["href"].endswith("/TL101-softmax-before-cross-entropy.md")
    assert found["relatedInformation"] == [
        {
            "location": {
                "uri": model.as_uri(),
                "range": {"start": {"line": 9, "character": 15}, "end": {"line": 9, "character": 38}},
            },
            "message": "softmax",
        }
    ]


def test_related_information_is_for_those_who_show_it(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=MISTAKE)
    client.initialize(tmp_path, capabilities={})
    assert "relatedInformation" not in client.open(path)[0]


@pytest.mark.parametrize(
    ("encodings", "chosen"),
    [(None, "utf-16"), (["utf-32", "utf-16"], "utf-32"), (["utf-8"], "utf-8"), (["utf-7"], "utf-16")],
)
def test_columns_count_as_agreed(client: Client, tmp_path: Path, encodings: list[str] | None, chosen: str) -> None:
    (path,) = written(tmp_path, train=MISTAKE.replace("return F", "'é🙂'; return F"))
    general = {} if encodings is None else {"general": {"positionEncodings": encodings}}
    assert client.initialize(tmp_path, capabilities=general)["positionEncoding"] == chosen
    column = 27 + len("'é🙂'; ") + {"utf-8": 4, "utf-16": 1, "utf-32": 0}[chosen]
    assert places(client.open(path)) == [("TL101", 5, column, 5, column + len("probabilities"))]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_form_feeds(client: Client, tmp_path: Path, end: str) -> None:
    path = tmp_path / "train.py"
    text = MISTAKE.replace("\ndef", "\n\fx = 'a\x0bb\u2028c'\ndef").replace("\n", end)
    path.write_bytes(text.encode())
    client.initialize(tmp_path)
    assert places(client.open(path)) == [("TL101", 6, *FOUND[2:3], 6, FOUND[4])]
    # An edit of a part of the text, behind all that.
    where = {"start": {"line": 5, "character": 20}, "end": {"line": 5, "character": 33}}
    client.notify(
        "textDocument/didChange",
        textDocument={"uri": path.as_uri(), "version": 2},
        contentChanges=[{"range": where, "text": "torch.log_softmax"}],
    )
    assert codes(client.diagnostics(path.as_uri(), 2)) == ["TL105"]


# --- What is not saved ------------------------------------------------------------------------------------------------


def test_a_text_is_checked_as_it_is_in_the_editor(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train="import torch\n")
    client.initialize(tmp_path)
    assert client.open(path) == []
    version = client.change(path, MISTAKE)
    assert places(client.diagnostics(path.as_uri(), version)) == [FOUND]
    client.notify("textDocument/didClose", textDocument={"uri": path.as_uri()})
    assert client.diagnostics(path.as_uri()) == []


def test_what_others_import_is_taken_from_the_editor_too(client: Client, tmp_path: Path) -> None:
    model, train = written(tmp_path, model=MODEL, train=TRAIN)
    client.initialize(tmp_path)
    assert codes(client.open(train)) == ["TL101"]
    assert client.open(model) == []
    client.change(model, GOOD_MODEL)
    assert client.diagnostics(train.as_uri()) == []
    client.change(model, MODEL)
    assert codes(client.diagnostics(train.as_uri())) == ["TL101"]


def test_the_program_that_uses_a_file_is_checked_with_it(client: Client, tmp_path: Path) -> None:
    """The finding is in the file that is open, and comes about in one that is not."""
    losses, _ = written(
        tmp_path,
        losses="import torch.nn.functional as F\n\n\ndef loss_of(x, y):\n    return F.cross_entropy(x, y)\n",
        train="import torch\nfrom losses import loss_of\n\nmodel = torch.nn.Linear(4, 2)\n"
        "print(loss_of(model(torch.ones(3, 4)).softmax(1), torch.zeros(3).long()))\n",
    )
    client.initialize(tmp_path)
    assert codes(client.open(losses)) == ["TL101"]


def test_a_file_that_was_never_saved_can_be_imported(client: Client, tmp_path: Path) -> None:
    (train,) = written(tmp_path, train=TRAIN)
    client.initialize(tmp_path)
    assert client.open(train) == []
    client.open(tmp_path / "model.py", MODEL)
    client.change(train, TRAIN + "\n")
    assert codes(client.diagnostics(train.as_uri(), 2)) == ["TL101"]


def test_a_file_that_is_not_checked_is_imported_from_the_editor_too(client: Client, tmp_path: Path) -> None:
    model, train = written(tmp_path, model=MODEL, train=TRAIN)
    (tmp_path / "trainlint.toml").write_text('exclude = ["model.py"]\n')
    client.initialize(tmp_path)
    assert codes(client.open(train)) == ["TL101"]
    assert client.open(model, GOOD_MODEL) == []
    client.change(train, TRAIN + "\n")
    assert client.diagnostics(train.as_uri(), 2) == []


def test_a_check_gives_up_when_nobody_waits_for_it(tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=MISTAKE)
    opened = [Opened(path, MISTAKE, {None: Part(path.as_uri(), 1)})]
    asked = iter([False, False, True])
    with pytest.raises(Superseded):
        Project().check([tmp_path], opened, lambda: next(asked))
    assert next(asked, None) is None
    ((found,),) = (checked.findings for checked in Project().check([tmp_path], opened, lambda: False))
    assert found.code == "TL101"


def test_only_the_last_of_quick_changes_is_shown(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=MISTAKE)
    client.initialize(tmp_path)
    client.open(path)
    for number in range(10):
        client.change(path, MISTAKE + f"x = {number}\n")
    assert places(client.diagnostics(path.as_uri(), 11)) == [FOUND]
    versions = [m["params"].get("version") for m in client.received if "diagnostics" in m.get("params", {})]
    assert versions == [1, 11]


def long_program() -> str:
    """Takes seconds to check."""
    return "import torch\n" + "".join(MISTAKE.replace("loss_of", f"loss{number}") for number in range(2000))


def item(path: Path) -> dict[str, Any]:
    return {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": path.read_text()}


def test_it_answers_while_it_checks(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, long=long_program() + "x = 1  # noqa: TL101\n")
    client.initialize(tmp_path)
    client.notify("textDocument/didOpen", textDocument=item(path))
    hover = client.hover(path, path.read_text().count("\n") - 1, 16)
    assert hover is not None
    assert hover["contents"]["value"].startswith("# TL101")
    assert not [m for m in client.received if m.get("method") == "textDocument/publishDiagnostics"]


def test_a_change_ends_the_check_of_what_it_changed(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, long=long_program())
    client.initialize(tmp_path)
    client.notify("textDocument/didOpen", textDocument=item(path))
    client.versions[path.as_uri()] = 1
    client.change(path, MISTAKE)
    assert places(client.diagnostics(path.as_uri())) == [FOUND]
    assert client.received[-1]["params"]["version"] == 2


# --- Folders and settings ---------------------------------------------------------------------------------------------


def test_settings_are_those_of_the_files_folder(client: Client, tmp_path: Path) -> None:
    paths = [written(tmp_path / name, train=MISTAKE)[0] for name in ("src", "tests", "data")]
    (tmp_path / "pyproject.toml").write_text(
        '[tool.trainlint]\nexclude = ["data"]\nper-file-ignores = { "tests/**" = ["TL1"] }\n'
    )
    client.initialize(tmp_path)
    assert [codes(client.open(path)) for path in paths] == [["TL101"], [], []]


def test_a_change_of_settings_counts_at_once(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=MISTAKE)
    client.initialize(tmp_path)
    assert codes(client.open(path)) == ["TL101"]
    (registration,) = (m for m in client.received if m.get("method") == "client/registerCapability")
    assert registration["params"]["registrations"][0]["method"] == "workspace/didChangeWatchedFiles"
    settings = tmp_path / "trainlint.toml"
    settings.write_text('ignore = ["TL101"]\n')
    changed = [{"uri": settings.as_uri(), "type": 1}]
    client.notify("workspace/didChangeWatchedFiles", changes=changed)
    assert client.diagnostics(path.as_uri()) == []


def test_a_mistake_in_the_settings_is_shown_once(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=MISTAKE)
    settings = tmp_path / "trainlint.toml"
    settings.write_text('selct = ["TL101"]\n')
    client.initialize(tmp_path)
    assert client.open(path) == []
    client.change(path, MISTAKE + "\n")
    client.diagnostics(path.as_uri(), 2)
    (message,) = (m["params"] for m in client.received if m.get("method") == "window/showMessage")
    assert message["type"] == 2
    assert "unknown key `selct`; did you mean `select`?" in message["message"]
    settings.unlink()
    client.change(path, MISTAKE)
    assert codes(client.diagnostics(path.as_uri(), 3)) == ["TL101"]


def test_what_the_baseline_knows_is_no_news(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path / "project" / "src", train=MISTAKE)
    folder = tmp_path / "project"
    (folder / "trainlint.toml").write_text('baseline = "known.json"\n')
    (folder / "known.json").write_text(
        json.dumps({"src/train.py": {"TL101": ["return F.cross_entropy(probabilities)"]}})
    )
    client.initialize(folder)
    assert client.open(path) == []
    more = MISTAKE + MISTAKE.partition("\n\n")[2].replace("loss_of", "other_loss").replace("labels)", "targets)")
    client.change(path, more)
    assert places(client.diagnostics(path.as_uri(), 2)) == [("TL101", 8, 27, 8, 40)]


def test_several_folders_and_none(client: Client, tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    for folder in (one, two, other):
        written(folder, model=MODEL, train=TRAIN)
    (two / "trainlint.toml").write_text('ignore = ["TL1"]\n')
    client.initialize(one, two)
    assert [codes(client.open(folder / "train.py")) for folder in (one, two, other)] == [["TL101"], [], ["TL101"]]
    assert "softmax at model.py" in client.open(one / "train.py")[0]["message"]
    folders = {"added": [], "removed": [{"uri": one.as_uri(), "name": "one"}]}
    client.notify("workspace/didChangeWorkspaceFolders", event=folders)
    assert codes(client.diagnostics((one / "train.py").as_uri())) == ["TL101"]


def test_no_folder_at_all(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=MISTAKE)
    client.initialize(capabilities={})
    assert places(client.open(path)) == [FOUND]


def test_a_path_with_what_addresses_quote(client: Client, tmp_path: Path) -> None:
    model, train = written(tmp_path / "a b#ü%20", model=MODEL, train=TRAIN)
    client.initialize(tmp_path)
    client.open(model)
    (found,) = client.open(train)
    assert found["relatedInformation"][0]["location"]["uri"] == model.as_uri()


def test_texts_that_are_no_files(client: Client, tmp_path: Path) -> None:
    client.initialize(tmp_path)
    for uri, language in (("untitled:Untitled-1", "python"), ((tmp_path / "a.md").as_uri(), "markdown")):
        document = {"uri": uri, "languageId": language, "version": 1, "text": MISTAKE}
        client.notify("textDocument/didOpen", textDocument=document)
    (path,) = written(tmp_path, train=MISTAKE)
    assert places(client.open(path)) == [FOUND]
    assert {m["params"]["uri"] for m in client.received if "diagnostics" in m.get("params", {})} == {path.as_uri()}


# --- Actions ----------------------------------------------------------------------------------------------------------


def apply(client: Client, action: dict[str, Any]) -> None:
    """Do what an action says, as an editor would."""
    for change in action["edit"]["documentChanges"]:
        uri = change["textDocument"]["uri"]
        assert change["textDocument"]["version"] == client.versions[uri]
        client.change(Path(uri.removeprefix("file://")), edited(client.texts[uri], change["edits"]))


def test_a_fix_mends_its_finding(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=FIXABLE)
    client.initialize(tmp_path)
    assert codes(client.open(path)) == ["TL305", "TL101"]
    safe, silence = client.actions(path, 4, 3, ["quickfix"])
    assert (safe["title"], safe["kind"], safe["isPreferred"]) == ("Call it (TL305)", "quickfix", True)
    assert codes(safe["diagnostics"]) == ["TL305"]
    assert (silence["title"], silence["isPreferred"]) == ("Suppress TL305 here", False)
    apply(client, safe)
    assert client.texts[path.as_uri()] == FIXABLE.replace("model.eval", "model.eval()")
    assert codes(client.diagnostics(path.as_uri(), 2)) == ["TL101"]
    unsafe, silence = client.actions(path, 6, 30, ["quickfix"])
    assert silence["title"] == "Suppress TL101 here"
    assert unsafe["title"] == "Take the softmax away (TL101; read the change before you keep it)"
    assert unsafe["isPreferred"] is False
    apply(client, unsafe)
    assert client.diagnostics(path.as_uri(), 3) == []


def test_a_finding_is_suppressed(client: Client, tmp_path: Path) -> None:
    text = FIXABLE.replace(".long()))", ".long()))  # 🙂 kept  # noqa: E501")
    (path,) = written(tmp_path, train=text)
    client.initialize(tmp_path)
    client.open(path)
    _, silence = client.actions(path, 6, 30, ["quickfix"])
    apply(client, silence)
    assert client.texts[path.as_uri()] == text.replace("E501", "E501, TL101")
    assert codes(client.diagnostics(path.as_uri(), 2)) == ["TL305"]


def test_what_cannot_be_hidden_is_not_offered_to_be(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train="import torch\ndef (\n")
    client.initialize(tmp_path)
    (found,) = client.open(path)
    assert client.actions(path, found["range"]["start"]["line"], found["range"]["start"]["character"]) == []


def test_a_fix_may_be_in_another_file(client: Client, tmp_path: Path) -> None:
    model, train = written(tmp_path, model=MODEL, train=TRAIN)
    client.initialize(tmp_path)
    client.open(model)
    client.open(train)
    action, _ = client.actions(train, 6, 30, ["quickfix"])
    apply(client, action)
    assert client.texts[model.as_uri()] == GOOD_MODEL
    assert client.diagnostics(train.as_uri()) == []


def test_all_safe_fixes_at_once(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=FIXABLE + "model.train\n'🙂'; model.eval\n")
    client.initialize(tmp_path)
    client.open(path)
    for only in (["source"], ["source.fixAll"], ["source.fixAll.trainlint"]):
        (action,) = client.actions(path, 0, only=only)
        assert action["kind"] == "source.fixAll.trainlint"
    apply(client, action)
    expected = FIXABLE.replace("model.eval", "model.eval()") + "model.train()\n'🙂'; model.eval()\n"
    assert client.texts[path.as_uri()] == expected
    assert "TL305" not in codes(client.diagnostics(path.as_uri(), 2))
    assert client.actions(path, 0, only=["source.fixAll"]) == []
    assert client.actions(path, 0, only=["source.organizeImports", "refactor"]) == []


def test_actions_wait_for_the_text_as_it_is(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=FIXABLE)
    client.initialize(tmp_path)
    client.open(path)
    client.change(path, "\n\n" + FIXABLE)
    action, _ = client.actions(path, 6, 3, ["quickfix"])
    apply(client, action)
    assert "model.eval()\n" in client.texts[path.as_uri()]


def test_a_client_without_versions_gets_plain_edits(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=FIXABLE)
    client.initialize(tmp_path, capabilities={})
    client.open(path)
    action, _ = client.actions(path, 4, 3, ["quickfix"])
    (edits,) = action["edit"]["changes"].values()
    assert edited(FIXABLE, edits) == FIXABLE.replace("model.eval", "model.eval()")


# --- Hovers -----------------------------------------------------------------------------------------------------------


def test_a_finding_is_explained(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=MISTAKE)
    client.initialize(tmp_path)
    (found,) = client.open(path)
    hover = client.hover(path, 5, 30)
    assert hover is not None
    assert (hover["contents"]["kind"], hover["range"]) == ("markdown", found["range"])
    page = (ROOT / "rules" / "TL101-softmax-before-cross-entropy.md").read_text()
    shown = hover["contents"]["value"]
    assert shown.startswith("# TL101 softmax-before-cross-entropy\n\n")
    assert len([line for line in shown.splitlines() if line not in page]) == 2  # headings of its own
    assert "## Why" in shown
    assert "```python" in shown
    assert client.hover(path, 5, 5) is None
    assert client.hover(path, 99, 5) is None


@pytest.mark.parametrize(
    ("line", "word", "page"),
    [
        ("x = '🙂'  # noqa: E501, TL105", "TL105", "TL105"),
        ("x = 1  # noqa: E501", "E501", None),
        ("# flake8: noqa: TL201", "TL201", "TL201"),
        ("x = 1  # trainlint: ignore[missing-zero-grad] it is meant", "missing-zero-grad", "TL201"),
        ("x = 1  # trainlint: ignore[TL201] TL101 was here", "TL101", None),
        ("# TL101", "TL101", None),
    ],
)
def test_codes_in_comments_are_explained(wide: Client, tmp_path: Path, line: str, word: str, page: str | None) -> None:
    (path,) = written(tmp_path, train=line + "\n")
    wide.open(path)
    start = len(line[: line.index(word)].encode("utf-16-le")) // 2
    hover = wide.hover(path, 0, start + 1)
    if page is None:
        assert hover is None
        return
    assert hover is not None
    assert hover["contents"]["value"].startswith(f"# {page} ")
    assert hover["range"]["start"] == {"line": 0, "character": start}
    assert hover["range"]["end"] == {"line": 0, "character": start + len(word)}


# --- Notebooks --------------------------------------------------------------------------------------------------------


def cell(address: str, number: int, text: str) -> dict[str, Any]:
    return {"uri": address.format(number), "languageId": "python", "version": 1, "text": text}


def open_notebook(client: Client, path: Path, *cells: dict[str, Any]) -> None:
    notebook = {
        "uri": path.as_uri(),
        "notebookType": "jupyter-notebook",
        "version": 1,
        "cells": [{"kind": 2, "document": cell["uri"]} for cell in cells],
    }
    client.notify("notebookDocument/didOpen", notebookDocument=notebook, cellTextDocuments=list(cells))


def change_notebook(client: Client, path: Path, version: int, **cells: Any) -> None:
    document = {"uri": path.as_uri(), "version": version}
    client.notify("notebookDocument/didChange", notebookDocument=document, change={"cells": cells})


@pytest.mark.parametrize("address", ["vscode-notebook-cell:/train.ipynb#{}", "file:///train.ipynb.{}.py"])
def test_a_notebook_is_one_program_shown_by_cells(client: Client, tmp_path: Path, address: str) -> None:
    path = tmp_path / "train.ipynb"
    head, _, function = MISTAKE.partition("\n\n")
    cells = [cell(address, 7, "%matplotlib inline\n" + head), cell(address, 5, ""), cell(address, 9, function)]
    client.initialize(tmp_path)
    open_notebook(client, path, *cells)
    assert client.diagnostics(cells[0]["uri"], 1) == []
    assert client.diagnostics(cells[1]["uri"], 1) == []
    (found,) = client.diagnostics(cells[2]["uri"], 1)
    assert places([found]) == [("TL101", 2, 27, 2, 40)]
    assert found["relatedInformation"][0]["location"]["uri"] == cells[2]["uri"]

    # One cell is edited, and one is put in front of all.
    start, end = {"line": 1, "character": 20}, {"line": 1, "character": 33}
    edit = [{"range": {"start": start, "end": end}, "text": "torch.log_softmax"}]
    changed = [{"document": {"uri": cells[2]["uri"], "version": 2}, "changes": edit}]
    change_notebook(client, path, 2, textContent=changed)
    assert codes(client.diagnostics(cells[2]["uri"], 2)) == ["TL105"]
    new = cell(address, 11, "import torch\nmodel = torch.nn.Linear(2, 2)\nmodel.eval\n")
    array = {"start": 0, "deleteCount": 0, "cells": [{"kind": 2, "document": new["uri"]}]}
    change_notebook(client, path, 3, structure={"array": array, "didOpen": [new]})
    assert places(client.diagnostics(new["uri"], 1)) == [("TL305", 2, 0, 2, 10)]
    assert codes(client.diagnostics(cells[2]["uri"], 2)) == ["TL105"]

    place = {"line": 2, "character": 3}
    params = {"textDocument": {"uri": new["uri"]}, "range": {"start": place, "end": place}}
    action, _ = client.request(
        "textDocument/codeAction", {**params, "context": {"diagnostics": [], "only": ["quickfix"]}}
    )
    (change,) = action["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": new["uri"], "version": 1}
    assert edited(new["text"], change["edits"]) == new["text"].replace("eval", "eval()")

    client.notify(
        "notebookDocument/didClose",
        notebookDocument={"uri": path.as_uri()},
        cellTextDocuments=[{"uri": cell["uri"]} for cell in (new, *cells)],
    )
    assert client.diagnostics(cells[2]["uri"]) == []
    assert client.leave() == 0


def test_a_notebook_that_is_open_as_text_is_left_alone(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "train.ipynb"
    content = {"cells": [{"cell_type": "code", "source": MISTAKE}], "nbformat": 4, "metadata": {}}
    path.write_text(json.dumps(content))
    client.initialize(tmp_path)
    client.notify("textDocument/didOpen", textDocument={**item(path), "languageId": "python"})
    (other,) = written(tmp_path, train=MISTAKE)
    assert places(client.open(other)) == [FOUND]
    assert {m["params"]["uri"] for m in client.received if "diagnostics" in m.get("params", {})} == {other.as_uri()}


# --- What goes wrong --------------------------------------------------------------------------------------------------


def test_it_survives_what_it_does_not_understand(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=MISTAKE)
    client.initialize(tmp_path)
    client.send_bytes(b"{ this is no JSON")
    client.notify("textDocument/didOpen", textDocument={"uri": 3})
    client.notify("textDocument/didChange", textDocument={"uri": "file:///none.py", "version": 2}, contentChanges=[])
    client.notify("workspace/didNothing")
    with pytest.raises(RuntimeError, match="Method Not Found"):
        client.request("textDocument/noSuchThing", {})
    client.ask("textDocument/hover", {"textDocument": 5})
    assert places(client.open(path)) == [FOUND]
    assert client.leave() == 0


def test_it_survives_texts_that_are_no_python(client: Client, tmp_path: Path) -> None:
    (path,) = written(tmp_path, train=MISTAKE)
    client.initialize(tmp_path)
    assert places(client.open(path)) == [FOUND]
    for text in ("def (", "\0", "\ud83d import torch", "(" * 5000, "x = '''import torch"):
        version = client.change(path, "import torch\n" + text)
        assert codes(client.diagnostics(path.as_uri(), version)) == ["TL000"]
    version = client.change(path, MISTAKE)
    assert places(client.diagnostics(path.as_uri(), version)) == [FOUND]


def meddled(folder: Path, body: str) -> dict[str, str]:
    """An environment in which something happens first in every check."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        f"import os\nfrom trainlint import engine\nbefore = engine.check\n"
        f"def check(targets, **more):\n    {body}\n    return before(targets, **more)\nengine.check = check\n"
    )
    return {"PYTHONPATH": f"{folder}:{ROOT}"}


def test_a_failure_of_ours_is_shown_and_survived(tmp_path: Path) -> None:
    (path,) = written(tmp_path / "project", train=MISTAKE)
    body = "if 'fail' in str(more['texts']): raise ValueError('this is odd')"
    with started(tmp_path, **meddled(tmp_path / "site", body)) as client:
        client.initialize(path.parent)
        assert client.open(path, MISTAKE + "# fail\n") == []
        message = next(m["params"] for m in client.received if m.get("method") == "window/showMessage")
        assert message == {"type": 1, "message": "trainlint: internal error: ValueError: this is odd"}
        client.change(path, MISTAKE)
        assert places(client.diagnostics(path.as_uri(), 2)) == [FOUND]
        assert client.leave() == 0
    assert b"ValueError: this is odd" in client.errors


def test_what_is_printed_does_not_disturb_the_protocol(tmp_path: Path) -> None:
    (path,) = written(tmp_path / "project", train=MISTAKE)
    with started(tmp_path, **meddled(tmp_path / "site", "print('noise'); os.write(1, b'more noise')")) as client:
        client.initialize(path.parent)
        assert places(client.open(path)) == [FOUND]
        assert client.leave() == 0
    assert b"noise" in client.errors
    assert b"more noise" in client.errors


def test_editors_may_say_that_they_use_pipes(tmp_path: Path) -> None:
    with started(tmp_path, sys.executable, "-m", "trainlint", "lsp", "--stdio") as client:
        client.initialize(tmp_path, capabilities=CAPABILITIES)
        assert client.leave() == 0
