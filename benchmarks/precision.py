"""How often is trainlint right? Findings in repositories that it was not made with, each read and judged by hand.

`precision.jsonl` holds the judgements: repository, commit, file, line, code, verdict and reason; `repositories.jsonl`
which repositories were read, and of some how many findings there were at the first reading. Without arguments this
prints the table in docs/precision.md. With `--clone FOLDER` it fetches the repositories at their commits, checks them
with the trainlint at hand, and says which findings were never judged and which judged ones have gone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
VERDICTS = ("true", "arguable", "false")
DOCUMENT = HERE.parent / "docs" / "precision.md"


TEXT = """\
# Precision

Repositories that trainlint was not made with were checked with the rules that are on by default, and every finding was
read. `true`: the code does what the message says, and that does harm there. `arguable`: it does what the message says,
but its author may have meant it, or the harm is small. `false`: the message is wrong.

What was false at the first reading was mended at its cause where that could be done, and became a test; the table is of
what is found after that. So it tells less of precision on code that nobody has looked at than the first reading did.
{first}
{largest}

`python benchmarks/precision.py` prints this table, from the judgements in
[precision.jsonl](../benchmarks/precision.jsonl), which say why. With `--clone FOLDER` it fetches the repositories and
checks them again.

{table}

## False

{wrong}

## Repositories

{listed}
"""


class Judgement(NamedTuple):
    """A finding, and what a reader of the code made of it."""

    repository: str
    commit: str
    path: str
    line: int
    code: str
    verdict: str
    why: str


def repositories() -> dict[str, str]:
    """The commit of each repository that was read, those without a finding too."""
    return {row["repository"]: row["commit"] for row in _rows("repositories.jsonl")}


def first_reading() -> str:
    """What was found at the first reading of those repositories of which that was counted."""
    counted = [Counter(row["first"]) for row in _rows("repositories.jsonl") if "first" in row]
    total = sum(counted, Counter[str]())
    true, arguable, wrong = (100 * total[verdict] / max(1, total.total()) for verdict in VERDICTS)
    return (
        f"That was counted for {len(counted)} of the repositories: of {total.total()} findings {true:.1f} % were true, "
        f"{arguable:.1f} % arguable\nand {wrong:.1f} % false."
    )


def largest() -> str:
    """How much of the table one repository makes up."""
    name, number = Counter(j.repository for j in judgements()).most_common(1)[0]
    right = 100 * sum(j.verdict == "true" for j in judgements() if j.repository == name) / number
    return f"{number} of the findings are in {name}, a collection of many projects; {right:.1f} % of these are true."


def judgements() -> list[Judgement]:
    """All judgements, in order of place."""
    return sorted(Judgement(**row) for row in _rows("precision.jsonl"))


def _rows(name: str) -> Iterator[dict[str, Any]]:
    for line in (HERE / name).read_text("utf-8").splitlines():
        yield json.loads(line)


def table(found: Sequence[Judgement]) -> str:
    """The counts by rule, as Markdown."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for judgement in found:
        counts[judgement.code][judgement.verdict] += 1
    total: Counter[str] = sum(counts.values(), Counter())
    rows = [f"| rule | {' | '.join(VERDICTS)} |", "|---|" + "---|" * len(VERDICTS)]
    for name, count in [*sorted(counts.items()), ("all", total)]:
        rows.append(f"| {name} | {' | '.join(str(count[verdict]) for verdict in VERDICTS)} |")
    number = max(1, total.total())
    right, wrong = 100 * total["true"] / number, 100 * total["false"] / number
    rows.append(
        f"\nOf {number} findings in {len(repositories())} repositories {right:.1f} % are true and {wrong:.1f} % false."
    )
    return "\n".join(rows)


def document() -> str:
    """The text of docs/precision.md."""
    listed = "\n".join(f"- {name} at `{commit[:12]}`" for name, commit in sorted(repositories().items()))
    wrong = "\n".join(
        f"- {j.repository}, {j.path}:{j.line}, {j.code}: {j.why}" for j in judgements() if j.verdict == "false"
    )
    return TEXT.format(
        first=first_reading(),
        largest=largest(),
        table=table(judgements()),
        wrong=wrong or "None is left.",
        listed=listed,
    )


def again(folder: Path) -> int:
    """Fetch the repositories, check them, and compare with the judgements."""
    judged = {(j.repository, j.path, j.line, j.code) for j in judgements()}
    found: set[tuple[str, str, int, str]] = set()
    for name, commit in repositories().items():
        tree = folder / name.replace("/", "__")
        if not tree.exists():
            tree.mkdir(parents=True)
            address = f"https://github.com/{name}"
            for command in (
                ["init", "-q"],
                ["fetch", "-q", "--depth", "1", address, commit],
                ["checkout", "-q", commit],
            ):
                subprocess.run(["git", "-C", str(tree), *command], check=True)
        command = [sys.executable, "-m", "trainlint", "--isolated", "--exit-zero", "--output-format", "json", "."]
        printed = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout
        for finding in json.loads(printed):
            if finding["code"] != "TL000":
                found.add((name, finding["filename"], finding["line"], finding["code"]))
    for mark, places in (("not judged", found - judged), ("gone", judged - found)):
        for place in sorted(places):
            print(f"{mark}: {' '.join(map(str, place))}")
    return int(bool(found - judged))


def main() -> int:
    """Print the table, write the document, or check anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clone", type=Path, metavar="FOLDER", help="fetch the repositories there and check them")
    parser.add_argument("--write", action="store_true", help="write docs/precision.md")
    options = parser.parse_args()
    if options.clone is not None:
        return again(options.clone)
    if options.write:
        DOCUMENT.write_text(document(), "utf-8", newline="\n")
    print(table(judgements()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
