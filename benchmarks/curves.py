"""How often `trainlint curves` is right: `python benchmarks/curves.py` trains small models and judges their logs.

Each fault and each healthy recipe of `curve_runs.py` is trained for each of `--seeds`; needs PyTorch, takes minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import curve_runs
import torch

from trainlint.curves.checks import all_checks
from trainlint.curves.diagnosis import diagnose
from trainlint.findings import Finding, Severity


def recipes() -> Iterator[tuple[str, str, Callable[[int], curve_runs.Logs]]]:
    """The code that must be found (empty for none), the name and the recipe."""
    for name, recipe in curve_runs.HEALTHY.items():
        yield "", name, recipe
    for code, named in curve_runs.FAULTY.items():
        for name, recipe in named.items():
            yield code, name, recipe


def write(logs: curve_runs.Logs, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in logs.items():
        (folder / name).write_text(text, "utf-8", newline="")


def judged(folder: Path, name: str) -> list[Finding]:
    """What is found, told what a user would know: the number of classes, or that targets are standardised."""
    return diagnose([str(folder)], list(all_checks().values()), facts=curve_runs.facts(name)).findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="100-109", help="first and last seed")
    parser.add_argument("--only", default="", help="recipes whose name or code contains this")
    parser.add_argument("--keep", type=Path, help="keep the logs in this folder, and use those that are there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    first, last = map(int, options.seeds.split("-"))
    seeds = range(first, last + 1)
    with tempfile.TemporaryDirectory() as scratch:
        root = options.keep or Path(scratch)
        totals = Counter[str]()
        print(f"{'fault':<8}{'recipe':<20}{'runs':>5}{'right':>7}   also found, or found by mistake")
        for code, name, recipe in recipes():
            if options.only in f"{code} {name}":
                tell(code, name, [found(root, code, name, recipe, seed) for seed in seeds], totals)
    print(f"healthy runs with an error or a warning: {totals['alarms']} of {totals['healthy']}")
    print(f"faulty runs with their own diagnosis: {totals['hits']} of {totals['faulty']}")
    return 0


def found(root: Path, code: str, name: str, recipe: Callable[[int], curve_runs.Logs], seed: int) -> list[Finding]:
    folder = root / (code or "healthy") / name / str(seed)
    if not folder.is_dir():
        write(recipe(seed), folder)
    return judged(folder, name)


def tell(code: str, name: str, results: list[list[Finding]], totals: Counter[str]) -> None:
    grave = (Severity.ERROR, Severity.WARNING)
    if code:
        right = sum(any(finding.code == code for finding in findings) for findings in results)
        totals["hits"] += right
    else:
        right = sum(not any(finding.severity in grave for finding in findings) for findings in results)
        totals["alarms"] += len(results) - right
    totals["faulty" if code else "healthy"] += len(results)
    others = Counter(other for findings in results for other in {finding.code for finding in findings} - {code})
    more = " ".join(f"{other}×{count}" for other, count in sorted(others.items()))
    print(f"{code or 'none':<8}{name:<20}{len(results):>5}{right:>7}   {more}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
