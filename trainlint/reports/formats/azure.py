"""Issues in the log and the summary of Azure Pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from trainlint.findings import Finding, Severity
from trainlint.reports.formats.concise import headline
from trainlint.reports.formats.github import escaped
from trainlint.reports.places import inside
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style

_TYPES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "warning"}  # there is no third

# What the agent undoes when it reads a command, in the message and in the properties before it.
_IN_MESSAGE = {"%": "%AZP25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ";": "%3B", "]": "%5D"}


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """A logging command for each finding. The agent looks for the file, so that its path is absolute."""
    for finding in findings:
        properties: dict[str, object] = {
            "type": _TYPES[finding.severity],
            "sourcepath": os.path.abspath(finding.filename),
        }
        if (span := inside(finding)) is not None:
            properties |= {"linenumber": span.line, "columnnumber": span.column}
        properties["code"] = finding.code
        shown = "".join(f"{key}={escaped(str(value), _IN_PROPERTY)};" for key, value in properties.items())
        yield f"##vso[task.logissue {shown}]{escaped(headline(finding, Style()), _IN_MESSAGE)}\n"
