"""Estimates against what is known: simulated curves with a given slope, noise and turn, over many draws."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean

import pytest

from trainlint.curves.statistics import carry, change_point, noise, smooth, spread, trend

DRAWS = 200


def gaussian(count: int, draw: int, deviation: float = 1.0) -> list[float]:
    source = random.Random(f"{count} {draw}")
    return [source.gauss(0, deviation) for _ in range(count)]


def carried(count: int, draw: int, share: float) -> list[float]:
    """Noise of deviation 1 of which each point keeps a share of the one before."""
    fresh = gaussian(count, draw)
    values = fresh[:1]
    for value in fresh[1:]:
        values.append(share * values[-1] + math.sqrt(1 - share**2) * value)
    return values


def wild(values: list[float], draw: int, share: float) -> list[float]:
    """The values with a share of them far too high."""
    source = random.Random(draw)
    return [value + 50 if source.random() < share else value for value in values]


SHAPES: dict[str, Callable[[float], float]] = {
    "flat": lambda x: 2.0,
    "line": lambda x: 5 - 3 * x,
    "exponential": lambda x: 2.3 * math.exp(-4 * x),
    "bent": lambda x: 4 * (x - 0.6) ** 2,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("deviation", [0.01, 0.2])
def test_noise_is_that_of_the_points_whatever_the_curve(shape: str, deviation: float) -> None:
    found = [
        noise([SHAPES[shape](i / 100) + aside for i, aside in enumerate(gaussian(100, draw, deviation))])
        for draw in range(DRAWS)
    ]
    assert fmean(found) == pytest.approx(deviation, rel=0.06)
    assert all(0.5 * deviation < one < 1.7 * deviation for one in found)


def test_noise_and_spread_bear_wild_points() -> None:
    for estimate in (noise, spread):
        found = [estimate(wild(gaussian(200, draw), draw, 0.05)) for draw in range(50)]
        assert fmean(found) == pytest.approx(1, rel=0.25)


def test_a_smooth_curve_has_no_noise() -> None:
    assert noise([2 - 0.1 * i for i in range(20)]) == pytest.approx(0, abs=1e-12)
    assert noise([1.0, 2.0]) == 0
    assert smooth([1, 1, 9, 1, 1], 3) == [1, 1, 1, 1, 1]


@pytest.mark.parametrize("count", [8, 12, 60])
@pytest.mark.parametrize("slope", [0.0, -0.05, 0.3])
def test_the_limits_of_a_trend_hold_the_true_slope(count: int, slope: float) -> None:
    """At 99 %: of 200 draws two are expected outside; seven or more would come once in 300 times."""
    outside = 0
    slopes = []
    for draw in range(DRAWS):
        found = trend(range(count), [slope * i + aside for i, aside in enumerate(gaussian(count, draw))])
        slopes.append(found.slope)
        outside += not found.low <= slope <= found.high
    assert outside < 7
    assert fmean(slopes) == pytest.approx(slope, abs=0.3 / count)


@pytest.mark.parametrize("count", [8, 40, 80])
def test_a_trend_of_five_deviations_is_found(count: int) -> None:
    falls = sum(
        trend(range(count), [-5 * i / count + aside for i, aside in enumerate(gaussian(count, draw))]).falls
        for draw in range(DRAWS)
    )
    # Of eight points Kendall's score is sure only if almost all pairs agree.
    assert falls >= (0.4 if count == 8 else 0.98) * DRAWS


def test_steps_need_not_be_even() -> None:
    steps = [2.0**i for i in range(10)]
    assert trend(steps, [3 - 0.5 * step for step in steps]).slope == pytest.approx(-0.5)


def test_a_trend_bears_wild_points() -> None:
    slopes = [
        trend(range(80), wild([-0.1 * i + aside for i, aside in enumerate(gaussian(80, draw))], draw, 0.15)).slope
        for draw in range(50)
    ]
    assert fmean(slopes) == pytest.approx(-0.1, abs=0.02)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_noise_that_carries_over_is_no_trend(share: float) -> None:
    """Without the correction, noise of which 60 % carries over shows a "sure" trend in every fifth curve."""
    sure = sum(
        found.falls or found.rises for draw in range(DRAWS) for found in [trend(range(100), carried(100, draw, share))]
    )
    assert sure <= 0.05 * DRAWS


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_what_carries_over_is_estimated(share: float) -> None:
    found = fmean(carry([0.02 * i + value for i, value in enumerate(carried(120, draw, share))]) for draw in range(100))
    assert found == pytest.approx(share, abs=0.08)
    assert carry(gaussian(19, 1)) == 0


@pytest.mark.parametrize("turn", [20, 50, 80])
def test_a_change_of_course_is_found_where_it_is(turn: int) -> None:
    """A fall of 10 deviations to the turn, and as much of a rise from there on."""
    found = []
    for draw in range(DRAWS):
        course = [10 * (turn - i) / turn if i < turn else 10 * (i - turn) / (100 - turn) for i in range(100)]
        found.append(change_point([a + b for a, b in zip(course, gaussian(100, draw), strict=True)]))
    assert fmean(found) == pytest.approx(turn, abs=1.5)
    assert sum(abs(place - turn) <= 5 for place in found) >= 0.9 * DRAWS


def test_a_jump_is_found_exactly() -> None:
    assert change_point([1.0] * 30 + [3.0] * 30) == 30
    assert change_point([3.0, 2.0, 1.0]) == 1
