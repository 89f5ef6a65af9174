"""The lab's own rules."""

from __future__ import annotations

from trainlint.api import Call, Report, Rule, Severity, const, on_call

LIMIT = 0.3  # the house's rule; 0.1 is what the paper that brought label smoothing used


class HeavyLabelSmoothing(Rule):
    """Labels are smoothed more than the lab agreed on."""

    code, name = "LAB101", "heavy-label-smoothing"
    message = "labels are smoothed by {amount}, so the model is taught not to be sure of anything"
    severity = Severity.WARNING

    @on_call("torch.nn.functional.cross_entropy")
    def check(self, call: Call, report: Report) -> None:
        """Compare the amount, where it is known."""
        amount = const(call.value("label_smoothing"))
        if isinstance(amount, float) and amount > LIMIT:
            report(call.node, amount=amount)
