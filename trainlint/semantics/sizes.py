"""Sizes that settings decide: `hidden`, `2 * hidden`, `hidden // heads`, whatever number `hidden` will be.

A `Size` is a sum of products of settings, each to a whole power, with fractions before them. Divisions are taken to
leave no rest, as layers want it. Two sizes differ for certain where their difference has one sign for all settings of
at least 1 (`hidden` and `2 * hidden`), or where both come from options of the command line and differ as long as
nobody sets these. An axis that nothing is known of but that the program asked for its size is a symbol as well, so that
it is the same again where tensors are taken apart and put together; nothing is concluded from it where it does not
cancel out.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainlint.semantics.values import Shape

MAX_TERMS = 8
MAX_POWER = 8
MAX_FACTOR = 10**12
UNNAMED = "…"  # what is computed in a way that is not followed
GENERIC = 5040  # stands for a setting without a default; a multiple of what sizes are divided by


class Symbol:
    """A setting: its name, what it is when nobody sets it (None: not known), and whether it is an option of a program
    rather than a parameter, for which each caller may give another number; `axis` if it is no setting, but the size of
    an axis."""

    __slots__ = ("axis", "default", "name", "option")

    def __init__(self, name: str, default: int | None = None, *, option: bool = False, axis: bool = False) -> None:
        self.name = name
        self.default = default
        self.option = option
        self.axis = axis


Product = frozenset[tuple[Symbol, int]]  # settings and their powers
Factor = int | Fraction  # a plain number where it is whole
Terms = dict[Product, Factor]
ONE: Product = frozenset()


class Size(int):
    """A size that settings decide. As an `int` it is what it comes to with their defaults; sizes are equal if they are
    so for all settings."""

    terms: Terms

    def __new__(cls, terms: Terms) -> Size:
        new = super().__new__(cls, int(sum(c * value_of(product) for product, c in terms.items())))
        new.terms = terms
        return new

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.terms == other.terms

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __str__(self) -> str:
        terms = sorted((factor < 0, not product, spelled(product, factor)) for product, factor in self.terms.items())
        return " + ".join(text for _, _, text in terms).replace("+ -", "- ")

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __add__(self, other: int) -> int:
        return simplest((*self.terms.items(), *terms_of(other).items()))

    def __neg__(self) -> int:
        return self * -1

    def __sub__(self, other: int) -> int:
        return self + other * -1

    def __rsub__(self, other: int) -> int:
        return self * -1 + other

    def __mul__(self, other: int) -> int:
        pairs = ((a, b) for a in self.terms.items() for b in terms_of(other).items())
        return simplest((multiplied(p, q), c * d) for (p, c), (q, d) in pairs)

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> int:
        return self * inverse(other)

    def __rfloordiv__(self, other: int) -> int:
        return inverse(self) * other

    def __pow__(self, exponent: int, modulo: Any = None) -> int:  # type: ignore[override]
        result: int = Size({ONE: 1})
        for _ in range(min(exponent, MAX_TERMS)):
            result = result * self
        return result


def of_setting(name: str, default: int | None = None, *, option: bool = False) -> Size:
    return Size({frozenset(((Symbol(name, default, option=option), 1),)): 1})


def of_axis() -> Size:
    """The size of an axis that is not known otherwise."""
    return Size({frozenset(((Symbol("?", axis=True), 1),)): 1})


def is_of_axis(size: int | None) -> bool:
    """Whether an axis that is not known takes part in a size."""
    return isinstance(size, Size) and any(symbol.axis for product in size.terms for symbol, _ in product)


def is_whole(size: int) -> bool:
    """Whether a size is no fraction of one that is not known."""
    if not is_of_axis(size):
        return True
    terms = terms_of(size).items()
    return all(factor.denominator == 1 and all(power > 0 for _, power in product) for product, factor in terms)


def value_of(product: Product) -> Factor:
    above = below = 1
    for symbol, power in product:
        if power > 0:
            above *= (symbol.default or GENERIC) ** power
        else:
            below *= (symbol.default or GENERIC) ** -power
    return plain(Fraction(above, below)) if below != 1 else above


def plain(factor: Factor) -> Factor:
    return factor.numerator if factor.denominator == 1 else factor


def terms_of(size: int) -> Terms:
    return size.terms if isinstance(size, Size) else {ONE: size}


def simplest(terms: Iterable[tuple[Product, Factor]]) -> int:
    """A sum of terms; a plain number where no setting is left."""
    total: Terms = {}
    for product, factor in terms:
        total[product] = total.get(product, 0) + factor
    total = {product: plain(factor) for product, factor in total.items() if factor}
    if set(total) <= {ONE}:
        return int(total.get(ONE, 0))
    small = len(total) <= MAX_TERMS and all(is_small(product, factor) for product, factor in total.items())
    return Size(total) if small else of_setting(UNNAMED)


def is_small(product: Product, factor: Factor) -> bool:
    """Whether a term is like those of layers: what a program squares again and again is not written out."""
    powers = (abs(power) for _, power in product)
    return max(powers, default=0) <= MAX_POWER and max(abs(factor.numerator), factor.denominator) < MAX_FACTOR


def multiplied(one: Product, other: Product) -> Product:
    powers = dict(one)
    for symbol, power in other:
        powers[symbol] = powers.get(symbol, 0) + power
    return frozenset((symbol, power) for symbol, power in powers.items() if power)


def inverse(size: int) -> Size:
    """What to multiply with in place of a division; of sums, nothing is known."""
    terms = terms_of(size)
    if len(terms) != 1 or size == 0:
        return of_setting(UNNAMED)
    ((product, factor),) = terms.items()
    return Size({frozenset((symbol, -power) for symbol, power in product): plain(1 / Fraction(factor))})


def spelled(product: Product, factor: Factor) -> str:
    named = sorted(((symbol.name, power) for symbol, power in product), key=lambda item: (item[1] < 0, item[0]))
    above = [name if power == 1 else f"{name}**{power}" for name, power in named if power > 0]
    below = [name if power == -1 else f"{name}**{-power}" for name, power in named if power < 0]
    if abs(factor.numerator) != 1 or not above:
        above.insert(0, str(abs(factor.numerator)))
    if factor.denominator != 1:
        below.append(str(factor.denominator))
    return ("-" if factor < 0 else "") + " // ".join([" * ".join(above), *below])


def order(one: int, other: int) -> int | None:
    """Whether a size is less than another (-1), the same (0) or greater (1) for all settings; else None."""
    rest = one + other * -1
    if is_of_axis(rest):
        return None
    signs = {1 if factor > 0 else -1 for factor in terms_of(rest).values() if factor} or {0}
    return signs.pop() if len(signs) == 1 else None


def differ(one: int, other: int) -> bool:
    """Whether two sizes cannot be the same."""
    known = order(one, other)
    if known is not None:
        return known != 0
    terms = [*terms_of(one).items(), *terms_of(other).items()]
    if not is_optional(one) or not is_optional(other) or int(one) == int(other):
        return False
    usual = (value_of(product) * factor for product, factor in terms)
    return all(value.denominator == 1 for value in usual)  # else a rest is lost on the way


def is_optional(size: int) -> bool:
    """Whether options with defaults decide a size, and nothing else."""
    return all(symbol.option and symbol.default for product in terms_of(size) for symbol, _ in product)


def is_followed(size: int) -> bool:
    return all(symbol.name != UNNAMED for product in terms_of(size) for symbol, _ in product)


def is_fixed(size: int | None) -> bool:
    return size.__class__ is not Size


def fixed(sizes: Iterable[int | None]) -> Shape:
    """Sizes, as far as the source fixes them."""
    return tuple(None if size.__class__ is Size else size for size in sizes)
