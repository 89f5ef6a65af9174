from __future__ import annotations

from collections.abc import Iterator

import libcst


class Index:
    def __init__(self, tree: libcst.Module) -> None: ...
    def ancestors(self, node: libcst.CSTNode) -> Iterator[libcst.CSTNode]:
        yield node
    def parent(self, node: libcst.CSTNode) -> libcst.CSTNode | None: ...
