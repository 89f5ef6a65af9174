"""A module of the linted project as the interpreter sees it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlint.semantics.values import Object, Value

if TYPE_CHECKING:
    import libcst as cst

    from trainlint.syntax import SourceFile

RUNNER = re.compile(r"^[ \t]*(?:import|from) (?:pytest|unittest|absl\.testing)\b", re.MULTILINE)
TEST = re.compile(r"^[ \t]*def test_", re.MULTILINE)


class Namespace(Object):
    """One file of the project: its global names live in `attrs`.

    state     "new", "loading", "loaded" or "failed"
    deferred  the `if __name__ == "__main__"` blocks, run when the file is checked as a program
    """

    __slots__ = (
        "chosen",
        "deferred",
        "dotted",
        "ends",
        "events",
        "flags",
        "functions",
        "imported",
        "package",
        "path",
        "source",
        "state",
    )

    def __init__(self, dotted: str, source: SourceFile | None, package: bool = False) -> None:
        super().__init__()
        self.dotted = dotted
        self.source = source
        self.package = package
        self.state = "new"
        self.deferred: list[cst.BaseSuite] = []
        self.functions: list[Value] = []
        self.imported = 0  # how often other modules import it
        self.path: Path | None = None
        self.flags: dict[str, Any] = {}
        self.chosen = 0  # how often its top level picks one of several alternatives by a setting
        self.events: list[Any] = []
        self.ends: list[Any] = []  # what was done where its program ended before its last line

    @property
    def holds_tests(self) -> bool:
        """Whether this file is there for a test runner. A script that evaluates may have a test's name too."""
        if self.path is None or self.source is None:
            return False
        text = self.source.text
        if "(unittest.TestCase)" in text:
            return True
        if not self.path.name.startswith("test_") and not self.path.stem.endswith("_test"):
            return False
        return RUNNER.search(text) is not None or (TEST.search(text) is not None and "__main__" not in text)

    def describe(self) -> str:
        return f"module {self.dotted}"
