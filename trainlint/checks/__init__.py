"""The rules, by families. A new rule is a class in a module of its family and a page in `rules/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainlint.coded import in_families
from trainlint.findings import Safety, Severity

if TYPE_CHECKING:
    from trainlint.api import Rule

FAMILIES = (
    "losses",
    "step",
    "weights",
    "schedules",
    "optimisation",
    "modes",
    "fits",
    "data",
    "preprocessing",
    "features",
    "loading",
    "selection",
    "numerics",
    "shapes",
    "evaluation",
    "model",
    "apis",
    "performance",
)


@dataclass(frozen=True)
class RuleInfo:
    """What the command line and the reports tell of a rule."""

    code: str
    name: str
    summary: str
    severity: Severity
    default: bool
    fix: str


# Codes that the shell itself reports.
OWN = (
    RuleInfo("TL000", "unreadable-file", "a file cannot be read or parsed", Severity.ERROR, True, ""),
    RuleInfo("TL001", "unused-suppression", "a suppression comment silences nothing", Severity.WARNING, True, ""),
    RuleInfo("TL002", "internal-error", "trainlint itself failed on a file", Severity.ERROR, True, ""),
)


def all_rules() -> dict[str, type[Rule]]:
    """Every rule by its code, in order of the codes; those of plugins too, which cannot replace a built-in one."""
    from trainlint import plugins
    from trainlint.api import Rule  # not before it is needed: it imports the parser

    found = {rule.code: rule for rule in plugins.rules()} | in_families(__name__, FAMILIES, Rule)
    return dict(sorted(found.items()))


def catalogue() -> list[RuleInfo]:
    """What there is, the shell's own codes included."""
    rules = [
        RuleInfo(
            rule.code,
            rule.name,
            (rule.__doc__ or "").strip().splitlines()[0].rstrip("."),
            rule.severity,
            rule.default,
            Safety(rule.fixable).value if rule.fixable else "",
        )
        for rule in all_rules().values()
    ]
    return [*OWN, *rules]
