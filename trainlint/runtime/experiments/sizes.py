"""How wide the hidden layers are."""

from __future__ import annotations

import torch
from torch import nn

from trainlint.findings import Severity
from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.subject import Clock, Samples, Subject, Trial

# The rule of thumb by samples: Ns / (a (Ni + No)), with a factor from 2 to 10.
FACTORS = (10, 2)
# A layer of fewer units than this part of the inputs and of the outputs is an order of magnitude off.
NARROW = 0.1


class SizeRule(Experiment):
    """A hidden layer is far narrower than both the inputs and the outputs."""

    code, name = "TR609", "size-rule"
    severity = Severity.INFO
    message = (
        "a hidden layer of {model} has {units} unit{s} between {inputs} inputs and {outputs} outputs; the rule of "
        "thumb is a size between these two, and little gets through fewer"
    )

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Note the sizes of the linear layers in the order in which they run."""
        trial = subject.trial()
        if any(_has_weights(module) for module in trial.model.modules()):
            raise Unjudged("the rule of thumb is about fully connected networks")
        sizes = _sizes(trial, subject.pool().at(slice(0, 2)))
        if len(sizes) < 2:
            raise Unjudged("there is no hidden layer")
        inputs, outputs = sizes[0][0], sizes[-1][1]
        hidden = [size for _, size in sizes[:-1]]
        least, most = (max(1, round(subject.number / (factor * (inputs + outputs)))) for factor in FACTORS)
        measured = (
            f"hidden layers of {', '.join(map(str, hidden))} units; rules of thumb are {min(inputs, outputs)} to "
            f"{max(inputs, outputs)} by inputs and outputs, {least} to {most} by {subject.number} samples"
        )
        units = min(hidden)
        # What has as many outputs as inputs may well be meant to find a short code.
        if inputs == outputs or units >= NARROW * min(inputs, outputs):
            return Result(measured)
        about = {"model": subject.model_name, "units": units, "s": "" if units == 1 else "s"}
        return Result(measured, self.message.format(**about, inputs=inputs, outputs=outputs))


def _has_weights(module: nn.Module) -> bool:
    """Whether a layer has weights of other kinds than those that connect all inputs with all outputs."""
    own = [parameter for parameter in module.parameters(recurse=False) if parameter.dim() > 1]
    return bool(own) and not isinstance(module, nn.Linear)


def _sizes(trial: Trial, samples: Samples) -> list[tuple[int, int]]:
    """Of each linear layer that runs, the numbers of its inputs and outputs."""
    sizes: list[tuple[int, int]] = []

    def note(module: nn.Module, _: object, __: object) -> None:
        if isinstance(module, nn.Linear):
            sizes.append((module.in_features, module.out_features))

    for module in trial.model.modules():
        module.register_forward_hook(note)  # it is a copy
    with torch.no_grad(), trial.evaluating():
        trial.output(samples)
    return sizes
