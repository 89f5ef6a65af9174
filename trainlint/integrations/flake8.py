"""The plugin for flake8, which hands over one file at a time; what that file imports is read along.

Which rules run is said by the settings file of trainlint, and which findings count by flake8: `--select`, `--ignore`,
`per-file-ignores`, `# noqa`.
"""

from __future__ import annotations

import argparse
import ast
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

from trainlint import __version__, engine
from trainlint.config import UNREADABLE, UNUSED_SUPPRESSION, Configuration, Overrides, Selection, UsageError
from trainlint.discovery import Target, is_excluded
from trainlint.findings import Finding

PREFIX = "TL"


class Plugin:
    """Checks one file."""

    name = "trainlint"
    version = __version__
    asked_for: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tree: ast.AST, filename: str, lines: Sequence[str]) -> None:
        # flake8 tells from the parameter `tree` that the plugin is run once a file.
        self._filename = filename
        self._text = "".join(lines)

    @classmethod
    def parse_options(cls, options: argparse.Namespace) -> None:
        """Note the rules that flake8 is told to select, for those that are off by default; `TL` alone means no more
        than that the plugin counts."""
        selectors = (*(options.select or ()), *(options.extend_select or ()))
        cls.asked_for = tuple(s for s in selectors if s.startswith(PREFIX) and s[len(PREFIX) :].isdigit())

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        """Line from 1, column from 0, code and message of each finding."""
        try:
            for finding in self._findings():
                line, column = max(finding.span.line, 1), max(finding.span.column, 1) - 1
                yield line, column, f"{finding.code} {finding.message}", type(self)
        except UsageError as error:  # in a settings file; of what a plugin raises, flake8 shows the traceback
            yield 1, 0, f"{UNREADABLE} {error}", type(self)

    def _findings(self) -> Sequence[Finding]:
        path = Path(os.path.abspath(self._filename))
        settings = _configuration(self.asked_for).for_folder(path.parent)
        if is_excluded(str(path), settings):
            return ()
        target = Target(path, self._filename, settings)
        texts = {self._filename: self._text}
        findings = engine.check([target], texts=texts, noqa=False).findings
        if not findings:
            return ()
        from trainlint.baseline import unknown
        from trainlint.reports.sources import Sources

        return unknown(findings, settings.baseline, Sources(texts))


@cache
def _configuration(asked_for: tuple[str, ...]) -> Configuration:
    # Whether a suppression is of use cannot be told from one file: perhaps it hides what only the project shows.
    return Configuration(Overrides(Selection(extend_select=asked_for, ignore=(UNUSED_SUPPRESSION,))))
