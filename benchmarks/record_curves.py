"""Train the runs whose logs lie in `fixtures/curves`, and write these: `python benchmarks/record_curves.py`.

Of each fault one recipe of `curve_runs`, and healthy ones of each task, with two seeds; `cases.json` says what is wrong
with which, and what is known of its task. Needs PyTorch, takes minutes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from curve_runs.recipes import CASES

ROOT = Path(__file__).resolve().parents[1] / "fixtures" / "curves"
SEEDS = (2, 3)
CHOSEN = {
    "teacher": {
        *("adam-cosine", "sgd-staircase", "tested", "depths"),
        *("exploding", "rising-rate", "bad-batches", "random-labels", "rate-too-high", "few-samples", "overconfident"),
        *("too-small", "shifted", "rate-too-low", "noisy-steps", "two-runs", "few-evaluated"),
        *("plain-deep", "compounding"),
    },
    "images": {"dropout", "uneven-folds"},
    "texts": {"warm-up"},
    "signals": {"adam-cosine"},
}


def main() -> int:
    torch.set_num_threads(1)
    known = {}
    for case in CASES:
        if case.name in CHOSEN[case.task]:
            for seed in SEEDS:
                name = f"{case.code or 'healthy'}-{case.task}-{case.name}-{seed}"
                known[name] = {"code": case.code, "facts": case.facts}
                (ROOT / name).mkdir(parents=True, exist_ok=True)
                for filename, text in case.logs(seed).items():
                    (ROOT / name / filename).write_text(text, "utf-8", newline="")
    (ROOT / "cases.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
