"""How often `trainlint curves` is right: `python benchmarks/curves.py` trains small models and judges their logs.

Each case of `curve_runs` is trained for each of `--seeds`; needs PyTorch, takes minutes. `--peers` judges the same logs
with other readers of curves, each in an environment of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch
from curve_runs.logs import Logs
from curve_runs.recipes import CASES, Case

from trainlint.curves.checks import all_checks
from trainlint.curves.diagnosis import diagnose
from trainlint.findings import Finding, Severity


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="500-502", help="first and last seed")
    parser.add_argument("--only", default="", help="cases whose task, code or name contains this")
    parser.add_argument("--keep", type=Path, help="keep the logs in this folder, and use those that are there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    first, last = map(int, options.seeds.split("-"))
    seeds = range(first, last + 1)
    with tempfile.TemporaryDirectory() as scratch:
        root = options.keep or Path(scratch)
        totals = Counter[str]()
        print(f"{'task':<9}{'fault':<8}{'recipe':<20}{'runs':>5}{'right':>7}   also found, or found by mistake")
        for case in CASES:
            if options.only in f"{case.task} {case.code} {case.name}":
                tell(case, [judged(trained(root, case, seed), case) for seed in seeds], totals)
    print(f"healthy runs with an error or a warning: {totals['alarms']} of {totals['healthy']}")
    print(f"faulty runs with their own diagnosis: {totals['hits']} of {totals['faulty']}")
    return 0


def trained(root: Path, case: Case, seed: int) -> Path:
    """The folder of the logs, which are made if they are not there yet."""
    folder = root / case.task / (case.code or "healthy") / case.name / str(seed)
    if not folder.is_dir():
        write(case.logs(seed), folder)
    return folder


def write(logs: Logs, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in logs.items():
        (folder / name).write_text(text, "utf-8", newline="")


def judged(folder: Path, case: Case) -> list[Finding]:
    return diagnose([str(folder)], list(all_checks().values()), facts=case.facts).findings


def tell(case: Case, results: list[list[Finding]], totals: Counter[str]) -> None:
    grave = (Severity.ERROR, Severity.WARNING)
    if case.code:
        right = sum(any(finding.code == case.code for finding in findings) for findings in results)
        totals["hits"] += right
    else:
        right = sum(not any(finding.severity in grave for finding in findings) for findings in results)
        totals["alarms"] += len(results) - right
    totals["faulty" if case.code else "healthy"] += len(results)
    others = Counter(other for findings in results for other in {finding.code for finding in findings} - {case.code})
    more = " ".join(f"{other}×{count}" for other, count in sorted(others.items()))
    print(f"{case.task:<9}{case.code or 'none':<8}{case.name:<20}{len(results):>5}{right:>7}   {more}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
