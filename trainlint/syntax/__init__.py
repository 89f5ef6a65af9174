"""Files in, trees out: parsing, an index of names and parents, exact positions, notebooks. Knows nothing of rules."""

from trainlint.syntax.errors import Unreadable
from trainlint.syntax.index import Binding, BindingKind, Index, Scope, ScopeKind, nodes_in, path_to
from trainlint.syntax.lean import lean_nodes
from trainlint.syntax.nesting import with_room
from trainlint.syntax.notebook import Notebook
from trainlint.syntax.positions import Positions
from trainlint.syntax.source import Parsed, SourceFile, decode, load, read_text

__all__ = [
    "Binding",
    "BindingKind",
    "Index",
    "Notebook",
    "Parsed",
    "Positions",
    "Scope",
    "ScopeKind",
    "SourceFile",
    "Unreadable",
    "decode",
    "lean_nodes",
    "load",
    "nodes_in",
    "path_to",
    "read_text",
    "with_room",
]
