"""A client for tests of the language server: real messages through the pipes of a real process."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0  # until an answer that does not come is a failure

CAPABILITIES = {
    "textDocument": {
        "publishDiagnostics": {"relatedInformation": True, "versionSupport": True},
        "hover": {"contentFormat": ["markdown"]},
    },
    "workspace": {
        "workspaceEdit": {"documentChanges": True},
        "didChangeWatchedFiles": {"dynamicRegistration": True},
        "workspaceFolders": True,
    },
    "notebookDocument": {"synchronization": {}},
}


class Client:
    """Talks to a server process. What it is sent is kept in `received`, in order."""

    def __init__(self, command: Sequence[str], folder: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.received: list[dict[str, Any]] = []
        self.versions: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.errors = b""
        self._inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._number = 0
        threading.Thread(target=self._read, daemon=True).start()
        self._drain = threading.Thread(target=self._read_errors, daemon=True)
        self._drain.start()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while header := stream.readline():
            # Anything else on the standard output breaks real clients, too.
            assert header.startswith(b"Content-Length: "), header
            while stream.readline().strip():
                pass
            self._inbox.put(json.loads(stream.read(int(header.split()[1]))))
        self._inbox.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors = self.process.stderr.read()

    def send(self, message: dict[str, Any]) -> None:
        self.send_bytes(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_bytes(self, body: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def notify(self, method: str, **params: Any) -> None:
        self.send({"method": method, "params": params})

    def request(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Ask something and wait for the answer; raises RuntimeError if that is an error."""
        answer = self.answer(self.ask(method, params))
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def ask(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Ask something, and return the number of the question."""
        self._number += 1
        self.send({"id": self._number, "method": method, **({} if params is None else {"params": params})})
        return self._number

    def answer(self, number: int) -> dict[str, Any]:
        return self.wait(lambda message: message.get("id") == number and "method" not in message)

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message that is wanted. What the server asks is answered."""
        while True:
            message = self._inbox.get(timeout=SECONDS)
            assert message is not None, "the server ended"
            self.received.append(message)
            if "id" in message and "method" in message:
                self.send({"id": message["id"], "result": None})
            if wanted(message):
                return message

    def initialize(self, *folders: Path, capabilities: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Say hello; returns what the server can do."""
        params = {
            "processId": os.getpid(),
            "rootUri": folders[0].as_uri() if folders else None,
            "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name} for folder in folders] or None,
            "capabilities": CAPABILITIES if capabilities is None else capabilities,
            **more,
        }
        result = self.request("initialize", params)
        self.notify("initialized")
        return result["capabilities"]

    def open(self, path: Path, text: str | None = None) -> list[dict[str, Any]]:
        """Open a file, and wait for what is found in it."""
        uri = path.as_uri()
        text = path.read_bytes().decode() if text is None else text
        self.versions[uri], self.texts[uri] = 1, text
        item = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self.notify("textDocument/didOpen", textDocument=item)
        return self.diagnostics(uri, 1)

    def change(self, path: Path, text: str) -> int:
        """Put another text in an open file, and return its version."""
        uri = path.as_uri()
        self.versions[uri] += 1
        self.texts[uri] = text
        self.notify(
            "textDocument/didChange",
            textDocument={"uri": uri, "version": self.versions[uri]},
            contentChanges=[{"text": text}],
        )
        return self.versions[uri]

    def diagnostics(self, uri: str, version: int | None = None) -> list[dict[str, Any]]:
        """What is found in a document, of this version if one is given; waits for it."""
        message = self.wait(
            lambda message: (
                message.get("method") == "textDocument/publishDiagnostics"
                and message["params"]["uri"] == uri
                and (version is None or message["params"].get("version") == version)
            )
        )
        return message["params"]["diagnostics"]

    def actions(self, path: Path, line: int, character: int = 0, only: list[str] | None = None) -> list[dict[str, Any]]:
        place = {"line": line, "character": character}
        context = {"diagnostics": [], **({} if only is None else {"only": only})}
        document = {"uri": path.as_uri()}
        params = {"textDocument": document, "range": {"start": place, "end": place}, "context": context}
        return self.request("textDocument/codeAction", params)

    def hover(self, path: Path, line: int, character: int) -> dict[str, Any] | None:
        position = {"line": line, "character": character}
        return self.request("textDocument/hover", {"textDocument": {"uri": path.as_uri()}, "position": position})

    def leave(self) -> int:
        """Shut the server down as a client should; returns its exit status."""
        self.request("shutdown")
        self.send({"method": "exit"})
        return self.end()

    def end(self) -> int:
        """Wait for the process to end; returns its exit status."""
        assert self.process.stdin is not None
        status = self.process.wait(SECONDS)
        self._drain.join(SECONDS)
        return status


@contextmanager
def started(folder: Path, *command: str, **environment: str) -> Iterator[Client]:
    """A running server."""
    client = Client(command or (sys.executable, "-m", "trainlint", "lsp"), folder, **environment)
    try:
        yield client
    finally:
        client.process.kill()
        client.process.wait()
        for stream in (client.process.stdin, client.process.stdout):
            if stream is not None:
                stream.close()


def edited(text: str, edits: list[dict[str, Any]]) -> str:
    """A text after edits, whose columns count UTF-16 units."""
    units = [line.encode("utf-16-le") for line in text.splitlines(keepends=True)] + [b""]
    starts = [sum(map(len, units[:number])) for number in range(len(units))]
    whole = b"".join(units)
    for edit in sorted(edits, key=lambda edit: str(edit["range"]["start"]["line"]).zfill(9), reverse=True):
        start, end = (starts[p["line"]] + 2 * p["character"] for p in (edit["range"]["start"], edit["range"]["end"]))
        whole = whole[:start] + edit["newText"].encode("utf-16-le") + whole[end:]
    return whole.decode("utf-16-le")
