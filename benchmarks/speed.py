"""How fast is trainlint? Prints, in one run, its times beside those of a bare parse and of its peers.

`python benchmarks/speed.py --help` shows the choices; README.md beside this file says how to read the figures.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import corpus
import settings_script

ROOT = Path(__file__).resolve().parent.parent
BARE_PARSE = Path(__file__).resolve().with_name("bare_parse.py")
AS_IT_IS = ["check", "--isolated", "--exit-zero", "--select", "ALL", "--output-format", "json"]
CHECK = [*AS_IT_IS, "--no-cache", "-j1"]

FLAKE8 = "TL = trainlint.integrations.flake8:Plugin"

# A linter of another kind, whose second run shows what it takes to see that nothing has changed.
RUFF = ("ruff==0.14.5", ["check", "--isolated", "--quiet", "--exit-zero", "--output-format", "concise"])

# The other linters for PyTorch code: what to install, what to call.
PEERS: dict[str, tuple[str, list[str]]] = {
    "TorchFix": ("torchfix==0.7.0", ["torchfix", "--select", "ALL", "-j", "1"]),
    "torch-preflight": ("torch-preflight==0.5.0", ["torch-preflight", "check", "-j", "1", "-f", "json"]),
}

SMALL_FILE = """\
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(hidden, 3)

    def forward(self, x):
        return self.head(self.body(x))


def train(model, loader, optimizer, criterion):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    correct = 0
    for x, y in loader:
        correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(loader.dataset)


def main():
    data = TensorDataset(torch.randn(64, 8), torch.randint(3, (64,)))
    loader = DataLoader(data, batch_size=8, shuffle=True)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(10):
        train(model, loader, optimizer, nn.CrossEntropyLoss())
        print(evaluate(model, loader))


main()
"""


@dataclass(frozen=True)
class Run:
    """One run of a process: seconds on the clock, seconds of the processor, peak memory, exit status and output."""

    wall: float
    cpu: float
    megabytes: float
    status: int
    output: str


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    cpu: float
    wall: float
    megabytes: float
    lines: int

    @property
    def lines_per_second(self) -> float:
        return self.lines / self.cpu


@dataclass(frozen=True)
class Timing:
    """Several runs of one command: seconds on the clock, and of all processors together."""

    what: str
    seconds: list[float]
    cpu: list[float]

    @classmethod
    def of(cls, what: str, runs: Iterable[Run]) -> Timing:
        runs = list(runs)
        return cls(what, [run.wall for run in runs], [run.cpu for run in runs])


def run(command: Sequence[str | Path], cwd: Path = ROOT) -> Run:
    """Run a process to its end. This one stays small: a child's peak memory is never told as less than its parent's."""
    import time

    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], cwd=cwd, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        cpu = usage.ru_utime + usage.ru_stime + sum(orphans())
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return Run(wall, cpu, usage.ru_maxrss / scale, process.returncode, text)


def orphans() -> Iterator[float]:
    """Seconds of the processor that processes took which outlive their parent, as servers that fork do; on Linux, where
    they become ours."""
    while True:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return
        yield usage.ru_utime + usage.ru_stime


def adopt_orphans() -> None:
    """Become the parent of processes that lose theirs."""
    if sys.platform == "linux":
        subreaper = 36  # PR_SET_CHILD_SUBREAPER
        ctypes.CDLL(None).prctl(subreaper, 1, 0, 0, 0)


def best(runs: Iterable[Run]) -> Run:
    """Of several runs the one that others disturbed least."""
    return min(runs, key=lambda run: run.cpu)


def trainlint(*arguments: str | Path) -> Run:
    return run([sys.executable, "-m", "trainlint", *CHECK, *arguments])


# --- What is measured -------------------------------------------------------------------------------------------------


def against_parse(folders: list[Path], lines: int, runs: int, scratch: Path) -> tuple[list[Row], dict[str, Any]]:
    """The cold check, and the bare parse of just the files that it parses, by turns."""
    recorded = scratch / "texts.json"
    listing = run([sys.executable, BARE_PARSE, "record", recorded, *CHECK, *folders])
    if not recorded.exists():
        sys.exit(f"trainlint did not come through:\n{listing.output[-2000:]}")
    checks, parses = [], {"drop": list[Run](), "keep": list[Run]()}
    for _ in range(runs):
        checks.append(trainlint(*folders))
        for how, measured in parses.items():
            whole = run([sys.executable, BARE_PARSE, how, recorded])
            inner = json.loads(whole.output)
            measured.append(Run(inner["wall"], inner["cpu"], whole.megabytes, whole.status, ""))
    parsed_lines = inner["lines"]
    rows = [
        _row("libcst.parse_module, trees dropped", best(parses["drop"]), parsed_lines),
        _row("libcst.parse_module, trees kept", best(parses["keep"]), parsed_lines),
        _row("trainlint check, cold, one process", best(checks), lines),
    ]
    parsed = {"files parsed": inner["files"], "lines parsed": parsed_lines}
    return rows, {**_prefilter(folders), **parsed, **_findings(checks[0])}


def _row(what: str, measured: Run, lines: int) -> Row:
    return Row(what, measured.cpu, measured.wall, measured.megabytes, lines)


def _findings(checked: Run) -> dict[str, Any]:
    """How many findings there are, and whether trainlint failed somewhere, which would make its time worthless."""
    try:
        found = json.loads(checked.output)
    except ValueError:
        sys.exit(f"trainlint did not come through:\n{checked.output[-2000:]}")
    codes = Counter(finding["code"] for finding in found)
    return {"findings": len(found), "failures of trainlint (TL002)": codes["TL002"]}


def _prefilter(folders: list[Path]) -> dict[str, int]:
    from trainlint.config import Configuration
    from trainlint.discovery import discover
    from trainlint.prefilter import may_concern

    targets = discover([str(folder) for folder in folders], Configuration(isolated=True))
    passed = sum(may_concern(target.path.read_bytes()) for target in targets)
    return {"files": len(targets), "files rejected by the prefilter": len(targets) - passed}


def startup(runs: int, scratch: Path) -> dict[str, float]:
    """Median seconds for one small file, with Python's own start and libcst's import for comparison."""
    small = scratch / "small.py"
    small.write_text(SMALL_FILE, encoding="utf-8")
    unconcerned = scratch / "unconcerned.py"
    unconcerned.write_text("import json\n\nprint(json.dumps({}))\n", encoding="utf-8")
    commands: dict[str, Callable[[], Run]] = {
        "python -c pass": lambda: run([sys.executable, "-c", "pass"]),
        "python -c 'import libcst'": lambda: run([sys.executable, "-c", "import libcst"]),
        "trainlint on a file without training imports": lambda: trainlint(unconcerned),
        "trainlint on a small training script": lambda: trainlint(small),
    }
    return {
        name: statistics.median(command().wall for _ in range(max(5, 3 * runs))) for name, command in commands.items()
    }


def in_flake8(cache: Path, runs: int, scratch: Path) -> tuple[int, dict[str, float]]:
    """Lines of Python's own library, where nothing is trained, and the seconds that flake8 takes for them with and
    without the plugin, by turns. The parser is not even installed there."""
    library = Path(json.__file__).parent.parent
    folders = [library / name for name in ("asyncio", "email", "http", "importlib", "multiprocessing", "unittest")]
    configurations = {
        "flake8": "[flake8]\n",
        "flake8 with the plugin": f"[flake8:local-plugins]\nextension = {FLAKE8}\n",
    }
    program = installed("flake8==7.3.0", cache) / "flake8"
    seconds: dict[str, list[float]] = {name: [] for name in configurations}
    for _ in range(max(5, runs)):
        for name, text in configurations.items():
            configuration = scratch / "flake8.ini"
            configuration.write_text(text, encoding="utf-8")
            seconds[name].append(run([program, "-j1", "--exit-zero", "--config", configuration, *folders]).cpu)
    return corpus.count_lines(folders), {name: min(measured) for name, measured in seconds.items()}


def linearity(folders: list[Path], lines: int, runs: int, scratch: Path) -> dict[str, list[tuple[int, float]]]:
    """Lines and seconds for the same code once, twice and four times: as many files, and as one long file; and settings
    and seconds for a script with as many times the settings."""
    quarter: list[Path] = []
    for folder in sorted(folders, key=lambda folder: corpus.count_lines([folder])):
        if not quarter or corpus.count_lines([*quarter, folder]) <= lines / 3:
            quarter.append(folder)
    copies = [scratch / f"copy{number}" for number in range(4)]
    for copy in copies:
        for folder in quarter:
            shutil.copytree(folder, copy / folder.name)
    size = corpus.count_lines(quarter)

    def one_file(times: int) -> Path:
        path = scratch / f"long{times}.py"
        head, _, body = SMALL_FILE.partition("\n\n\n")
        blocks = [_renamed(body, number) for number in range(125 * times)]
        path.write_text(head + "\n\n\n" + "\n\n".join(blocks), encoding="utf-8")
        return path

    def timed(*paths: Path) -> float:
        return best(trainlint(*paths) for _ in range(runs)).cpu

    def forking(settings: int) -> Path:
        path = scratch / f"settings{settings}.py"
        path.write_text(settings_script.script(settings), encoding="utf-8")
        return path

    long_files = {times: one_file(times) for times in (1, 2, 4)}
    forks = {settings: forking(settings) for settings in (16, 32, 64)}
    return {
        "many files": [(size * times, timed(*copies[:times])) for times in (1, 2, 4)],
        "one file": [(path.read_text().count("\n"), timed(path)) for path in long_files.values()],
        "settings": [(settings, timed(path)) for settings, path in forks.items()],
    }


def _renamed(code: str, number: int) -> str:
    """The small script's definitions under names of their own."""
    for name in ("Net", "train", "evaluate", "main"):
        code = code.replace(f"def {name}(", f"def {name}{number}(").replace(f"class {name}(", f"class {name}{number}(")
        code = code.replace(f" {name}(", f" {name}{number}(").replace(f"({name}(", f"({name}{number}(")
        code = code.replace(f"\n{name}(", f"\n{name}{number}(")
    return code


def installed(requirement: str, cache: Path) -> Path:
    """Where the programs of a package are, in an environment of its own."""
    environment = cache / "peers" / requirement.replace("==", "-")
    if not environment.exists():
        print(f"installing {requirement}", file=sys.stderr)
        venv.create(environment, with_pip=True, clear=True)
        pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", requirement]
        subprocess.run([str(part) for part in pip], check=True, stdout=sys.stderr)
    return environment / "bin"


def again(cache: Path, folders: list[Path], runs: int, scratch: Path, *, with_ruff: bool) -> list[Timing]:
    """Further runs: on unchanged files, after an edit, and of several processes."""
    tree = scratch / "tree"
    copies = [Path(shutil.copytree(folder, tree / folder.name)) for folder in folders]
    kept = ["--cache-dir", scratch / "kept"]

    def timed(*options: str | Path) -> Run:
        measured = run([sys.executable, "-m", "trainlint", *AS_IT_IS, *options, *copies])
        _findings(measured)
        return measured

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = [
        Timing.of("cold, one process, results kept", [timed(*kept, "-j1")]),
        Timing.of("warm", [timed(*kept) for _ in range(max(runs, 5))]),
        Timing.of("warm, after one edit", [timed(*kept, "-j1") for _ in map(_edit, copies)]),
    ]
    found += [  # of 1, 2, 4, ... processes
        Timing.of(f"cold, -j{number} on {cores} cores", [timed("--no-cache", f"-j{number}") for _ in range(runs)])
        for number in dict.fromkeys([*(2**power for power in range(cores.bit_length())), cores])
    ]
    if with_ruff:
        program = [installed(RUFF[0], cache) / "ruff", *RUFF[1], "--cache-dir", scratch / "ruff", *copies]
        cold, *warm = (run(program) for _ in range(1 + max(runs, 5)))
        found += [Timing.of(f"{RUFF[0]}, cold", [cold]), Timing.of(f"{RUFF[0]}, warm", warm)]
    return found


def _edit(folder: Path) -> None:
    """Change what the file in the middle of a package does."""
    files = sorted(path for path in folder.rglob("*.py") if path.stat().st_size > 1000)
    with open(files[len(files) // 2], "a", encoding="utf-8") as file:
        file.write("\n\nEDITED = True\n")


def peer(name: str, cache: Path, folders: list[Path], lines: int) -> Row:
    """A peer on the same files, one process, in an environment of its own."""
    requirement, command = PEERS[name]
    measured = run([installed(requirement, cache) / command[0], *command[1:], *folders], cwd=cache)
    if "Traceback (most recent call last)" in measured.output:
        print(f"{name} broke off: {measured.output.strip().splitlines()[-1]}", file=sys.stderr)
    return _row(f"{requirement.replace('==', ' ')}, one process", measured, lines)


# --- How it is shown --------------------------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns, the first to the left and the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    )


def show_rows(rows: list[Row]) -> str:
    parse, check = rows[0], rows[2]
    return table(
        ("", "CPU s", "wall s", "lines/s", "peak MB", "x parse", "x trainlint"),
        [
            (
                row.what,
                f"{row.cpu:.2f}",
                f"{row.wall:.2f}",
                f"{row.lines_per_second:,.0f}",
                f"{row.megabytes:.0f}",
                f"{row.cpu / parse.cpu:.2f}",
                f"{row.cpu / check.cpu:.2f}",
            )
            for row in rows
        ],
    )


def show_timings(timings: list[Timing]) -> str:
    rows = []
    for t in timings:
        clock, processors = statistics.median(t.seconds), statistics.median(t.cpu)
        rows.append((t.what, f"{clock:.2f}", f"{max(t.seconds):.2f}", f"{processors:.2f}", f"{len(t.seconds)}"))
    return table(("further runs", "median s", "longest s", "median CPU s", "runs"), rows)


def show_linearity(measured: dict[str, list[tuple[int, float]]]) -> str:
    rows = []
    for what, points in measured.items():
        first = points[0][1] / points[0][0]
        for size, seconds in points:
            each = seconds / size
            rows.append((what, f"{size:,}", f"{seconds:.2f}", f"{each * 1e6:,.1f}", f"{each / first:.2f}"))
    return table(("the same code 1, 2, 4 times", "lines, settings", "CPU s", "µs for each", "x first"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    corpus.add_arguments(parser)
    parser.add_argument("--runs", type=int, default=3, help="take the best of so many runs (default: 3)")
    parser.add_argument("--peers", default=",".join(PEERS), help="of %(default)s, or `none`: they take many minutes")
    parser.add_argument("--skip", default="", help="parts to leave out, of startup,flake8,again,linearity")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file, too")
    options = parser.parse_args()
    peers = [] if options.peers == "none" else options.peers.split(",")
    if unknown := set(peers) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")

    adopt_orphans()
    # Ours is the checkout around this file, whatever may be installed.
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed comes compiled
    folders = corpus.prepare(options.cache.resolve(), options.packages)
    lines = corpus.count_lines(folders)
    machine = f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"
    print(f"{', '.join(folder.name for folder in folders)}: {lines:,} lines; {machine}\n", flush=True)
    figures: dict[str, Any] = {"packages": [folder.name for folder in folders], "lines": lines, "machine": machine}

    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        rows, facts = against_parse(folders, lines, options.runs, scratch)
        print(show_rows(rows), "\n", flush=True)
        print("\n".join(f"{what}: {number:,}" for what, number in facts.items()), "\n", flush=True)
        figures["facts"] = facts
        if "startup" not in options.skip:
            figures["startup"] = startup(options.runs, scratch)
            seconds = [(what, f"{median:.3f}") for what, median in figures["startup"].items()]
            print(table(("start-up, median", "wall s"), seconds), "\n", flush=True)
        if "flake8" not in options.skip:
            lines_there, figures["flake8"] = in_flake8(options.cache.resolve(), options.runs, scratch)
            without = min(figures["flake8"].values())
            seconds = [(name, f"{cpu:.2f}", f"{cpu / without:.3f}") for name, cpu in figures["flake8"].items()]
            print(table((f"{lines_there:,} lines that train nothing", "CPU s", "x best"), seconds), "\n", flush=True)
        if "again" not in options.skip:
            timings = again(options.cache.resolve(), folders, options.runs, scratch, with_ruff=bool(peers))
            figures["again"] = [asdict(timing) for timing in timings]
            print(show_timings(timings), "\n", flush=True)
        if "linearity" not in options.skip:
            figures["linearity"] = linearity(folders, lines, options.runs, scratch)
            print(show_linearity(figures["linearity"]), "\n", flush=True)
        if peers:
            rows += [peer(name, options.cache.resolve(), folders, lines) for name in peers]
            print(show_rows(rows), flush=True)
    figures["rows"] = [{**asdict(row), "x parse": row.cpu / rows[0].cpu} for row in rows]
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
