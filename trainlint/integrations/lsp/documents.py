"""What is open in the editor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from lsprotocol import types
from pygls.uris import to_fs_path
from pygls.workspace import TextDocument, Workspace

from trainlint.syntax.positions import NEWLINE


@dataclass(frozen=True, slots=True)
class Part:
    """A document of the protocol: a file, or a cell of a notebook."""

    uri: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open: its text as the editor has it, and its parts, by the number of the code cell (None for a
    file that is no notebook)."""

    path: Path
    text: str
    parts: Mapping[int | None, Part]


class Document(TextDocument):
    """A text with lines as the protocol counts them; pygls takes a form feed, among others, for the end of one."""

    @property
    def lines(self) -> Sequence[str]:
        """The lines with their ends."""
        ends = [0, *(match.end() for match in NEWLINE.finditer(self.source)), len(self.source)]
        return [self.source[start:end] for start, end in pairwise(ends) if start < end]


def adopt(workspace: Workspace, items: Sequence[types.TextDocumentItem]) -> None:
    """Have pygls keep documents that were just opened as `Document`s."""
    for item in items:
        known = workspace.get_text_document(item.uri)
        workspace.text_documents[unquote(item.uri)] = Document(
            known.uri, known.source, known.version, known.language_id, position_codec=workspace.position_codec
        )


def opened(workspace: Workspace) -> list[Opened]:
    """The files that are open and can be checked, notebooks that are open cell by cell among them."""
    return [*_files(workspace), *_notebooks(workspace)]


def _files(workspace: Workspace) -> Iterator[Opened]:
    cells = {cell.document for notebook in workspace.notebook_documents.values() for cell in notebook.cells}
    for document in workspace.text_documents.values():
        path = to_fs_path(document.uri)
        if path is None or document.uri in cells:
            continue
        # A notebook that is open as text shows its JSON, in which the places of cells mean nothing.
        if path.endswith(".py") or (document.language_id == "python" and not path.endswith(".ipynb")):
            yield Opened(Path(path), document.source, {None: Part(document.uri, document.version)})


def _notebooks(workspace: Workspace) -> Iterator[Opened]:
    for notebook in workspace.notebook_documents.values():
        path = to_fs_path(notebook.uri)
        if path is None:
            continue
        cells = [
            workspace.text_documents[unquote(cell.document)]
            for cell in notebook.cells
            if cell.kind is types.NotebookCellKind.Code and unquote(cell.document) in workspace.text_documents
        ]
        content = {
            "cells": [
                {
                    "cell_type": "code",
                    "metadata": {"vscode": {"languageId": cell.language_id or "python"}},
                    "source": cell.source,
                }
                for cell in cells
            ],
            "nbformat": 4,
        }
        parts: dict[int | None, Part] = {n: Part(cell.uri, cell.version) for n, cell in enumerate(cells, 1)}
        yield Opened(Path(path), json.dumps(content), parts)
