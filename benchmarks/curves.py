"""How often `trainlint curves` is right: `python benchmarks/curves.py` trains small models and judges their logs.

Each case of `curve_runs` is trained for each of `--seeds`; needs PyTorch, takes minutes. `--peers` judges the same logs
with other readers of curves, each in an environment of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from curve_runs.logs import Logs
from curve_runs.peers import installed
from curve_runs.recipes import CASES, Case

from trainlint.curves.checks import all_checks
from trainlint.curves.diagnosis import diagnose
from trainlint.findings import Finding, Severity

Folders = Mapping[Case, Sequence[Path]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="500-502", help="first and last seed")
    parser.add_argument("--only", default="", help="cases whose task, code or name contains this")
    parser.add_argument("--keep", type=Path, help="keep the logs in this folder, and use those that are there")
    parser.add_argument(
        "--peers", metavar="FOLDER", type=Path, help="install other tools below this, and judge by them"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    first, last = map(int, options.seeds.split("-"))
    cases = [case for case in CASES if options.only in f"{case.task} {case.code} {case.name}"]
    with tempfile.TemporaryDirectory() as scratch:
        root = options.keep or Path(scratch)
        folders = {case: [trained(root, case, seed) for seed in range(first, last + 1)] for case in cases}
        ours(folders)
        if options.peers is not None:
            theirs(folders, options.peers)
    return 0


def ours(folders: Folders) -> None:
    """Print for each case how often it was told right, and what else was found."""
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    print(f"{'task':<9}{'fault':<8}{'recipe':<20}{'runs':>5}{'right':>7}   also found, or found by mistake")
    for case, places in folders.items():
        tell(case, [judged(folder, case) for folder in places], totals[case.task])
    print()
    for task, counts in [*totals.items(), ("all", sum(totals.values(), Counter()))]:
        print(f"{task}: healthy runs with an error or a warning: {counts['alarms']} of {counts['healthy']}")
        print(f"{task}: faulty runs with their own diagnosis: {counts['hits']} of {counts['faulty']}")


def theirs(folders: Folders, root: Path) -> None:
    """Print for each fault how often each tool told it, and how many healthy runs it warned of.

    Logs that a tool cannot read count as not told; how many it read stands below.
    """
    told: dict[str, Counter[str]] = {"trainlint": Counter()}
    for case, places in folders.items():
        for folder in places:
            told["trainlint"]["runs " + case.code] += 1
            told["trainlint"]["read"] += 1
            told["trainlint"][case.code] += _is_told(case, judged(folder, case))
    for peer, python in installed(root):
        count = told[f"{peer.name} {peer.version}"] = Counter()
        for case, places in folders.items():
            for folder in places:
                answers = [peer.judge(python, log) for log in sorted(folder.iterdir())]
                said = [one for answer in answers for one in answer or ()]
                count["read"] += None not in answers
                if case.code:
                    count[case.code] += any(case.code in peer.means.get(one.code, "").split() for one in said)
                else:
                    count[""] += any(one.is_grave for one in said)
    print("\n" + "".join(f"{name:>20}" for name in ("", "runs", *told)))
    runs = told["trainlint"]
    for code in sorted({case.code for case in folders}):
        cells = [code or "healthy, warned of", runs["runs " + code], *(count[code] for count in told.values())]
        print("".join(f"{cell:>20}" for cell in cells))
    faulty = {code for code in runs if code.startswith("TC")}
    sums = [sum(count[code] for code in faulty) for count in told.values()]
    for name, cells in (("faulty, told", sums), ("read", [count["read"] for count in told.values()])):
        total = sum(runs["runs " + code] for code in (faulty if name != "read" else {*faulty, ""}))
        print("".join(f"{cell:>20}" for cell in (name, total, *cells)))


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


def _is_told(case: Case, findings: list[Finding]) -> bool:
    """Whether a fault was found; of a healthy run, whether it was warned of."""
    if case.code:
        return any(finding.code == case.code for finding in findings)
    return any(finding.severity in (Severity.ERROR, Severity.WARNING) for finding in findings)


def tell(case: Case, results: list[list[Finding]], totals: Counter[str]) -> None:
    told = sum(_is_told(case, findings) for findings in results)
    totals["faulty" if case.code else "healthy"] += len(results)
    totals["hits" if case.code else "alarms"] += told
    right = told if case.code else len(results) - told
    others = Counter(other for findings in results for other in {finding.code for finding in findings} - {case.code})
    more = " ".join(f"{other}×{count}" for other, count in sorted(others.items()))
    print(f"{case.task:<9}{case.code or 'none':<8}{case.name:<20}{len(results):>5}{right:>7}   {more}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
