"""Which probes and experiments run: those that are on by default, the settings, then what the user says."""

from __future__ import annotations

from pathlib import Path

from trainlint.checks import RuleInfo
from trainlint.config import Configuration, Selection, concerning, enabled_codes
from trainlint.runtime.experiments import Experiment, all_experiments
from trainlint.runtime.probes import Probe, all_probes


def catalogue() -> list[RuleInfo]:
    """What probes and experiments are, in order of their codes."""
    found: dict[str, type[Probe | Experiment]] = {**all_probes(), **all_experiments()}
    return [
        RuleInfo(code, item.name, _summary(item), item.severity, item.default, "")
        for code, item in sorted(found.items())
    ]


def _summary(item: type[Probe | Experiment]) -> str:
    return (item.__doc__ or "").strip().splitlines()[0].rstrip(".")


def chosen_probes(folder: Path, own: Selection, configuration: Configuration | None = None) -> list[type[Probe]]:
    """The probes for a program in `folder`, by its settings and then by `own`.

    Selectors of rules that look at the source mean nothing here, and a `select` that has no others is none. Raises
    UsageError for a selector in `own` that no probe answers to.
    """
    codes = _chosen_codes(folder, own, configuration)
    return [probe for code, probe in all_probes().items() if code in codes]


def chosen_experiments(
    folder: Path, own: Selection, configuration: Configuration | None = None
) -> list[type[Experiment]]:
    """The experiments, chosen in the same way."""
    codes = _chosen_codes(folder, own, configuration)
    return [experiment for code, experiment in all_experiments().items() if code in codes]


def _chosen_codes(folder: Path, own: Selection, configuration: Configuration | None) -> frozenset[str]:
    infos = catalogue()
    settings = (configuration or Configuration()).for_folder(folder)
    layers = [concerning(layer, infos) for layer in settings.selections]
    return enabled_codes([*layers, own], infos)
