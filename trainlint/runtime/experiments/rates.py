"""Which learning rates work, and whether the one in use is among them."""

from __future__ import annotations

import math
from itertools import cycle, islice
from statistics import fmean

from trainlint.runtime.experiments import Curve, Experiment, Result, Unjudged
from trainlint.runtime.experiments.subject import Clock, Samples, Subject, Trial

# Rates from the first to the last, by a constant factor from step to step.
LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 140
# Of each smoothed loss so much is the one before; one so many times the least has diverged (as in fastai).
SMOOTHING, DIVERGED = 0.9, 4.0
# How long two rates are compared.
COMPARED = 100
# A fall of so much of the loss is learning; so little of the fall at another rate is none.
LEARNING, NONE = 0.05, 0.02
# What is above this part of the whole fall may be chance.
BEGUN = 0.1


class LearningRateRange(Experiment):
    """The learning rate in use does not learn, while another one does."""

    code, name = "TR604", "learning-rate-range"
    message = (
        "a learning rate of {rate:.2g} is too {fault}: in {steps} steps the loss goes from {first:.3g} to "
        "{last:.3g}, at {best:.1g} to {other:.3g}"
    )

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Raise the rate from step to step, take the one where the loss falls most steeply, and compare it with that in
        use over the same batches."""
        if not subject.rate:
            raise Unjudged("the learning rate is 0")
        rates, losses = _sweep(subject, clock)
        first = fmean(losses[: STEPS // 10])
        best = _steepest(rates, losses, first)
        if best is None or first - min(losses) < LEARNING * abs(first):
            raise Unjudged("at no rate does the loss fall in so few steps")
        curve = Curve("learning rate", "loss", rates, losses, {"in use": subject.rate, "steepest": best})
        measured = f"the loss falls most steeply at {best:.1g}; in use is {subject.rate:.2g}"
        if 0.1 <= subject.rate / best <= 10:
            return Result(measured, curve=curve)
        own, other = (_after(subject, clock, rate) for rate in (subject.rate, best))
        if not math.isfinite(other) or first - other < LEARNING * abs(first):
            return Result(measured, curve=curve)
        fall = first - own
        fault = "high" if not fall > 0 and subject.rate > best else "low" if fall < NONE * (first - other) else ""
        if not fault or (fault == "low") != (subject.rate < best):
            return Result(f"{measured}; both learn", curve=curve)
        problem = self.message.format(
            rate=subject.rate, fault=fault, steps=COMPARED, first=first, last=own, best=best, other=other
        )
        return Result(measured, problem, curve)


def _sweep(subject: Subject, clock: Clock) -> tuple[list[float], list[float]]:
    """Rates, and the smoothed losses of the steps made with them, until these diverge."""
    trial = subject.trial()
    trial.model.train()
    rates: list[float] = []
    losses: list[float] = []
    smooth = 0.0
    for number, samples in enumerate(islice(cycle(subject.batches), STEPS)):
        rate = LOWEST * (HIGHEST / LOWEST) ** (number / (STEPS - 1))
        _set_rate(trial, rate / subject.rate)
        loss = trial.step(samples)
        smooth = SMOOTHING * smooth + (1 - SMOOTHING) * loss
        value = smooth / (1 - SMOOTHING ** (number + 1))
        if not math.isfinite(value) or (losses and number > STEPS // 10 and value > DIVERGED * abs(min(losses))):
            break
        rates.append(rate)
        losses.append(value)
        _set_rate(trial, subject.rate / rate)
        if clock.is_over:
            raise Unjudged(f"there was time for {number + 1} steps of {STEPS} only")
    if len(losses) < STEPS // 4:
        raise Unjudged(f"the loss is not finite from a rate of {rates[-1] if rates else LOWEST:.1g} on")
    return rates, losses


def _set_rate(trial: Trial, factor: float) -> None:
    for group in trial.optimizer.param_groups:
        group["lr"] = group["lr"] * factor


def _steepest(rates: list[float], losses: list[float], first: float) -> float | None:
    """The rate at which the loss falls most, per factor of the rate, once it has begun to fall and before it is at its
    least."""
    reach = STEPS // 20
    least = losses.index(min(losses))
    begun = first - BEGUN * (first - losses[least])
    falls = {
        place: losses[place - reach] - losses[min(place + reach, least)]
        for place in range(STEPS // 10, least + 1)
        if losses[place] < begun
    }
    return rates[max(falls, key=falls.__getitem__)] if falls else None


def _after(subject: Subject, clock: Clock, rate: float) -> float:
    """The loss that training with a rate ends at."""
    trial = subject.trial()
    _set_rate(trial, rate / subject.rate)
    batches: list[Samples] = list(islice(cycle(subject.batches), COMPARED))
    losses = trial.train(batches, clock)
    if len(losses) < COMPARED and math.isfinite(losses[-1]):
        raise Unjudged(f"there was time for {len(losses)} steps of {COMPARED} only")
    return fmean(losses[-COMPARED // 5 :])
