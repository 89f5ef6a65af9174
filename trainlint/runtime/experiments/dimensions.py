"""Whether sizes of axes are taken from the data: odd ones are put through the model."""

from __future__ import annotations

import torch

from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.subject import Clock, Samples, Subject, Trial

# Sizes that are hardly ever written into a model.
PRIMES = (7, 11, 13)
HEIGHT, WIDTH = 37, 53


class DimensionProbe(Experiment):
    """A batch of another size does not pass the model, or comes out with axes exchanged."""

    code, name = "TR605", "dimension-probe"
    message = "{what}; a size is hard-coded, or axes are mixed up"

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Call the model with a prime number of samples, and with images of unlike prime sides."""
        trial = subject.trial()
        pool = subject.pool()
        usual = trial.outputs(pool.at(slice(0, subject.batch_size)))
        if usual.shape[:1] != (subject.batch_size,):
            raise Unjudged(f"the output has the shape {tuple(usual.shape)} for {subject.batch_size} samples")
        tried = []
        for size in PRIMES:
            if size in (*usual.shape, subject.batch_size) or size > pool.size:
                continue
            tried.append(size)
            if problem := self._of_size(subject, trial, pool.at(slice(0, size))):
                return Result(f"batches of {', '.join(map(str, tried))} samples", problem)
        if not tried:
            raise Unjudged("there are too few samples")
        measured = f"batches of {', '.join(map(str, tried))} samples pass"
        sides = _sides(trial, pool.at(slice(0, 2)))
        if sides is None:
            return Result(measured)
        measured += f"; images of {HEIGHT} x {WIDTH} become {sides[0]} x {sides[1]}"
        if not _is_transposed(sides):
            return Result(measured)
        what = f"{subject.model_name} turns images of {HEIGHT} x {WIDTH} into {sides[0]} x {sides[1]}"
        return Result(measured, self.message.format(what=what))

    def _of_size(self, subject: Subject, trial: Trial, samples: Samples) -> str | None:
        name = subject.model_name
        try:
            output = trial.outputs(samples)
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            what = f"{name} fails on {samples.size} samples, while a batch of {subject.batch_size} passes ({reason})"
            return self.message.format(what=what)
        if output.shape[0] == samples.size:
            return None
        what = f"{name} gives {output.shape[0]} outputs for {samples.size} samples"
        return self.message.format(what=what)


def _sides(trial: Trial, samples: Samples) -> tuple[int, int] | None:
    """Height and width that come out of a model of images for images; None if it is none, or takes one size only."""
    if len(samples.inputs) != 1 or samples.inputs[0].dim() != 4 or not samples.inputs[0].is_floating_point():
        return None
    try:
        output = trial.outputs(
            samples.mapped(lambda image: torch.nn.functional.interpolate(image, (HEIGHT, WIDTH)), None)
        )
    except Exception:  # noqa: BLE001 - a model may have many reasons not to take such images
        return None
    return (output.shape[2], output.shape[3]) if output.dim() == 4 else None


def _is_transposed(sides: tuple[int, int]) -> bool:
    height, width = sides
    return height > width and abs(height / width - WIDTH / HEIGHT) < abs(height / width - HEIGHT / WIDTH)
