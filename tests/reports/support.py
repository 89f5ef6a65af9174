"""Findings of every kind that a format must cope with, and the text that they are about."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html.parser import HTMLParser

from trainlint.findings import NOWHERE, Edit, Finding, Fix, Related, Safety, Severity, Span
from trainlint.reports import renderer
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style

MODEL = "def forward(self, x):\n    return F.softmax('é𝛼', x,\n        dim=1)\n"
TRAIN = "import torch\n\n# 𝛼é\nloss = {'𝛼é': F.cross_entropy(out, y)}\nloss = loss\nloss = loss\n"
NOTEBOOK = json.dumps({"cells": [{"cell_type": "code", "source": ["%time\n", "loss = f(x)\n"]}], "nbformat": 4})
HOSTILE = "a,b::c 50%\n]\"<i>&'\x1b\udcff.py"

TEXTS = {
    "train.py": TRAIN,
    "lib/model.py": MODEL,
    "n.ipynb": NOTEBOOK,
    HOSTILE: "</script><script>alert(1)</script>\x00\n",
}

# In another file than its fix, with a place that explains it. On its line are characters of two and of four bytes.
ACROSS = Finding(
    "TL101",
    "softmax-before-cross-entropy",
    "`cross_entropy` gets probabilities (softmax at lib/model.py:2)",
    Severity.ERROR,
    "train.py",
    Span(4, 31, 4, 34),
    related=(Related("lib/model.py", Span(2, 12, 3, 15), "softmax"),),
    fix=Fix("take the softmax away", (Edit("lib/model.py", Span(2, 12, 3, 15), "x"),), Safety.UNSAFE),
)
# With a fix in the same file, of two edits.
WITHIN = Finding(
    "TL206",
    "graph-retained",
    "100% of it is kept",
    Severity.WARNING,
    "train.py",
    Span(4, 15, 4, 38),
    fix=Fix("keep it", (Edit("train.py", Span(4, 38, 4, 38), ".item()"), Edit("train.py", Span(4, 9, 4, 13), "'α'"))),
)
IN_CELL = Finding(
    "TL301",
    "missing-eval-mode",
    "it is evaluated",
    Severity.INFO,
    "n.ipynb",
    Span(2, 8, 2, 12),
    related=(Related("n.ipynb", Span(1, 1, 1, 6), "here", 1),),
    fix=Fix("mend it", (Edit("n.ipynb", Span(2, 8, 2, 9), "g", 1),)),
    cell=1,
)
# Of a record of a run: no code, no line.
OF_A_RUN = Finding("XY101", "loss-diverges", "the loss rises", Severity.ERROR, "runs/metrics.csv", NOWHERE)
NASTY = Finding(
    "TL999",
    "no-such-rule",
    "::error::x]]>\r\n##vso[task.complete]<b>%0A;\x00",
    Severity.ERROR,
    HOSTILE,
    Span(1, 10, 1, 18),
    related=(Related(HOSTILE, Span(1, 1, 1, 2), "\n<i>"), Related("gone.py", Span(7, 1, 7, 2), "gone")),
)
GONE = Finding("TL101", "softmax-before-cross-entropy", "gone", Severity.ERROR, "gone.py", Span(3, 5, 3, 9))
ALL = (ACROSS, WITHIN, IN_CELL, OF_A_RUN, NASTY, GONE)


def rendered(output_format: str, findings: Iterable[Finding] = ALL) -> str:
    """What a format makes of findings, without colour."""
    return "".join(renderer(output_format)(tuple(findings), Sources(TEXTS), Style()))


def edited(text: str, edits: list[tuple[int, int, int, int, str]], encoding: str, unit: int) -> str:
    """A text after edits whose columns count units of so many bytes in an encoding."""
    data = text.encode(encoding)
    newline = "\n".encode(encoding)
    lines = data.split(newline)
    starts = [len(newline.join([*lines[:number], b""])) for number in range(len(lines))]
    for line, column, end_line, end_column, new in sorted(edits, reverse=True):
        start, end = starts[line - 1] + (column - 1) * unit, starts[end_line - 1] + (end_column - 1) * unit
        data = data[:start] + new.encode(encoding) + data[end:]
    return data.decode(encoding)


# --- Pages ---

VOID = {"meta", "input", "img"}


class Element:
    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag, self.attributes = tag, attributes
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str = "", **wanted: str) -> list[Element]:
        """The elements below of a kind, whose attributes are so; of classes one suffices."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if tag in ("", child.tag) and all(child.has(key.strip("_"), value) for key, value in wanted.items()):
                    found.append(child)
                found += child.all(tag, **wanted)
        return found

    def has(self, key: str, value: str) -> bool:
        return value in (self.attributes.get(key) or "").split() or self.attributes.get(key) == value


class Page(HTMLParser):
    """A page as elements. Every element must be closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._open = [Element("", {})]
        self.feed(text)
        self.close()
        (self.root,) = self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)
