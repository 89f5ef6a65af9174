"""From findings to what the protocol has, in the units that the client counts in."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lsprotocol import types
from pygls.uris import from_fs_path
from pygls.workspace import PositionCodec

from trainlint import pages
from trainlint.findings import Edit, Finding, Related, Safety, Severity, Span
from trainlint.integrations.lsp.documents import Opened, Part
from trainlint.integrations.lsp.project import Checked

SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFO: types.DiagnosticSeverity.Information,
}
FIX_ALL = f"{types.CodeActionKind.SourceFixAll.value}.trainlint"


@dataclass(frozen=True)
class Client:
    """What the client takes: how it counts columns, and what it can show."""

    codec: PositionCodec
    related: bool
    versioned_edits: bool
    markdown: bool


@dataclass(frozen=True)
class Shown:
    """A finding and the diagnostic that it is shown as."""

    finding: Finding
    diagnostic: types.Diagnostic
    checked: Checked


@dataclass
class Report:
    """What was found in the open files, by document."""

    client: Client
    parts: dict[str, Part] = field(default_factory=dict)
    shown: dict[str, list[Shown]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, results: Iterable[Checked], opened: Sequence[Opened], client: Client) -> Report:
        """Translate results of a check of the open files."""
        report = cls(client)
        files = {file.path: file for file in opened}
        for file in opened:
            report.parts.update((part.uri, part) for part in file.parts.values())
        for checked in results:
            places = _Places(checked, files, client.codec)
            for finding in checked.findings:
                part = places.part(finding.filename, finding.cell)
                if part is not None:
                    diagnostic = _diagnostic(finding, places, client)
                    report.shown[part.uri].append(Shown(finding, diagnostic, checked))
        return report


class _Places:
    """Where things are, for the client."""

    def __init__(self, checked: Checked, files: Mapping[Path, Opened], codec: PositionCodec) -> None:
        self._checked = checked
        self._files = files
        self._codec = codec

    def part(self, filename: str, cell: int | None) -> Part | None:
        """The open document that holds a place of a file; None if the file is not open."""
        file = self._files.get(self._checked.path(filename))
        if file is None or not file.parts:
            return None
        return file.parts.get(cell) or next(iter(file.parts.values()))

    def uri(self, filename: str, cell: int | None) -> str:
        """The document that holds a place of a file."""
        part = self.part(filename, cell)
        return from_fs_path(str(self._checked.path(filename))) or "" if part is None else part.uri

    def range(self, filename: str, cell: int | None, span: Span) -> types.Range:
        """A span as the client counts."""
        return types.Range(
            self._position(filename, cell, span.line, span.column),
            self._position(filename, cell, span.end_line, span.end_column),
        )

    def _position(self, filename: str, cell: int | None, line: int, column: int) -> types.Position:
        text = self._checked.sources.line(filename, cell, line)
        units = column - 1 if text is None else self._codec.client_num_units(text[: column - 1])
        return types.Position(max(line - 1, 0), max(units, 0))


def _diagnostic(finding: Finding, places: _Places, client: Client) -> types.Diagnostic:
    page = pages.path(finding.code)
    href = None if page is None else from_fs_path(str(page))
    return types.Diagnostic(
        range=places.range(finding.filename, finding.cell, finding.span),
        message=finding.message,
        severity=SEVERITIES[finding.severity],
        code=finding.code,
        code_description=None if href is None else types.CodeDescription(href),
        source="trainlint",
        related_information=[_information(related, places) for related in finding.related] if client.related else None,
    )


def _information(related: Related, places: _Places) -> types.DiagnosticRelatedInformation:
    place = places.range(related.filename, related.cell, related.span)
    return types.DiagnosticRelatedInformation(
        types.Location(places.uri(related.filename, related.cell), place), related.message
    )


# --- Edits ------------------------------------------------------------------------------------------------------------


def workspace_edit(
    edits: Iterable[Edit], checked: Checked, opened: Sequence[Opened], client: Client
) -> types.WorkspaceEdit | None:
    """Edits as the client makes them; None if they concern the cells of a notebook that is not open."""
    files = {file.path: file for file in opened}
    places = _Places(checked, files, client.codec)
    by_uri: dict[str, list[types.TextEdit]] = defaultdict(list)
    versions: dict[str, int | None] = {}
    for edit in dict.fromkeys(edits):
        part = places.part(edit.filename, edit.cell)
        if part is None and edit.cell is not None:
            return None
        uri = places.uri(edit.filename, edit.cell)
        versions[uri] = None if part is None else part.version
        by_uri[uri].append(types.TextEdit(places.range(edit.filename, edit.cell, edit.span), edit.replacement))
    if not client.versioned_edits:
        return types.WorkspaceEdit(changes=dict(by_uri))
    return types.WorkspaceEdit(
        document_changes=[
            types.TextDocumentEdit(types.OptionalVersionedTextDocumentIdentifier(uri, versions[uri]), texts)
            for uri, texts in by_uri.items()
        ]
    )


def overlap(one: types.Range, other: types.Range) -> bool:
    """Whether two ranges have a place in common; an empty range is a place."""
    return _key(one.start) <= _key(other.end) and _key(other.start) <= _key(one.end)


def _key(position: types.Position) -> tuple[int, int]:
    return position.line, position.character


def fix_title(finding: Finding) -> str:
    """What a fix is called: `Call it (TL305)`."""
    assert finding.fix is not None
    message = finding.fix.message
    unsafe = "" if finding.fix.safety is Safety.SAFE else "; read the change before you keep it"
    return f"{message[:1].upper()}{message[1:]} ({finding.code}{unsafe})"


# --- Hovers -----------------------------------------------------------------------------------------------------------

_WORD = re.compile(r"[\w-]+")


def hover(codes: Iterable[str], place: types.Range | None, client: Client) -> types.Hover | None:
    """What the pages of rules say, their further examples left out; None if there are no pages."""
    texts = [
        f"# {page.stem.replace('-', ' ', 1)}\n\n{explanation.as_markdown()}\n"
        for code in dict.fromkeys(codes)
        if (page := pages.path(code)) is not None and (explanation := pages.explanation(code)) is not None
    ]
    kind = types.MarkupKind.Markdown if client.markdown else types.MarkupKind.PlainText
    return types.Hover(types.MarkupContent(kind, "\n\n---\n\n".join(texts)), place) if texts else None


def codes_in_comment(line: str, column: int) -> Iterator[tuple[str, int, int]]:
    """The codes that a word at a column (from 0) of a suppression comment in this line stands for, and where it is."""
    from trainlint.checks import catalogue
    from trainlint.suppress import directives

    word = next((word for word in _WORD.finditer(line) if word.start() <= column <= word.end()), None)
    if word is None:
        return
    for directive in directives(line):
        inside = directive.span.column - 1 <= word.start() and word.end() <= directive.span.end_column - 1
        if inside and word[0].lower() in {selector.lower() for selector in directive.selectors}:
            for info in catalogue():
                if word[0].upper() == info.code or word[0].lower() == info.name:
                    yield info.code, word.start(), word.end()
