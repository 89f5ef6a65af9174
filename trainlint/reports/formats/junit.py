"""JUnit's XML, in which each finding is a failed test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from trainlint.findings import Finding
from trainlint.reports.formats.full import described
from trainlint.reports.places import checkout, relative
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, one_line, with_remark

# All that XML 1.0 cannot hold, not even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """A suite for each file. If nothing was found one test has passed, since readers refuse a report without any."""
    top = Element(
        "testsuites", name="trainlint", tests=str(len(findings) or 1), failures=str(len(findings)), errors="0"
    )
    folder = checkout()
    for filename, group in groupby(findings, key=lambda finding: finding.filename):
        _suite(top, _xml(relative(filename, folder)), list(group), sources)
    if not findings:
        suite = SubElement(top, "testsuite", name="trainlint", tests="1", failures="0", errors="0", skipped="0")
        SubElement(suite, "testcase", name="nothing was found", classname="trainlint")
    indent(top)
    yield '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(top, encoding="unicode") + "\n"


def _suite(top: Element, path: str, findings: Sequence[Finding], sources: Sources) -> None:
    count = str(len(findings))
    suite = SubElement(top, "testsuite", name=path, tests=count, failures=count, errors="0", skipped="0")
    names: Counter[str] = Counter()
    for finding in findings:
        # Readers take tests of one name for one test, also of the run before: so no lines, which move.
        name = f"{finding.code} {finding.name}"
        names[name] += 1
        number = f" ({names[name]})" if names[name] > 1 else ""
        case = SubElement(suite, "testcase", name=_xml(name + number), classname=path, file=path)
        if finding.span.line:
            case.set("line", str(finding.span.line))
        message = _xml(one_line(with_remark(finding)))
        failure = SubElement(case, "failure", message=message, type=finding.severity.value)
        failure.text = _xml(described(finding, sources, Style()))


def _xml(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
