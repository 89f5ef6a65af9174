"""SARIF 2.1.0, for GitHub's code scanning and viewers in editors: with traces, fixes and the rules' pages."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote_from_bytes

from trainlint import __version__
from trainlint.findings import Edit, Finding, Fix, Related, Safety, Severity, Span
from trainlint.pages import explanation
from trainlint.reports.places import checkout, fingerprints, inside, relative, utf16_column
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, position, with_remark

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """One log with one run."""
    run = _Run(checkout(), sources, findings)
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run.as_object(findings)]}
    yield json.dumps(log, indent=2) + "\n"


class _Run:
    """What the results of a run share: the folder that paths are relative to, the sources, the rules in order."""

    def __init__(self, root: Path, sources: Sources, findings: Iterable[Finding]) -> None:
        self._root = root
        self._sources = sources
        self._rules = {finding.code: finding for finding in findings}

    def as_object(self, findings: Sequence[Finding]) -> dict[str, Any]:
        driver = {
            "name": "trainlint",
            "semanticVersion": __version__,
            "rules": [_rule(finding) for finding in self._rules.values()],
        }
        numbers = {code: number for number, code in enumerate(self._rules)}
        return {
            "tool": {"driver": driver},
            "columnKind": "utf16CodeUnits",
            "originalUriBaseIds": {"SRCROOT": {"uri": _uri(self._root.as_posix()).rstrip("/") + "/"}},
            "results": [
                self._result(finding, numbers[finding.code], fingerprint)
                for finding, fingerprint in zip(findings, fingerprints(findings, self._sources), strict=True)
            ],
        }

    def _result(self, finding: Finding, rule: int, fingerprint: str) -> dict[str, Any]:
        result: dict[str, Any] = {
            "ruleId": finding.code,
            "ruleIndex": rule,
            "level": _LEVELS[finding.severity],
            "message": {"text": with_remark(finding)},
            "locations": [self._location(finding)],
            "partialFingerprints": {"trainlint/v1": fingerprint},
        }
        if finding.run is not None or finding.counterparts:
            run = None if finding.run is None else finding.run.value
            result["properties"] = {"run": run, "counterparts": list(finding.counterparts)}
        if finding.related:
            steps: list[Finding | Related] = [*finding.related, finding]
            locations = [{"location": self._location(step, step.message)} for step in steps]
            result["codeFlows"] = [{"threadFlows": [{"locations": locations}]}]
        if finding.fix is not None and all(edit.cell is None for edit in finding.fix.edits):
            result["fixes"] = [self._fix(finding.fix)]
        return result

    def _location(self, place: Finding | Related, message: str = "") -> dict[str, Any]:
        span = inside(place)
        # Code scanning requires a region; the first line is what is left for a place that has none in its file.
        region = {"startLine": 1} if span is None else self._region(place.filename, span)
        physical = {"artifactLocation": self._artifact(place.filename), "region": region}
        location: dict[str, Any] = {"physicalLocation": physical}
        if place.cell is not None:
            where = position(place.cell, place.span).lstrip(":")
            location["logicalLocations"] = [{"name": f"cell {place.cell}", "fullyQualifiedName": where}]
        if message:
            location["message"] = {"text": message}
        return location

    def _artifact(self, filename: str) -> dict[str, str]:
        path = relative(filename, self._root)
        return {"uri": _uri(path)} if PurePosixPath(path).is_absolute() else {"uri": _uri(path), "uriBaseId": "SRCROOT"}

    def _region(self, filename: str, span: Span) -> dict[str, int]:
        def column(line: int, number: int) -> int:
            return utf16_column(self._sources.line(filename, None, line), number)

        return {
            "startLine": span.line,
            "startColumn": column(span.line, span.column),
            "endLine": span.end_line,
            "endColumn": column(span.end_line, span.end_column),
        }

    def _fix(self, fix: Fix) -> dict[str, Any]:
        unsafe = " (unsafe: read the change before you keep it)" if fix.safety is Safety.UNSAFE else ""
        edits: dict[str, list[Edit]] = {}
        for edit in fix.edits:
            edits.setdefault(edit.filename, []).append(edit)
        return {
            "description": {"text": fix.message + unsafe},
            "artifactChanges": [
                {
                    "artifactLocation": self._artifact(filename),
                    "replacements": [
                        {
                            "deletedRegion": self._region(filename, edit.span),
                            "insertedContent": {"text": edit.replacement},
                        }
                        for edit in changes
                    ],
                }
                for filename, changes in edits.items()
            ],
        }


def _rule(finding: Finding) -> dict[str, Any]:
    """A rule, as far as the catalogue and its page tell of it."""
    from trainlint.checks import catalogue

    summary = next((info.summary for info in catalogue() if info.code == finding.code), finding.name)
    rule = {
        "id": finding.code,
        "name": finding.name,
        "shortDescription": {"text": summary},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
    }
    found = explanation(finding.code)
    if found is None:
        return rule
    help_text = found.as_markdown()
    return {**rule, "fullDescription": {"text": found.what}, "help": {"text": help_text, "markdown": help_text}}


def _uri(path: str) -> str:
    """A path as a reference: absolute ones with their scheme, other ones as they are."""
    quoted = quote_from_bytes(os.fsencode(path), safe="/")
    if path[1:3] == ":/":  # a drive of Windows
        return f"file:///{quoted.replace('%3A', ':', 1)}"
    return f"file://{quoted}" if path.startswith("/") else quoted
