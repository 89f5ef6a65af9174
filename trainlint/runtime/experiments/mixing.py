"""Whether samples of a batch are told apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainlint.findings import Severity
from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.subject import Clock, Samples, Subject, Trial

SAMPLES = 5  # a prime, so that no other axis is likely to have it
# A number that others were changed for changes by less through rounding.
ROUNDING = 1e-4
# The first sample and the others, the last one and the others: what runs along the batch may reach later ones only.
ENDS = ((0, slice(1, None)), (-1, slice(0, -1)))


class BatchMixing(Experiment):
    """What the model gives for a sample depends on the other samples of the batch."""

    code, name = "TR307", "batch-mixing"
    severity = Severity.ERROR
    message = (
        "in evaluation mode, what {model} gives for a sample depends on the other samples of its batch ({how}); "
        "an axis other than the batch's is meant"
    )

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Follow the gradient of one sample's output to the inputs of the others; change these where they are whole
        numbers."""
        trial = subject.trial()
        samples = subject.pool().at(slice(0, SAMPLES))
        if samples.size < 2:
            raise Unjudged("there is one sample only")
        if any(_normalises_by_batch(module) for module in trial.model.modules()):
            raise Unjudged("the model normalises by the statistics of the batch in evaluation mode as well")
        outputs = trial.outputs(samples)
        if outputs.shape[:1] != (samples.size,) or outputs.shape[1:2] == (samples.size,):
            raise Unjudged(f"the output has the shape {tuple(outputs.shape)} for {samples.size} samples")
        if any(tensor.is_floating_point() for tensor in samples.inputs):
            how = _gradient(trial, samples)
            tried = f"gradient of one of {samples.size} outputs by the other inputs"
        else:
            how = _difference(trial, samples, outputs)
            tried = f"one of {samples.size} outputs after a change of the other inputs"
        if how is None:
            return Result(f"{tried}: none" if "gradient" in tried else f"{tried}: the same")
        return Result(f"{tried}: {how}", self.message.format(model=subject.model_name, how=how))


def _normalises_by_batch(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None


def _gradient(trial: Trial, samples: Samples) -> str | None:
    leaves: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        leaves.append(tensor.detach().clone().requires_grad_())
        return leaves[-1]

    # The recurrent layers of cuDNN have gradients in training mode only.
    with torch.backends.cudnn.flags(enabled=False), trial.evaluating():
        output = trial.output(samples.mapped(leaf, None))
    if not output.requires_grad:
        raise Unjudged("the output has no gradient")
    largest = 0.0
    for kept, others in ENDS:
        gradients = torch.autograd.grad(output[kept].float().sum(), leaves, retain_graph=True, allow_unused=True)
        reached = [float(gradient[others].abs().max()) for gradient in gradients if gradient is not None]
        largest = max([largest, *reached])
    return f"its gradient by their inputs is up to {largest:.2g}" if largest else None


def _difference(trial: Trial, samples: Samples, outputs: Tensor) -> str | None:
    if not torch.equal(trial.outputs(samples), outputs):
        raise Unjudged("the output is random in evaluation mode")
    for kept, _ in ENDS:
        index = torch.full((samples.size,), kept, device=outputs.device)
        alike = trial.outputs(samples.at(index))
        off = float((alike[kept] - outputs[kept]).abs().max())
        if off > ROUNDING * float(outputs.abs().max()):
            return f"it changes by {off:.2g} with their inputs"
    return None
