"""Notebooks as one text: the code cells in a row, with what is not Python taken out line by line."""

from __future__ import annotations

from trainlint.findings import Span


class Notebook:
    text: str

    @classmethod
    def read(cls, raw: str) -> Notebook:
        raise NotImplementedError

    def place(self, span: Span) -> tuple[int, Span]:
        raise NotImplementedError
