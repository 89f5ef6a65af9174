"""All changes of abstract state go through one journal, so that branches can be tried, undone and joined.

Every variable, attribute and object state is an entry of some dict. A write remembers the old entry; `cut` takes the
writes since a mark back and hands them out as a delta; `merge` applies the join of several deltas. Looking up stays a
plain dict access, and a branch costs only what it wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trainlint.semantics.values import (
    UNKNOWN,
    Attributes,
    Const,
    Number,
    Tensor,
    Value,
    bounds,
    is_number,
    join,
    join_all,
    join_tallies,
    measured_on,
    taken_of,
)


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
APPLIED = "$applied"  # the transforms that surely were called so far, as a sample is read
ITEMS = (tuple, type(None))  # what the entry "items" of a list's state is, and no attribute of that name

Delta = dict[tuple[int, Any], tuple[dict[Any, Any], Any, Any]]


class Journal:
    """The undo log of a run."""

    __slots__ = ("log",)

    def __init__(self) -> None:
        self.log: list[tuple[dict[Any, Any], Any, Any]] = []

    def write(self, where: dict[Any, Any], name: Any, value: Any) -> None:
        self.log.append((where, name, where.get(name, MISSING)))
        where[name] = value

    def remove(self, where: dict[Any, Any], name: Any) -> None:
        if name in where:
            self.log.append((where, name, where[name]))
            del where[name]

    def mark(self) -> int:
        return len(self.log)

    def delta(self, mark: int) -> Delta:
        """The present value of every entry written since `mark`."""
        found: Delta = {}
        for where, name, _ in self.log[mark:]:
            key = (id(where), name)
            if key not in found:
                found[key] = (where, name, where.get(name, MISSING))
        return found

    def undo(self, mark: int) -> None:
        log = self.log
        while len(log) > mark:
            where, name, old = log.pop()
            if old is MISSING:
                where.pop(name, None)
            else:
                where[name] = old

    def cut(self, mark: int) -> Delta:
        """Take back the writes since `mark`, and return what they had come to."""
        found = self.delta(mark)
        self.undo(mark)
        return found

    def apply(self, delta: Delta) -> None:
        for where, name, value in delta.values():
            if value is MISSING:
                self.remove(where, name)
            else:
                self.write(where, name, value)

    def merge(self, deltas: list[Delta]) -> None:
        """Apply what any of the deltas may have led to; all start from the present state."""
        if len(deltas) == 1:
            self.apply(deltas[0])
            return
        written: Delta = {}
        for delta in deltas:
            written |= delta
        pending: list[tuple[dict[Any, Any], Any, Any]] = []
        for key, (where, name, _) in written.items():
            present = where.get(name, MISSING)
            if present.__class__ in ITEMS and name == "items":
                pending += join_items(where, deltas)
                continue
            if name in ("element", "begins") and (id(where), "items") in written:
                continue
            merged: Any = MISSING
            lacking = False
            for delta in deltas:
                entry = delta.get(key)
                value = present if entry is None else entry[2]
                if value is MISSING:
                    lacking = True
                    continue
                merged = value if merged is MISSING else join_entries(name, merged, value)
            if lacking and where.__class__ is Attributes and merged.__class__ is Const and is_setting(name):
                merged = UNKNOWN  # it may have had another value all along
            if merged is not present:
                pending.append((where, name, merged))
        for where, name, value in pending:
            if value is MISSING:
                self.remove(where, name)
            elif where.get(name, MISSING) is not value:
                self.write(where, name, value)


def is_setting(name: Any) -> bool:
    """Whether an entry is an attribute of the program, not of ours, and no mode, which is what was last set."""
    return name.__class__ is str and name[:1] != "$" and name != "training"


def join_items(where: dict[Any, Any], deltas: list[Delta]) -> Iterator[tuple[dict[Any, Any], str, Any]]:
    """What a list may hold: known items where they are always as many, else one element that stands for all of them. A
    list whose items are known says nothing by its element."""
    found = []
    for delta in deltas:
        items, element = (delta.get((id(where), name), (where, name, where[name]))[2] for name in ("items", "element"))
        found.append(items if items is not None else element)
    if all(items.__class__ is tuple and len(items) == len(found[0]) for items in found):
        yield where, "items", tuple(map(join_all, zip(*found)))
    else:
        yield where, "items", None
        yield where, "element", join_all(v for held in found for v in (held if held.__class__ is tuple else (held,)))
        begun = [held if held.__class__ is tuple else begins_of(where, delta) for held, delta in zip(found, deltas)]
        if (same := common_start(begun)) or "begins" in where:
            yield where, "begins", same


def begins_of(where: dict[Any, Any], delta: Delta) -> tuple[Any, ...]:
    """What a list of unknown items surely begins with, after a delta."""
    entry = delta.get((id(where), "begins"))
    found: tuple[Any, ...] = entry[2] if entry is not None else where.get("begins", ())
    return found if found is not MISSING else ()


def common_start(sequences: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """What several sequences all begin with."""
    length = 0
    for first, *others in zip(*sequences):
        if any(other is not first for other in others):
            break
        length += 1
    return sequences[0][:length]


def join_entries(name: Any, a: Any, b: Any) -> Any:
    if a is b:
        return a
    if isinstance(a, Value) and isinstance(b, Value):
        return join(a, b)
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return a | b
    if name == "ends":
        return common_end(a, b)
    if name == "begins":
        return common_start([a, b])
    if name in ("$optimizers", "$weights"):
        return (*a, *(item for item in b if item not in a))
    if name == APPLIED:
        places = [item.born and item.born.node for item in b]
        return tuple(item for item in a if item in b or (item.born and item.born.node in places))
    return a if a == b else None


def common_end(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    """What two sequences both end with."""
    length = 0
    for x, y in zip(reversed(a), reversed(b), strict=False):
        if x is not y:
            break
        length += 1
    return a[len(a) - length :]


def widen(old: Value, new: Value) -> Value:
    """What a loop variable may be in any iteration: numbers lose their exact value but keep a bound that holds."""
    if is_number(old) and is_number(new):
        (olo, ohi), (nlo, nhi) = bounds(old), bounds(new)
        whole = all(
            v.integer if isinstance(v, Number) else isinstance(v, Const) and isinstance(v.value, int)
            for v in (old, new)
        )
        lo, hi = olo if nlo >= olo else float("-inf"), ohi if nhi <= ohi else float("inf")
        of, deps = measured_on(old, new), taken_of(old, new)
        return Number(lo, hi, whole, tally=join_tallies(old, new), of=of, deps=deps)
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        lo = old.lo if new.lo >= old.lo else float("-inf")
        hi = old.hi if new.hi <= old.hi else float("inf")
        return join(old, new.but(lo=lo, hi=hi))
    return join(old, new)
