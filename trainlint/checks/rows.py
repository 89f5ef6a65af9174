"""Which rows of stored data a data set serves, as far as slices tell."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple, TypeGuard

from trainlint.semantics.behaviours.data import DATES, LISTED, Same, Share, cut_of, is_one
from trainlint.semantics.behaviours.lists import WITHIN, held
from trainlint.semantics.classes import counted
from trainlint.semantics.values import NO_DATA, Class, DataInfo, Instance, ListObject, Portion, Tensor, Tuple, Value
from trainlint.syntax.code import positional


class Span(NamedTuple):
    """The rows of something from one place up to another: constants, or what stands for one and the same value."""

    of: Any
    start: Any
    stop: Any


def rows_in(dataset: Value | None) -> Value | None:
    """The first of the arrays or lists whose rows a data set serves, one for each sample."""
    if not isinstance(dataset, Instance):
        return None
    tensors = dataset.attrs.get("$tensors")
    if isinstance(tensors, Tuple) and tensors.items:
        return tensors.items[0]
    if isinstance(listed := dataset.attrs.get(LISTED), ListObject):
        return listed
    found = dataset.attrs.get(counted(dataset.cls)) if isinstance(dataset.cls, Class) else None
    return found if isinstance(found, Value) else None


def span(rows: Value | None) -> Span | None:
    """The rows between two places of an array or a list; None where no slice gave them, or more than one."""
    data = held(rows)
    if data is None or not is_one(data) or data.order is None:
        data = drawn_places(rows)
    if data is None or data.order is None:
        return None
    cuts = [key for key in data.order if key[0] == "chosen"]
    if len(cuts) != 1 or len(cuts[0]) != 3:
        return None
    return Span((data.tokens, part_of(rows, data), kept_rows(data.order) - set(cuts)), *cuts[0][1:])


def drawn_places(rows: Value | None) -> DataInfo | None:
    """What is known of places that were brought in a random order, whatever they are places of."""
    data = rows.data if isinstance(rows, Tensor) and not rows.data.tokens else NO_DATA
    return data if any(key[0] == "drawn" for key in data.order or ()) else None


def run_of_rows(data: DataInfo) -> Span | None:
    """The rows between two places of data of which no more were chosen, wherever they come from."""
    order = data.order or NOTHING
    cuts = [key for key in order if key[0] == "chosen"] or [key for key in order if key[0] == "run"]
    if not data.tokens or len(cuts) != 1 or len(cuts[0]) != 3:
        return None
    return Span((data.tokens, data.part, kept_rows(order) - set(cuts)), *cuts[0][1:])


def part_of(rows: Value | None, data: DataInfo) -> str | None:
    """The part of the data that rows are; of a list, and of what is cut by dates, only its name tells that."""
    return data.part if isinstance(rows, Tensor) and data.splits != {cut_of(data, DATES)} else None


def kept_rows(order: frozenset[Any]) -> frozenset[Any]:
    """What was done to rows that may tell which there are."""
    return frozenset(key for key in order if key[0] != "mixed")


def all_rows(rows: Value | None) -> Span | None:
    """All rows of an array or a list of which no slice is taken."""
    data = held(rows)
    if data is None or not is_one(data) or data.order is None:
        return None
    cut = any(key[0] == "chosen" for key in data.order)
    return None if cut else Span((data.tokens, part_of(rows, data), data.order), None, None)


def drawn_apart(rows: Value | None, others: Value | None) -> bool:
    """Whether rows were held out by one random split of data, and others are the training part of another one."""
    if not isinstance(rows, Tensor) or not isinstance(others, Tensor):
        return False
    mine, theirs = rows.data, others.data
    if not is_one(mine) or mine.tokens != theirs.tokens or theirs.part != "train" or mine.part not in ("val", "test"):
        return False
    if mine.order is None or theirs.order is None or not mine.splits or not theirs.splits:
        return False
    if not mine.splits.isdisjoint(theirs.splits):
        return False  # they may be of the two sides of one split
    kept, drawn = zip(*(parted(data.order) for data in (mine, theirs)), strict=True)
    if any(key[1].__class__ is Same for key in drawn[0] ^ drawn[1]):
        return False  # the seeds may be equal
    if not drawn[1]:  # folds, of all rows too
        once = bool(drawn[0]) or mine.part == "test"
        return kept[0] == kept[1] and once and len(theirs.splits) == 1 and theirs.splits.isdisjoint(mine.splits)
    return kept[0] == kept[1] and bool(drawn[0]) and drawn[0] != drawn[1] and not held_out_alike(*drawn)


def held_out_alike(mine: frozenset[Any], theirs: frozenset[Any]) -> bool:
    """Whether rows may be among those that another split held out from the same permutation."""
    for first, second in ((one, other) for one in mine - theirs for other in theirs - mine):
        if first[:-1] == second[:-1] and isinstance(first[-1], Share) and isinstance(second[-1], Share):
            here, there = first[-1].held_out, second[-1].held_out
            return here is None or here.__class__ is not there.__class__ or here <= there + 1e-6
    return False


def cut_apart(rows: Value | None, others: Value | None) -> bool:
    """Whether rows and others are each cut off a list that was brought in a random order of its own for that, or are
    samples that were each drawn of all of a table."""
    mine, theirs = held(rows), held(others)
    if isinstance(rows, Tensor) and isinstance(others, Tensor):
        apart = (rows.data.order or NOTHING) ^ (others.data.order or NOTHING)
        alike = is_one(rows.data) and rows.data._replace(order=None) == others.data._replace(order=None)
        return (alike and len(apart) == 2 and all(key[0] == "sampled" for key in apart)) or sampled_of_whole(
            rows.data, others.data
        )
    if isinstance(rows, Tensor) or isinstance(others, Tensor) or span(rows) is None or span(others) is None:
        return False
    assert mine is not None
    assert theirs is not None
    kept, drawn = zip(*(parted(kept_rows(data.order or NOTHING)) for data in (mine, theirs)), strict=True)
    if (
        mine.tokens != theirs.tokens
        or drawn[0] == drawn[1]
        or any(key[1].__class__ is Same for key in drawn[0] ^ drawn[1])
    ):
        return False
    return all(uncut(one) == uncut(kept[0]) for one in kept)


def sampled_of_whole(mine: DataInfo, theirs: DataInfo) -> bool:
    """Whether rows were drawn of all that others are the training part of."""
    if mine.tokens != theirs.tokens or mine.part is not None or mine.splits or theirs.part != "train":
        return False
    if mine.order is None or theirs.order is None or not is_one(theirs):
        return False
    apart, drawn = mine.order - theirs.order, theirs.order - mine.order
    return [key[0] for key in apart] == ["sampled"] and all(key[0] == "drawn" for key in drawn)


NOTHING: frozenset[Any] = frozenset()


def uncut(order: frozenset[Any]) -> frozenset[Any]:
    """What was done to rows before some were cut off."""
    return frozenset(key for key in order if key[0] != "chosen")


def is_held_out_of(rows: Value | None, others: Value | None, halved: Collection[int]) -> bool:
    """Whether rows were held out by a split of just the others, on which no model that they judge must be trained. Of
    what was held out itself, and then `halved`, the two parts are held out from yet others."""
    mine, theirs = held(rows), held(others)
    if mine is None or theirs is None or not is_one(mine) or mine.tokens != theirs.tokens:
        return False
    if mine.part not in ("val", "test") or theirs.part in ("val", "test"):
        return False
    last = mine.splits - theirs.splits
    if not theirs.splits <= mine.splits or len(last) != 1 or not last.isdisjoint(halved):
        return False
    if mine.order is None or theirs.order is None or not theirs.order <= mine.order:
        return False
    cut = any(key[0] == "chosen" for key in mine.order - theirs.order)
    return not (cut and theirs.part)  # a slice of a part stays that part: it was held out before it was cut


def is_chosen_of(rows: Value | None, others: Value | None) -> bool:
    """Whether rows were surely chosen from among just these others, none of which a choice has left out."""
    mine, theirs = held(rows), held(others)
    if mine is None or theirs is None or not is_one(mine):
        return False
    if isinstance(rows, ListObject) and isinstance(others, ListObject) and are_put_into_both(rows, others):
        return True
    if mine.tokens != theirs.tokens or theirs.splits - mine.splits:
        return False
    if part_of(rows, mine) != part_of(others, theirs):
        return False
    if mine.order is None or theirs.order is None or not theirs.order < mine.order:
        return False
    return all(key[0] != "mapped" for key in mine.order - theirs.order)


def are_put_into_both(rows: ListObject, others: ListObject) -> bool:
    """Whether a loop puts into one list, on a condition, what it puts into the other in each turn."""
    mine, theirs = held(rows), held(others)
    if mine is None or theirs is None or mine.order is None or theirs.order is None:
        return False
    if not any(key[0] == WITHIN and theirs.tokens == {key[1]} for key in mine.order):
        return False
    put = [positional(node) for one in (rows, others) if (node := one.attrs.get("$filled")) is not None]
    alike = len(put) == 2 and all(put) and put[0][0].deep_equals(put[1][0])
    return alike and not any(key[0] in ("chosen", WITHIN) for key in theirs.order)


def parted(order: Any) -> tuple[frozenset[Any], frozenset[Any]]:
    """What was done to the order of rows by choice, and by chance."""
    drawn = frozenset(key for key in order if key[0] == "drawn")
    return order - drawn, drawn


def is_within(mine: Span | None, theirs: Span | None) -> bool:
    """Whether rows surely are among others: between the same places, or between narrower ones."""
    if mine is None or theirs is None or mine.of != theirs.of:
        return False
    return not_before(mine.start, theirs.start) and not_before(theirs.stop, mine.stop, at_end=True)


def overlap(mine: Span | None, theirs: Span | None) -> bool:
    """Whether rows surely have some in common with others: as constants tell from where to where both go."""
    if mine is None or theirs is None or mine.of != theirs.of:
        return False
    return ends_behind(mine.start, theirs.stop) and ends_behind(theirs.start, mine.stop)


def ends_behind(start: Any, stop: Any) -> bool:
    """Whether rows that end at one place surely reach beyond the first of others. What is left of rows without their
    last ones is taken to be something."""
    if start is None or stop is None:
        return (start is None or is_place(start)) and (stop is None or (is_place(stop) and stop != 0))
    if (first := day_of(start)) and (last := day_of(stop)):
        return first[0] == last[0] and first[1] < last[1]
    if is_portion(start) and is_portion(stop):
        return lie_alike(start, stop) and start.share < stop.share - ROUNDED
    return is_small(start) and is_small(stop) and (start < 0) == (stop < 0) and start < stop


def begins(mine: Span, theirs: Span) -> bool:
    """Whether rows are the first ones of others, as those that tell how training goes."""
    return mine.start == theirs.start and is_within(mine, theirs)


def begin_alike(mine: Span | None, theirs: Span | None) -> bool:
    """Whether rows and others are the first of the same ones, so many of each as nobody knows."""
    if mine is None or theirs is None or mine.of != theirs.of or None in (mine.stop, theirs.stop):
        return False
    unknown = not is_small(mine.stop) and not is_small(theirs.stop)
    return unknown and mine.start in (None, 0) and theirs.start in (None, 0)


def not_before(place: Any, other: Any, at_end: bool = False) -> bool:
    """Whether a place is surely not before another. One counted from the end is taken for behind one that is counted
    from the beginning where it ends what is kept (`x[:-1000]` and `x[:1000]`)."""
    if place == other or (other is None and not at_end) or (place is None and at_end):
        return True
    if (day := day_of(place)) and (another := day_of(other)):
        return day[0] == another[0] and day[1] >= another[1]
    if is_portion(place) and is_portion(other):
        return lie_alike(place, other) and place.share >= other.share
    if place is None or other is None or not is_small(place) or not is_small(other):
        return False
    if (place < 0) != (other < 0):
        return place < 0
    return place >= other


def is_place(place: Any) -> bool:
    """Whether it is known where a place is among others: a number of rows, a share of them, or a day."""
    return is_small(place) or is_portion(place) or day_of(place) is not None


ROUNDED = 0.01  # shares of a length that differ by no more may be the same row


def is_portion(place: Any) -> TypeGuard[Portion]:
    return place.__class__ is Portion


def lie_alike(place: Portion, other: Portion) -> bool:
    """Whether two places are shares of the same length, counted from the same end."""
    return place.of == other.of and (place.share < 0) == (other.share < 0)


def by_shares(*spans: Span | None) -> bool:
    """Whether rows are all taken by shares of a length, as parts are, and windows that begin before these are not."""
    ends = [[end for end in (one and one[1:]) or () if end is not None] for one in spans]
    return all(known and all(map(is_portion, known)) for known in ends)


DAY = re.compile(r"\d{4}(-\d\d){0,2}")


def day_of(place: Any) -> tuple[str, str] | None:
    """The column of dates that rows are cut by, "" for their index, and the day, as days can be compared."""
    column, day = place[1:] if isinstance(place, tuple) and place[0] == "date" else ("", place)
    return (column, day) if isinstance(day, str) and DAY.fullmatch(day) else None


def is_small(place: Any) -> TypeGuard[int]:
    """Whether a place is a number of rows, not what stands for an unknown one."""
    return type(place) is int and abs(place) < 2**31
