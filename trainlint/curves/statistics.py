"""Statistics of curves that a few wild points do not move, each with its error.

Series are short here (`binned`), so pairs of points can all be looked at. Steps need not be evenly spaced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

# A normal distribution's standard deviation over its median absolute deviation.
_MAD = 1.4826
# Two-sided 99 %: a trend is called one only if it would come of noise in one curve of a hundred.
_Z = 2.576
# More bins than these add nothing to a trend, and the pairs of points grow with the square.
BINS = 160


@dataclass(frozen=True)
class Trend:
    """Change a step by Theil and Sen, with the limits between which it lies at 99 % (Sen 1968)."""

    slope: float
    low: float
    high: float
    # Of the first and the last step, on the line.
    start: float
    end: float

    @property
    def falls(self) -> bool:
        """Whether it surely goes down."""
        return self.high < 0

    @property
    def rises(self) -> bool:
        """Whether it surely goes up."""
        return self.low > 0


def binned(steps: Sequence[float], values: Sequence[float], bins: int = BINS) -> tuple[list[float], list[float]]:
    """Means of equally many neighbours each, at most `bins` of them."""
    size = math.ceil(len(values) / bins)
    if size <= 1:
        return list(steps), list(values)
    starts = range(0, len(values) - size + 1, size)
    return [fmean(steps[i : i + size]) for i in starts], [fmean(values[i : i + size]) for i in starts]


def noise(values: Sequence[float]) -> float:
    """The standard deviation of independent noise on a smooth curve, from its second differences.

    A curve's own bend hardly enters; needs three values, else 0.
    """
    seconds = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    return _MAD * median(seconds) / math.sqrt(6) if seconds else 0.0


def spread(values: Sequence[float]) -> float:
    """The standard deviation, by the median absolute deviation."""
    centre = median(values)
    return _MAD * median(abs(value - centre) for value in values)


def smooth(values: Sequence[float], width: int) -> list[float]:
    """The running median over `width` neighbours, fewer at the ends."""
    half = width // 2
    return [median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]


def trend(steps: Sequence[float], values: Sequence[float]) -> Trend:
    """The trend of a curve, with limits widened for noise that carries over from point to point.

    Loggers often record averages over what came before. Their noise looks small and slow, which would make any wiggle a
    sure trend: the variance of Kendall's score is multiplied by (1 + r) / (1 - r), r the correlation of neighbouring
    residuals (Hamed and Rao 1998, for a first-order process).
    """
    steps, values = binned(steps, values)
    n = len(values)
    pairs = [
        (values[j] - values[i]) / (steps[j] - steps[i])
        for i in range(n)
        for j in range(i + 1, n)
        if steps[j] > steps[i]
    ]
    if not pairs:
        return Trend(0.0, -math.inf, math.inf, values[0], values[-1])
    pairs.sort()
    slope = median(pairs)
    level = median(value - slope * step for step, value in zip(steps, values, strict=True))
    carried = carry(values)
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18 * (1 + carried) / (1 - carried))
    aside = round(_Z * deviation)
    low, high = (len(pairs) - aside) // 2, (len(pairs) + aside) // 2
    return Trend(
        slope,
        pairs[low] if low >= 0 else -math.inf,
        pairs[high] if high < len(pairs) else math.inf,
        level + slope * steps[0],
        level + slope * steps[-1],
    )


def carry(values: Sequence[float]) -> float:
    """How much of its noise each point has from the one before: the correlation around a line through each half.

    Between 0 and 0.6, for what two lines leave of a smooth bend is correlated too; 0 where too few points tell.
    """
    n = len(values)
    if n < 20:
        return 0.0
    found = []
    for half in (values[: n // 2], values[n // 2 :]):
        centre, middle = (len(half) - 1) / 2, fmean(half)
        spread_of_x = sum((x - centre) ** 2 for x in range(len(half)))
        slope = sum((x - centre) * value for x, value in enumerate(half)) / spread_of_x
        found.append(correlation([value - middle - slope * (x - centre) for x, value in enumerate(half)]))
    return min(max(fmean(found), 0.0), 0.6)


def correlation(residuals: Sequence[float]) -> float:
    """Of each residual with the next, corrected for the bias of short series."""
    total = sum(value * value for value in residuals)
    if total == 0 or len(residuals) < 4:
        return 0.0
    neighbours = sum(a * b for a, b in pairwise(residuals))
    return neighbours / total + 1 / len(residuals)


def change_point(values: Sequence[float]) -> int:
    """Where a curve's course changes: the index at which two straight lines, one on each side, fit it best.

    Least squares with sums over prefixes, so one pass; needs six values, else the middle.
    """
    n = len(values)
    if n < 6:
        return n // 2
    sums = [(0.0, 0.0, 0.0, 0.0, 0.0)]
    for x, y in enumerate(values):
        a, b, c, d, e = sums[-1]
        sums.append((a + x, b + y, c + x * x, d + x * y, e + y * y))

    def error(i: int, j: int) -> float:
        x, y, xx, xy, yy = (sums[j][k] - sums[i][k] for k in range(5))
        m = j - i
        sxx, sxy, syy = xx - x * x / m, xy - x * y / m, yy - y * y / m
        return max(0.0, syy - (sxy * sxy / sxx if sxx > 0 else 0.0))

    return min(range(3, n - 2), key=lambda i: error(0, i) + error(i, n))
