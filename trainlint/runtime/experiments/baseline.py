"""Whether anything simple does better."""

from __future__ import annotations

import math
from itertools import count

import torch
from torch import Tensor

from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.subject import Clock, Samples, Subject
from trainlint.runtime.experiments.tasks import Task, divided, epochs

LEAST = 64
# Training goes on until so many epochs in a row were no better, or so many altogether.
PATIENCE, EPOCHS = 10, 100
# Better is a training loss below this part of the best.
FALLING = 0.99
# Better by so many standard errors, and by this part of the error of a constant.
ERRORS, BETTER = 4.0, 0.1
RIDGE = 1e-2


class BeatenByBaseline(Experiment):
    """A constant or a linear model does better than the model."""

    code, name = "TR607", "beaten-by-baseline"
    message = (
        "trained until it gets no better, {model} has {measure} of {own:.3g} on samples not trained on, "
        "{baseline} {other:.3g}"
    )

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Train with three quarters of the samples, and compare the best epoch with baselines on the others."""
        trial = subject.trial()
        pool = subject.pool()
        task = Task.of(trial, pool)
        evaluation = subject.evaluation_pool()
        train, held_out = divided(pool, 0.25) if evaluation is None else (pool, evaluation)
        if held_out.size < LEAST:
            raise Unjudged(f"{held_out.size} samples to compare on are too few")
        baselines = {"a constant": _constant(task, train, held_out), "a linear model": _linear(task, train, held_out)}
        errors = {name: task.errors(guess, held_out) for name, guess in baselines.items() if guess is not None}
        best = min(errors, key=lambda name: float(errors[name].mean()))
        own, is_done = _trained(subject, task, train, held_out, clock)
        told = ", ".join(f"{name} {float(error.mean()):.3g}" for name, error in errors.items())
        measured = f"{task.measure} {float(own.mean()):.3g}, {told}"
        difference = own - errors[best]
        error = float(difference.std()) / math.sqrt(len(difference))
        margin = BETTER * float(errors["a constant"].mean())
        if not float(difference.mean()) > max(ERRORS * error, margin):
            return Result(measured)
        if not is_done:
            raise Unjudged(f"{measured}, and there was no time to train until it gets no better")
        article = "an" if task.measure.startswith("e") else "a"
        problem = self.message.format(
            model=subject.model_name,
            measure=f"{article} {task.measure}",
            own=float(own.mean()),
            baseline=best,
            other=float(errors[best].mean()),
        )
        return Result(measured, problem)


def _trained(subject: Subject, task: Task, train: Samples, held_out: Samples, clock: Clock) -> tuple[Tensor, bool]:
    """The errors of the best epoch, and whether the training loss has stopped to fall."""
    trial = subject.trial()
    best = task.errors(task.predictions(trial, held_out), held_out)
    mark, since = math.inf, 0
    for number in count():
        losses = trial.train(epochs(train, subject.batch_size, [number]), clock)
        if clock.is_over:
            return best, False
        errors = task.errors(task.predictions(trial, held_out), held_out)
        if float(errors.mean()) < float(best.mean()):
            best = errors
        loss = sum(losses) / len(losses)
        mark, since = (loss, 0) if loss < FALLING * mark else (mark, since + 1)
        if since >= PATIENCE or not math.isfinite(loss):
            return best, True
        if number + 1 >= EPOCHS:
            return best, False
    raise AssertionError("count() does not end")


def _constant(task: Task, train: Samples, held_out: Samples) -> Tensor:
    """The most frequent class, or the mean."""
    target = train.target.reshape(-1)
    value: Tensor = target.double().mean() if task.kind == "numbers" else target.long().mode().values
    return value.expand(held_out.size)


def _linear(task: Task, train: Samples, held_out: Samples) -> Tensor | None:
    """Ridge regression on standardised inputs, of classes on their indicators; None for inputs that are not numbers."""
    if any(not tensor.is_floating_point() for tensor in train.inputs):
        return None
    rows, others = (torch.cat([t.reshape(len(t), -1).double() for t in part.inputs], 1) for part in (train, held_out))
    centre, spread = rows.mean(0), rows.std(0)
    scale = torch.where(spread > 0, spread, torch.ones_like(spread)) * math.sqrt(rows.shape[1])
    rows, others = (rows - centre) / scale, (others - centre) / scale
    target = train.target.reshape(-1)
    if task.kind == "numbers":
        classes = None
        wanted = target.double()[:, None]
    else:
        classes = target.long().unique()
        wanted = (target.long()[:, None] == classes[None]).double()
    # With at most so many samples as there are, their products are the smaller matrix.
    products: Tensor = rows @ rows.T
    products.diagonal().add_(RIDGE)
    weights = torch.linalg.solve(products, wanted - wanted.mean(0))
    guess: Tensor = others @ rows.T @ weights + wanted.mean(0)
    return guess[:, 0] if classes is None else classes[guess.argmax(1)]
