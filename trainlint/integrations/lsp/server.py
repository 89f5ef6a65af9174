"""The messages of the protocol, and when files are checked.

Handlers run on the event loop and are quick. Checks run one at a time in a thread; what was changed in the meantime
makes a running check give up, and its result is never shown.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from trainlint import __version__, engine
from trainlint.config import UsageError
from trainlint.findings import Edit, Finding, Safety
from trainlint.fixing import compatible
from trainlint.integrations.lsp import documents, translation
from trainlint.integrations.lsp.documents import Opened
from trainlint.integrations.lsp.project import Checked, Project, Superseded
from trainlint.integrations.lsp.translation import FIX_ALL, Client, Report, Shown

# Seconds without a key pressed before a text is checked, and for which a question about findings waits for the check.
PAUSE = 0.25
PATIENCE = 30.0

# Whose change on the disk can change what is found.
WATCHED = "**/{*.py,*.ipynb,pyproject.toml,trainlint.toml,.gitignore}"

NOTEBOOKS = types.NotebookDocumentSyncOptions(
    [
        types.NotebookDocumentFilterWithNotebook(
            types.NotebookDocumentFilterNotebookType("jupyter-notebook"), [types.NotebookCellLanguage("python")]
        )
    ],
    save=True,
)


class Server(LanguageServer):
    """trainlint for an editor."""

    def __init__(self) -> None:
        super().__init__("trainlint", __version__, notebook_document_sync=NOTEBOOKS)
        self.project = Project()
        self.was_shut_down = False
        # What was found last, and whether nothing has changed since.
        self.report: Report | None = None
        self.opened: list[Opened] = []
        self.is_current = asyncio.Event()
        self._change = 0
        self._check: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "check")
        self._told = ""

    # --- Checking -------------------------------------------------------------------------------------------------

    def check(self, delay: float = 0.0) -> None:
        """Check what is open, after a delay in which nothing more is changed."""
        self._change += 1
        self.is_current.clear()
        if self._check is not None:
            self._check.cancel()
        self._check = asyncio.ensure_future(self._checked(self._change, delay))

    async def _checked(self, change: int, delay: float) -> None:
        await asyncio.sleep(delay)
        opened = documents.opened(self.workspace)
        check = partial(self.project.check, self._folders(), opened, lambda: self._change != change)
        results: Sequence[Checked] = ()
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._thread, check)
            self._told = ""
        except Superseded:
            return
        except UsageError as error:
            self._tell(str(error), types.MessageType.Warning)
        except Exception as error:  # noqa: BLE001 - the server outlives whatever it is given
            traceback.print_exception(error, file=sys.stderr)
            self._tell(f"internal error: {type(error).__name__}: {error}", types.MessageType.Error)
        self._publish(Report.of(results, opened, self.client()), opened)

    def _publish(self, report: Report, opened: list[Opened]) -> None:
        gone = () if self.report is None else self.report.parts.keys() - report.parts.keys()
        self.report, self.opened = report, opened
        for part in report.parts.values():
            found = [shown.diagnostic for shown in report.shown[part.uri]]
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(part.uri, found, part.version))
        for uri in gone:
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))
        self.is_current.set()

    async def found(self) -> Report | None:
        """What is found in the files as they are now; None if that takes too long."""
        try:
            await asyncio.wait_for(self.is_current.wait(), PATIENCE)
        except asyncio.TimeoutError:
            return None
        return self.report

    def _folders(self) -> list[Path]:
        uris = [folder.uri for folder in self.workspace.folders.values()] or [self.workspace.root_uri]
        return [Path(path) for uri in uris if uri is not None and (path := to_fs_path(uri)) is not None]

    def client(self) -> Client:
        """What the client takes."""
        text = self.client_capabilities.text_document
        space = self.client_capabilities.workspace
        diagnostics = None if text is None else text.publish_diagnostics
        edits = None if space is None else space.workspace_edit
        hovers = None if text is None or text.hover is None else text.hover.content_format
        return Client(
            codec=self.workspace.position_codec,
            related=bool(diagnostics is not None and diagnostics.related_information),
            versioned_edits=bool(edits is not None and edits.document_changes),
            markdown=hovers is None or types.MarkupKind.Markdown in hovers,
        )

    def _tell(self, message: str, kind: types.MessageType) -> None:
        """Tell people something, once until it is over."""
        if message != self._told:
            self._told = message
            self.window_show_message(types.ShowMessageParams(kind, f"trainlint: {message}"))

    # --- Actions --------------------------------------------------------------------------------------------------

    def actions(self, report: Report, params: types.CodeActionParams) -> list[types.CodeAction]:
        """What can be done about the findings in a range, and about the whole document."""
        uri, wanted = params.text_document.uri, params.context.only
        here = report.shown.get(uri, [])
        found: list[types.CodeAction] = []
        if _is_wanted(types.CodeActionKind.QuickFix.value, wanted):
            for shown in here:
                if translation.overlap(shown.diagnostic.range, params.range):
                    found += self._quick_fixes(shown)
        if _is_wanted(FIX_ALL, wanted):
            found += self._fix_all(here)
        return found

    def _quick_fixes(self, shown: Shown) -> list[types.CodeAction]:
        """To mend a finding, and to suppress it."""
        from trainlint.silencing import comments_for

        finding, checked = shown.finding, shown.checked
        comment = comments_for(finding.filename, checked.texts[finding.filename], [finding])
        offers = [(f"Suppress {finding.code} here", tuple(comment), False)] if comment else []
        if finding.fix is not None:
            is_safe = finding.fix.safety is Safety.SAFE
            offers.insert(0, (translation.fix_title(finding), finding.fix.edits, is_safe))
        kind = types.CodeActionKind.QuickFix.value
        actions = [self._action(title, kind, edits, [shown], preferred=best) for title, edits, best in offers]
        return [action for action in actions if action is not None]

    def _fix_all(self, here: Sequence[Shown]) -> list[types.CodeAction]:
        """One action for all safe fixes that stay within the document."""
        safe = {id(shown.finding): shown for shown in here if _is_safe(shown.finding)}
        if not safe:
            return []
        checked = next(iter(safe.values())).checked
        chosen = compatible(shown.finding for shown in safe.values())
        done, _, _ = engine.apply(chosen, checked.texts, checked.paths)
        edits = [edit for finding in done if finding.fix is not None for edit in finding.fix.edits]
        action = self._action("Fix all that is safe to fix (trainlint)", FIX_ALL, edits, [safe[id(f)] for f in done])
        return [] if action is None else [action]

    def _action(
        self, title: str, kind: str, edits: Sequence[Edit], shown: Sequence[Shown], *, preferred: bool = False
    ) -> types.CodeAction | None:
        if not shown:
            return None
        edit = translation.workspace_edit(edits, shown[0].checked, self.opened, self.client())
        if edit is None:
            return None
        diagnostics = [one.diagnostic for one in shown]
        return types.CodeAction(title, kind, diagnostics, is_preferred=preferred, edit=edit)


def _is_safe(finding: Finding) -> bool:
    """Whether a finding has a safe fix that stays within its file, and cell."""
    fix = finding.fix
    return (
        fix is not None
        and fix.safety is Safety.SAFE
        and all((edit.filename, edit.cell) == (finding.filename, finding.cell) for edit in fix.edits)
    )


def _is_wanted(kind: str, wanted: Sequence[types.CodeActionKind | str] | None) -> bool:
    """Whether a kind of action is asked for: by itself or by a kind above it."""
    names = [item.value if isinstance(item, types.CodeActionKind) else item for item in wanted or ()]
    return wanted is None or any(name in ("", kind) or kind.startswith(f"{name}.") for name in names)


# --- The handlers -----------------------------------------------------------------------------------------------------


def watch(ls: Server, params: types.InitializedParams) -> None:
    """Ask to be told of changes on the disk."""
    space = ls.client_capabilities.workspace
    watching = None if space is None else space.did_change_watched_files
    if watching is not None and watching.dynamic_registration:
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(WATCHED)])
        registration = types.Registration("files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        ls.client_register_capability(types.RegistrationParams([registration]))


def open_file(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    """A file is opened."""
    documents.adopt(ls.workspace, [params.text_document])
    ls.check()


def open_notebook(ls: Server, params: types.DidOpenNotebookDocumentParams) -> None:
    """A notebook is opened."""
    documents.adopt(ls.workspace, params.cell_text_documents)
    ls.check()


def change_notebook(ls: Server, params: types.DidChangeNotebookDocumentParams) -> None:
    """A notebook is edited, perhaps with new cells."""
    cells = params.change.cells
    if cells is not None and cells.structure is not None:
        documents.adopt(ls.workspace, cells.structure.did_open or ())
    ls.check(PAUSE)


def check_soon(ls: Server, params: object) -> None:
    """A text is edited."""
    ls.check(PAUSE)


def check_now(ls: Server, params: object) -> None:
    """Something else is changed that findings depend on."""
    ls.check()


async def code_action(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
    """What can be done about findings?"""
    report = await ls.found()
    return [] if report is None else ls.actions(report, params)


async def hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
    """What does a finding mean, or a code in a comment?"""
    client = ls.client()
    document = ls.workspace.get_text_document(params.text_document.uri)
    position, lines = document.position_from_client_units(params.position), document.lines
    line = lines[position.line].rstrip("\r\n") if position.line < len(lines) else ""
    for code, start, end in translation.codes_in_comment(line, position.character):
        units = [types.Position(position.line, client.codec.client_num_units(line[:column])) for column in (start, end)]
        return translation.hover([code], types.Range(*units), client)
    report = await ls.found()
    place = types.Range(params.position, params.position)
    shown = () if report is None else report.shown.get(params.text_document.uri, ())
    found = [one.diagnostic for one in shown if translation.overlap(one.diagnostic.range, place)]
    return translation.hover([str(one.code) for one in found], found[0].range if found else None, client)


def shut_down(ls: Server, params: None) -> None:
    """The client is about to end the process."""
    ls.was_shut_down = True


def leave(ls: Server, params: None = None) -> None:
    """End the process, without waiting for a check that goes on in its thread."""
    sys.stderr.flush()
    os._exit(0 if ls.was_shut_down else 1)


HANDLERS: dict[str, Callable[..., Any]] = {
    types.INITIALIZED: watch,
    types.TEXT_DOCUMENT_DID_OPEN: open_file,
    types.TEXT_DOCUMENT_DID_CHANGE: check_soon,
    types.TEXT_DOCUMENT_DID_SAVE: check_now,
    types.TEXT_DOCUMENT_DID_CLOSE: check_now,
    types.NOTEBOOK_DOCUMENT_DID_OPEN: open_notebook,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE: change_notebook,
    types.NOTEBOOK_DOCUMENT_DID_SAVE: check_now,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE: check_now,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: check_now,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: check_now,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: check_now,
    types.TEXT_DOCUMENT_CODE_ACTION: code_action,
    types.TEXT_DOCUMENT_HOVER: hover,
    types.SHUTDOWN: shut_down,
    types.EXIT: leave,
}
OPTIONS = {types.TEXT_DOCUMENT_CODE_ACTION: types.CodeActionOptions([types.CodeActionKind.QuickFix, FIX_ALL])}


def serve() -> None:
    """Talk to a client over the standard input and output until it ends; does not return.

    Whatever else writes to the standard output goes to the standard error.
    """
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    logging.getLogger("pygls").setLevel(logging.ERROR)  # it warns of what clients may well do
    server = Server()
    for message, handler in HANDLERS.items():
        server.feature(message, OPTIONS.get(message))(handler)
    server.start_io(stdout=output)
    leave(server)
