"""What stands where and what is bound where: parents, scopes, bindings, references and imports, in one pass.

Names are looked up by Python's rules. Which of a name's bindings holds at some point is a question of flow, which this
index does not answer: it gives them all.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, TypeVar

import libcst as cst

T = TypeVar("T")


class ScopeKind(str, Enum):
    """What opens a scope."""

    MODULE = "module"
    FUNCTION = "function"
    CLASS = "class"
    COMPREHENSION = "comprehension"
    TYPE_PARAMETERS = "type parameters"


class BindingKind(str, Enum):
    """What gives a name its value."""

    ASSIGNMENT = "assignment"
    AUGMENTED_ASSIGNMENT = "augmented assignment"
    ANNOTATION = "annotation"
    NAMED_EXPRESSION = "named expression"
    IMPORT = "import"
    FUNCTION = "function"
    CLASS = "class"
    PARAMETER = "parameter"
    LOOP = "loop"
    WITH = "with"
    EXCEPTION = "exception"
    PATTERN = "pattern"
    TYPE = "type"
    DELETION = "deletion"


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """One place that binds a name.

    `node` is the name's own node; `origin` is what binds it: the assignment, the loop, the `FunctionDef`, `Param`,
    `ImportAlias` and so on. An import has the dotted name of what is imported, with leading dots where relative.
    """

    name: str
    kind: BindingKind
    node: cst.CSTNode = field(repr=False)
    origin: cst.CSTNode = field(repr=False)
    scope: Scope
    imported: str | None = None


class Scope:
    """A module, function, class or comprehension, and the names in it."""

    __slots__ = ("bindings", "declared", "kind", "node", "parent", "references", "star_imports")

    def __init__(self, kind: ScopeKind, node: cst.CSTNode, parent: Scope | None) -> None:
        self.kind = kind
        self.node = node
        self.parent = parent
        self.bindings: dict[str, list[Binding]] = {}
        self.references: dict[str, list[cst.Name]] = {}
        # Names that `global` or `nonlocal` say belong to another scope, and modules of `from m import *`.
        self.declared: dict[str, Scope] = {}
        self.star_imports: list[str] = []

    def __repr__(self) -> str:
        name = getattr(getattr(self.node, "name", None), "value", "")
        return f"<{self.kind.value} scope {name}>"

    def holder(self, name: str) -> Scope | None:
        """The scope in which a name that is read here is bound; None for builtins and unknown names."""
        child, scope = self, self
        while True:
            if name in scope.declared:
                scope = scope.declared[name]
                return scope if name in scope.bindings else None
            # What a class binds is seen from the class itself, and from type parameters in it, not from its functions.
            is_visible = scope.kind is not ScopeKind.CLASS or scope is self or child.kind is ScopeKind.TYPE_PARAMETERS
            if is_visible and name in scope.bindings:
                return scope
            if scope.parent is None:
                return None
            child, scope = scope, scope.parent

    def lookup(self, name: str) -> list[Binding]:
        """All bindings of a name that is read here."""
        holder = self.holder(name)
        return holder.bindings[name] if holder else []


class Index:
    """Parents and names of one module. Nodes for space and punctuation are left out."""

    parents: dict[int, cst.CSTNode]
    # By the node that opens the scope; the scope of its type parameters by the `TypeParameters`.
    scopes: dict[int, Scope]
    module: Scope
    # By name node: the scope in which the name stands, and the binding where it is one.
    _scopes_by_name: dict[int, Scope]
    _bindings_by_name: dict[int, Binding]

    def __init__(self, tree: cst.Module) -> None:
        self.tree = tree
        # By any other node that was asked for.
        self._scopes_found: dict[int, Scope] = {}
        self._references: dict[tuple[int, str], list[cst.Name]] | None = None
        self._known: dict[tuple[object, int], Any] = {}

    def __getattr__(self, name: str) -> Any:
        """What the tree is walked for: parents and scopes, found when one of them is first asked for."""
        if name not in Index.__annotations__:
            raise AttributeError(name)
        self.parents, self.scopes, self.module = {}, {}, Scope(ScopeKind.MODULE, self.tree, None)
        self._scopes_by_name, self._bindings_by_name = {}, {}
        _Builder(self).run()
        return getattr(self, name)

    def known(self, fact: Callable[[Any], T], node: cst.CSTNode) -> T:
        """What a function tells of a node of this module by looking at nothing else: computed once for all who ask."""
        key = (fact, id(node))
        if key not in self._known:
            self._known[key] = fact(node)
        told: T = self._known[key]
        return told

    # Where is it?

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node that holds a node; None for the module."""
        return self.parents.get(id(node))

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes around a node, from its parent to the module."""
        parent = self.parents.get(id(node))
        while parent is not None:
            yield parent
            parent = self.parents.get(id(parent))

    def statement(self, node: cst.CSTNode) -> cst.BaseSmallStatement | cst.BaseCompoundStatement | None:
        """The innermost statement that a node is, or is part of."""
        for candidate in (node, *self.ancestors(node)):
            if isinstance(candidate, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
                return candidate
        return None

    def scope(self, node: cst.CSTNode) -> Scope:
        """The scope in which a node is evaluated: of a parameter's default, that around the function."""
        scope = self._scopes_by_name.get(id(node)) or self._scopes_found.get(id(node))
        if scope is None:
            scope = self._scopes_found[id(node)] = self._scope_around(node)
        return scope

    def _scope_around(self, node: cst.CSTNode) -> Scope:
        path = [node]
        for ancestor in self.ancestors(node):
            opened = self.scopes.get(id(ancestor))
            if opened is not None and _is_inside(ancestor, path):
                return opened
            if (
                isinstance(ancestor, (cst.FunctionDef, cst.ClassDef, cst.TypeAlias))
                and ancestor.type_parameters is not None
                and path[-1] is not ancestor.name
                and not isinstance(path[-1], cst.Decorator)
            ):
                return self.scopes[id(ancestor.type_parameters)]
            path.append(ancestor)
        return self.module

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | cst.Lambda | None:
        """The function whose call evaluates a node."""
        opener = self._opener(node, ScopeKind.FUNCTION)
        return opener if isinstance(opener, (cst.FunctionDef, cst.Lambda)) else None

    def class_(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """The class in whose body, or in whose methods, a node stands."""
        opener = self._opener(node, ScopeKind.CLASS)
        return opener if isinstance(opener, cst.ClassDef) else None

    def _opener(self, node: cst.CSTNode, kind: ScopeKind) -> cst.CSTNode | None:
        scope: Scope | None = self.scope(node)
        while scope is not None and scope.kind is not kind:
            scope = scope.parent
        return None if scope is None else scope.node

    # What is it?

    def binding(self, name: cst.CSTNode) -> Binding | None:
        """The binding whose name a node is, if it is one."""
        return self._bindings_by_name.get(id(name))

    def lookup(self, name: cst.Name) -> list[Binding]:
        """All bindings of a name, given any node that reads or binds it. None for attributes and keywords."""
        scope = self._scopes_by_name.get(id(name))
        return scope.lookup(name.value) if scope else []

    def references(self, binding: Binding) -> list[cst.Name]:
        """All names that read what a binding, or another one of the same name in the same scope, has bound."""
        if self._references is None:
            self._references = {}
            for scope in (self.module, *self.scopes.values()):
                for name, nodes in scope.references.items():
                    if (holder := scope.holder(name)) is not None:
                        self._references.setdefault((id(holder), name), []).extend(nodes)
        return self._references.get((id(binding.scope), binding.name), [])

    @property
    def imports(self) -> dict[str, str]:
        """Global names that are imported, and the dotted names of what they stand for; of several the first."""
        return {
            name: binding.imported
            for name, bindings in self.module.bindings.items()
            for binding in reversed(bindings)
            if binding.imported is not None
        }

    def qualified_names(self, node: cst.CSTNode) -> list[str]:
        """What a name or dotted expression may stand for by its imports: `F.relu` is `torch.nn.functional.relu`.

        Builtins are in `builtins`; a name with bindings of its own that are no imports gives none for these.
        """
        attributes: list[str] = []
        while isinstance(node, cst.Attribute):
            attributes.append(node.attr.value)
            node = node.value
        scope = self._scopes_by_name.get(id(node))
        if scope is None or not isinstance(node, cst.Name):
            return []
        bindings = scope.lookup(node.value)
        if not bindings:
            roots = [f"builtins.{node.value}"] if node.value in _BUILTINS else []
        else:
            roots = [binding.imported for binding in bindings if binding.imported is not None]
        return [".".join((root, *reversed(attributes))) for root in dict.fromkeys(roots)]


_BUILTINS = frozenset(dir(builtins))


def _is_inside(opener: cst.CSTNode, path: list[cst.CSTNode]) -> bool:
    """Whether a path of nodes that leads up to one that opens a scope comes from within that scope."""
    below = path[-1]
    if isinstance(opener, cst.Module):
        return True
    if isinstance(opener, cst.ClassDef):
        return below is opener.body
    if isinstance(opener, (cst.FunctionDef, cst.Lambda)):
        if below is opener.params:
            # A parameter's default and annotation are evaluated around the function.
            parts = (
                part for node in path[1:] if isinstance(node, cst.Param) for part in (node.default, node.annotation)
            )
            return not any(part in path for part in parts)
        return below is opener.body
    if isinstance(opener, cst.BaseComp):
        return not (below is opener.for_in and len(path) > 1 and path[-2] is opener.for_in.iter)
    return True


# --- Building ---------------------------------------------------------------------------------------------------------

# Fields that hold space and punctuation, or no nodes at all.
_SKIPPED = frozenset(
    "asynchronous colon comma comment conversion default_indent default_newline dot encoding end equal first_colon"
    " footer has_trailing_newline header indent lbrace lbracket leading_lines leading_whitespace lines_after_decorators"
    " lpar newline operator posonly_ind rbrace rbracket relative rpar second_colon semicolon separator star start"
    " trailing_comma trailing_whitespace".split()
)
_LEAVES = frozenset((cst.Name, cst.SimpleString, cst.Integer, cst.Float, cst.Imaginary, cst.Ellipsis))

_KINDS = {
    "AnnAssign": BindingKind.ANNOTATION,
    "Assign": BindingKind.ASSIGNMENT,
    "AugAssign": BindingKind.AUGMENTED_ASSIGNMENT,
    "ClassDef": BindingKind.CLASS,
    "CompFor": BindingKind.LOOP,
    "Del": BindingKind.DELETION,
    "ExceptHandler": BindingKind.EXCEPTION,
    "ExceptStarHandler": BindingKind.EXCEPTION,
    "For": BindingKind.LOOP,
    "FunctionDef": BindingKind.FUNCTION,
    "ImportAlias": BindingKind.IMPORT,
    "MatchAs": BindingKind.PATTERN,
    "MatchMapping": BindingKind.PATTERN,
    "MatchStar": BindingKind.PATTERN,
    "NamedExpr": BindingKind.NAMED_EXPRESSION,
    "Param": BindingKind.PARAMETER,
    "ParamSpec": BindingKind.TYPE,
    "TypeAlias": BindingKind.TYPE,
    "TypeVar": BindingKind.TYPE,
    "TypeVarTuple": BindingKind.TYPE,
    "WithItem": BindingKind.WITH,
}


class _Fields(dict[type, tuple[str, ...]]):
    """The fields of a class of nodes that may hold children that matter, last one first."""

    def __missing__(self, node_class: type) -> tuple[str, ...]:
        names = [
            field.name
            for field in fields(node_class)
            if field.name not in _SKIPPED and not field.name.startswith("whitespace")
        ]
        self[node_class] = tuple(() if node_class in _LEAVES else reversed(names))
        return self[node_class]


_FIELDS = _Fields()


_NO_NODES = frozenset((type(None), str, bool, cst.MaybeSentinel))


def nodes_in(root: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and all nodes inside it that matter to meaning, in no particular order."""
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        yield node
        for name in _FIELDS[node.__class__]:
            child = getattr(node, name)
            kind = child.__class__
            if kind is tuple or kind is list:
                stack.extend(child)
            elif kind not in _NO_NODES:
                stack.append(child)


def path_to(root: cst.CSTNode, wanted: cst.CSTNode) -> list[cst.CSTNode]:
    """The nodes from `root` down to a node inside it, both included; empty when it is not there."""
    stack: list[tuple[Any, Any]] = [(root, None)]
    while stack:
        link: Any = stack.pop()
        node = link[0]
        if node is wanted:
            found: list[cst.CSTNode] = []
            while link is not None:
                found.append(link[0])
                link = link[1]
            return found[::-1]
        for name in _FIELDS[node.__class__]:
            child = getattr(node, name)
            if child.__class__ in _NO_NODES:
                continue
            if isinstance(child, (list, tuple)):
                stack.extend((item, link) for item in child)
            else:
                stack.append((child, link))
    return []


# A node, its parent, the scope it stands in, and what binds it where it is a target.
_Task = tuple[Any, cst.CSTNode, Scope, cst.CSTNode | None]


class _Builder:
    """Walks the tree with a stack of its own: a tree may be deeper than Python may recurse."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.parents = index.parents
        self.stack: list[_Task] = []
        # Bindings of names declared `nonlocal`, until all scopes are known.
        self.nonlocal_bindings: list[tuple[str, cst.CSTNode, cst.CSTNode, Scope]] = []
        self.nonlocal_scopes: list[tuple[str, Scope]] = []

    def run(self) -> None:
        tree = self.index.tree
        self.index.scopes[id(tree)] = self.index.module
        self._push_children(tree, self.index.module)
        stack, parents, push_children = self.stack, self.parents, self._push_children
        while stack:
            node, parent, scope, origin = stack.pop()
            parents[id(node)] = parent
            handler = _HANDLERS.get(node.__class__)
            if handler is None:
                push_children(node, scope)
            else:
                handler(self, node, scope, origin)
        self._resolve_nonlocals()

    def _push(self, node: Any, parent: cst.CSTNode, scope: Scope, origin: cst.CSTNode | None = None) -> None:
        if node.__class__ not in _NO_NODES:
            self.stack.append((node, parent, scope, origin))

    def _push_all(self, nodes: Any, parent: cst.CSTNode, scope: Scope, origin: cst.CSTNode | None = None) -> None:
        self.stack.extend([(node, parent, scope, origin) for node in reversed(nodes)])

    def _push_children(self, node: cst.CSTNode, scope: Scope, origin: cst.CSTNode | None = None) -> None:
        push = self.stack.append
        for name in _FIELDS[node.__class__]:
            child = getattr(node, name)
            if child.__class__ is tuple:
                for item in reversed(child):
                    push((item, node, scope, origin))
            elif child.__class__ not in _NO_NODES:
                push((child, node, scope, origin))

    def _adopt(self, node: cst.CSTNode, parent: cst.CSTNode) -> cst.CSTNode:
        """Give a name or dotted name that is no reference its parents; returns its first part."""
        self.parents[id(node)] = parent
        while isinstance(node, cst.Attribute):
            self.parents[id(node.attr)] = self.parents[id(node.value)] = node
            node = node.value
        return node

    def _open(self, kind: ScopeKind, node: cst.CSTNode, parent: Scope) -> Scope:
        scope = self.index.scopes[id(node)] = Scope(kind, node, parent)
        return scope

    # Names

    def _bind(
        self, name: str, node: cst.CSTNode, origin: cst.CSTNode, scope: Scope, imported: str | None = None
    ) -> None:
        self.index._scopes_by_name[id(node)] = scope
        if isinstance(origin, cst.NamedExpr):
            while scope.kind is ScopeKind.COMPREHENSION and scope.parent is not None:
                scope = scope.parent
        if name in scope.declared:
            if scope.declared[name] is scope:  # `nonlocal`, of whom is not known yet
                self.nonlocal_bindings.append((name, node, origin, scope))
                return
            scope = scope.declared[name]
        binding = Binding(name, _KINDS[type(origin).__name__], node, origin, scope, imported)
        scope.bindings.setdefault(name, []).append(binding)
        self.index._bindings_by_name[id(node)] = binding

    def _refer(self, node: cst.Name, scope: Scope) -> None:
        self.index._scopes_by_name[id(node)] = scope
        scope.references.setdefault(node.value, []).append(node)

    def _resolve_nonlocals(self) -> None:
        for name, scope in self.nonlocal_scopes:
            holder = scope.parent
            while holder is not None and (
                holder.kind in (ScopeKind.MODULE, ScopeKind.CLASS) or name not in holder.bindings
            ):
                holder = holder.parent
            if holder is None:
                del scope.declared[name]  # Python refuses this
            else:
                scope.declared[name] = holder
        for name, node, origin, scope in self.nonlocal_bindings:
            self._bind(name, node, origin, scope)

    def _name(self, node: cst.Name, scope: Scope, origin: cst.CSTNode | None) -> None:
        if origin is None:
            self._refer(node, scope)
        else:
            if isinstance(origin, (cst.AugAssign, cst.Del)):
                self._refer(node, scope)
            self._bind(node.value, node, origin, scope)

    def _attribute(self, node: cst.Attribute, scope: Scope, origin: cst.CSTNode | None) -> None:
        self.parents[id(node.attr)] = node
        self.stack.append((node.value, node, scope, None))

    def _argument(self, node: cst.Arg, scope: Scope, origin: cst.CSTNode | None) -> None:
        if node.keyword is not None:
            self.parents[id(node.keyword)] = node
        self.stack.append((node.value, node, scope, None))

    # Targets: what is in them is bound by the same origin

    def _target(self, node: cst.CSTNode, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push_children(node, scope, origin)

    def _assign(self, node: cst.Assign, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push(node.value, node, scope)
        self._push_all(node.targets, node, scope, node)

    def _annotated(self, node: cst.AnnAssign, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push(node.value, node, scope)
        self._push(node.annotation, node, scope)
        self._push(node.target, node, scope, node)

    def _targeted(self, node: cst.AugAssign | cst.NamedExpr, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push(node.value, node, scope)
        self._push(node.target, node, scope, node)

    def _del(self, node: cst.Del, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push(node.target, node, scope, node)

    def _for(self, node: cst.For, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push(node.orelse, node, scope)
        self._push(node.body, node, scope)
        self._push(node.iter, node, scope)
        self._push(node.target, node, scope, node)

    def _with_item(self, node: cst.WithItem, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push(node.asname, node, scope, node)
        self._push(node.item, node, scope)

    def _handler(
        self, node: cst.ExceptHandler | cst.ExceptStarHandler, scope: Scope, origin: cst.CSTNode | None
    ) -> None:
        self._push(node.body, node, scope)
        self._push(node.name, node, scope, node)
        self._push(node.type, node, scope)

    def _match_as(self, node: cst.MatchAs, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push(node.name, node, scope, node)
        self._push(node.pattern, node, scope)

    def _match_star(self, node: cst.MatchStar, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push(node.name, node, scope, node)

    def _match_mapping(self, node: cst.MatchMapping, scope: Scope, origin: cst.CSTNode | None) -> None:
        self._push(node.rest, node, scope, node)
        self._push_all(node.elements, node, scope)

    def _match_keyword(self, node: cst.MatchKeywordElement, scope: Scope, origin: cst.CSTNode | None) -> None:
        self.parents[id(node.key)] = node
        self._push(node.pattern, node, scope)

    # Imports and declarations

    def _import(self, node: cst.Import, scope: Scope, origin: cst.CSTNode | None) -> None:
        for alias in node.names:
            self.parents[id(alias)] = node
            first = self._adopt(alias.name, alias)
            dotted = _dotted(alias.name)
            if not self._bind_alias(alias, scope, dotted) and isinstance(first, cst.Name):
                self._bind(first.value, first, alias, scope, first.value)

    def _import_from(self, node: cst.ImportFrom, scope: Scope, origin: cst.CSTNode | None) -> None:
        if node.module is not None:
            self._adopt(node.module, node)
        module = "." * len(node.relative) + (_dotted(node.module) if node.module is not None else "")
        if isinstance(node.names, cst.ImportStar):
            self.parents[id(node.names)] = node
            scope.star_imports.append(module)
            return
        prefix = module if module.endswith(".") else f"{module}."
        for alias in node.names:
            self.parents[id(alias)] = node
            name = self._adopt(alias.name, alias)
            if isinstance(name, cst.Name):
                dotted = f"{prefix}{name.value}"
                if not self._bind_alias(alias, scope, dotted):
                    self._bind(name.value, name, alias, scope, dotted)

    def _bind_alias(self, alias: cst.ImportAlias, scope: Scope, dotted: str) -> bool:
        if alias.asname is None:
            return False
        name = alias.asname.name
        self.parents[id(alias.asname)] = alias
        self.parents[id(name)] = alias.asname
        if isinstance(name, cst.Name):
            self._bind(name.value, name, alias, scope, dotted)
        return True

    def _declaration(self, node: cst.Global | cst.Nonlocal, scope: Scope, origin: cst.CSTNode | None) -> None:
        for item in node.names:
            self.parents[id(item)] = node
            self.parents[id(item.name)] = item
            name = item.name.value
            self.index._scopes_by_name[id(item.name)] = scope
            if isinstance(node, cst.Global):
                if scope is not self.index.module:
                    scope.declared[name] = self.index.module
            elif name not in scope.declared:
                scope.declared[name] = scope
                self.nonlocal_scopes.append((name, scope))

    # What opens a scope

    def _type_scope(self, node: Any, scope: Scope) -> Scope:
        """Bind the name of a definition; the scope of its type parameters, if it has any, else the one around."""
        self.parents[id(node.name)] = node
        self._bind(node.name.value, node.name, node, scope)
        if node.type_parameters is None:
            return scope
        return self._open(ScopeKind.TYPE_PARAMETERS, node.type_parameters, scope)

    def _function(self, node: cst.FunctionDef, scope: Scope, origin: cst.CSTNode | None) -> None:
        types = self._type_scope(node, scope)
        inner = self._open(ScopeKind.FUNCTION, node, types)
        self._push(node.body, node, inner)
        self._push(node.returns, node, types)
        self._push(node.params, node, inner)
        self._push(node.type_parameters, node, types)
        self._push_all(node.decorators, node, scope)

    def _lambda(self, node: cst.Lambda, scope: Scope, origin: cst.CSTNode | None) -> None:
        inner = self._open(ScopeKind.FUNCTION, node, scope)
        self._push(node.body, node, inner)
        self._push(node.params, node, inner)

    def _param(self, node: cst.Param, scope: Scope, origin: cst.CSTNode | None) -> None:
        self.parents[id(node.name)] = node
        self._bind(node.name.value, node.name, node, scope)
        around = scope.parent or scope
        self._push(node.default, node, around)
        self._push(node.annotation, node, around)

    def _class(self, node: cst.ClassDef, scope: Scope, origin: cst.CSTNode | None) -> None:
        types = self._type_scope(node, scope)
        inner = self._open(ScopeKind.CLASS, node, types)
        self._push(node.body, node, inner)
        self._push_all(node.keywords, node, types)
        self._push_all(node.bases, node, types)
        self._push(node.type_parameters, node, types)
        self._push_all(node.decorators, node, scope)

    def _comprehension(self, node: Any, scope: Scope, origin: cst.CSTNode | None) -> None:
        inner = self._open(ScopeKind.COMPREHENSION, node, scope)
        self._push(node.for_in, node, inner)
        for name in ("value", "key", "elt"):
            self._push(getattr(node, name, None), node, inner)

    def _comp_for(self, node: cst.CompFor, scope: Scope, origin: cst.CSTNode | None) -> None:
        # The first iterable is evaluated outside.
        is_first = not isinstance(self.parents[id(node)], cst.CompFor)
        self._push(node.inner_for_in, node, scope)
        self._push_all(node.ifs, node, scope)
        self._push(node.iter, node, scope.parent or scope if is_first else scope)
        self._push(node.target, node, scope, node)

    def _type_alias(self, node: cst.TypeAlias, scope: Scope, origin: cst.CSTNode | None) -> None:
        types = self._type_scope(node, scope)
        self._push(node.value, node, types)
        self._push(node.type_parameters, node, types)

    def _type_variable(self, node: Any, scope: Scope, origin: cst.CSTNode | None) -> None:
        self.parents[id(node.name)] = node
        self._bind(node.name.value, node.name, node, scope)
        self._push(getattr(node, "bound", None), node, scope)


_Handler = Callable[[_Builder, Any, Scope, "cst.CSTNode | None"], None]

# Some of these classes are newer than the oldest libcst that will do.
_HANDLERS: dict[type, _Handler] = {
    getattr(cst, name): handler
    for names, handler in (
        ("Name", _Builder._name),
        ("Attribute", _Builder._attribute),
        ("Arg", _Builder._argument),
        ("AsName AssignTarget Element List StarredElement Tuple", _Builder._target),
        ("Assign", _Builder._assign),
        ("AnnAssign", _Builder._annotated),
        ("AugAssign NamedExpr", _Builder._targeted),
        ("Del", _Builder._del),
        ("For", _Builder._for),
        ("WithItem", _Builder._with_item),
        ("ExceptHandler ExceptStarHandler", _Builder._handler),
        ("MatchAs", _Builder._match_as),
        ("MatchStar", _Builder._match_star),
        ("MatchMapping", _Builder._match_mapping),
        ("MatchKeywordElement", _Builder._match_keyword),
        ("Import LazyImport", _Builder._import),
        ("ImportFrom LazyImportFrom", _Builder._import_from),
        ("Global Nonlocal", _Builder._declaration),
        ("FunctionDef", _Builder._function),
        ("Lambda", _Builder._lambda),
        ("Param", _Builder._param),
        ("ClassDef", _Builder._class),
        ("ListComp SetComp DictComp GeneratorExp StarredDictComp", _Builder._comprehension),
        ("CompFor", _Builder._comp_for),
        ("TypeAlias", _Builder._type_alias),
        ("TypeVar TypeVarTuple ParamSpec", _Builder._type_variable),
    )
    for name in names.split()
    if hasattr(cst, name)
}


def _dotted(node: cst.CSTNode) -> str:
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if isinstance(node, cst.Name):
        parts.append(node.value)
    return ".".join(reversed(parts))
