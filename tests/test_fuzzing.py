"""Files as nobody would write them: a check ends without a crash, and fixes lose nothing and break no syntax."""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Iterable
from keyword import iskeyword
from pathlib import Path

import hypothesmith
import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainlint.config import Settings, UsageError, load_settings
from trainlint.discovery import Target
from trainlint.engine import check, fix
from trainlint.findings import Finding
from trainlint.silencing import silence

ROOT = Path(__file__).parents[1]
SAMPLES = [
    path.read_text("utf-8")
    for folder in ("fixtures", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.stat().st_size < 8_000
]
TOKEN = re.compile(r"\w+|[^\w\s]|[ \t]+|\n")
# What makes a file worth the analysis.
TRAINING = "import torch\n"

quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
long = settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))


def survives(text: str, filename: str = "train.py") -> None:
    """Check, fix and suppress; complain about any failure of our own, and about harm."""
    target = Target(Path(f"/nowhere/{filename}"), filename, Settings(root=Path("/nowhere"), select=("ALL",)))
    texts = {filename: text}
    found = check([target], texts=texts).findings
    no_failure(found)
    fixed = fix([target], unsafe=True, texts=texts)
    no_failure(fixed.result.findings)
    changed = [new for _, new in fixed.changes.values()]
    _, comments = silence([target], found, texts)
    changed += [new for _, new in comments.values()]
    if not filename.endswith(".ipynb") and is_python(text):
        assert all(map(is_python, changed))


def no_failure(findings: Iterable[Finding]) -> None:
    assert not [finding.message for finding in findings if finding.code == "TL002"]


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def mutated(source: str, randomness: random.Random) -> str:
    """A program with tokens deleted, doubled, swapped or moved, lines indented otherwise, or its end cut off."""
    tokens = TOKEN.findall(source)
    for _ in range(randomness.randint(1, 6)):
        one, other = (randomness.randrange(len(tokens)) for _ in range(2))
        match randomness.randrange(6):
            case 0:
                del tokens[one : one + randomness.randint(1, 3)]
            case 1:
                tokens.insert(one, tokens[one])
            case 2:
                tokens[one], tokens[other] = tokens[other], tokens[one]
            case 3:
                tokens[one] = tokens[other]
            case 4:
                tokens[one : one + 1] = ["\n", " " * randomness.randint(0, 9)]
            case 5 if randomness.random() < 0.1:
                del tokens[one:]
        tokens = tokens or [""]
    return "".join(tokens)


MUTANTS = st.builds(mutated, st.sampled_from(SAMPLES), st.randoms(use_true_random=False))


# As often as not a mutant is no Python any more.
def renamed(source: str, randomness: random.Random) -> str:
    """A program where some names, numbers and operators stand for others: still Python, but another program."""
    tokens = TOKEN.findall(source)
    for kind in (r"[a-z_]\w{2,}$", r"\d+$", r"[-+*/<>]$"):
        places = [place for place, token in enumerate(tokens) if re.match(kind, token)]
        for _ in range(randomness.randint(0, 4)):
            if places:
                tokens[randomness.choice(places)] = tokens[randomness.choice(places)]
    return "".join(tokens)


VARIANTS = st.builds(renamed, st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
PROGRAMS = hypothesmith.from_grammar().map(lambda text: TRAINING + text) | hypothesmith.from_node().map(
    lambda text: TRAINING + text
)
KEYS = "cells cell_type source metadata nbformat worksheets code kernelspec".split()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=10,
)
LINES = ["%time f(x)\n", "import torch\n", "!ls\n", "x = (\n", "    y = 1\n", "%%bash\n", "f(x)?\n"]
CELLS = st.lists(st.fixed_dictionaries({"cell_type": st.just("code"), "source": st.lists(st.sampled_from(LINES))}))
NOTEBOOKS = (JSON | CELLS.map(lambda cells: {"cells": cells, "nbformat": 4})).map(json.dumps)


@quick
@given(MUTANTS | VARIANTS)
def test_mutants(text: str) -> None:
    survives(text)


@quick
@given(PROGRAMS)
def test_programs(text: str) -> None:
    survives(text)


@quick
@given(NOTEBOOKS | NOTEBOOKS.map(lambda text: text[: len(text) // 2]))
def test_notebooks(text: str) -> None:
    survives(text, "train.ipynb")


@pytest.mark.slow
@long
@given(MUTANTS | VARIANTS)
def test_many_mutants(text: str) -> None:
    survives(text)


@pytest.mark.slow
@long
@given(PROGRAMS)
def test_many_programs(text: str) -> None:
    survives(text)


# What stands for an instance of each family of modelled objects, and of the classes whose methods are known by path.
OBJECTS = {
    "module": "torch.nn.Linear(3, 3)",
    "optimizer": "torch.optim.SGD(torch.nn.Linear(3, 3).parameters(), lr=0.1)",
    "scheduler": "torch.optim.lr_scheduler.StepLR(torch.optim.SGD(torch.nn.Linear(3, 3).parameters(), lr=0.1), 1)",
    "loader": "torch.utils.data.DataLoader(torchvision.datasets.MNIST('data'))",
    "dataset": "torchvision.datasets.MNIST('data')",
    "transform": "torchvision.transforms.ToTensor()",
    "scaler": "torch.amp.GradScaler()",
    "weights": "torch.nn.Linear(3, 3).state_dict()",
    "metric": "torchmetrics.Accuracy()",
    "estimator": "sklearn.preprocessing.StandardScaler()",
    "generator": "numpy.random.default_rng()",
    "parser": "argparse.ArgumentParser()",
    "list": "[1]",
    "dict": "{1: 2}",
    "text": "'a'",
    "torch.Tensor": "torch.ones(3, 4)",
    "numpy.ndarray": "numpy.load('a')",
    "pandas.DataFrame": "pandas.read_csv('a')",
    "keras.Model": "keras.Sequential([keras.layers.Dense(3)])",
}
ARGUMENTS = ("", "*q, **q", "None", "q, q, q, q, q, q, q, q, q", "[], {}", "'', -1, 0.0", "lambda: 0", "(), dim=()")
TABLES = sorted(path for path in (ROOT / "trainlint/knowledge").glob("*.toml") if path.stem != "apis")


def known_calls(table: Path) -> list[str]:
    """The calls that a table of knowledge has rows for, as a program writes them."""
    raw = tomli.loads(table.read_text("utf-8"))
    paths = " ".join(row.get("calls") or row["names"] for kind in ("api", "class") for row in raw.get(kind, ())).split()
    plain = [path for path in paths if path.replace(".", "").isidentifier() and not iskeyword(path.split(".")[-1])]
    owners = [path.rpartition(".")[0] for path in plain]
    return [
        f"({OBJECTS[owner]}).{path.rpartition('.')[2]}" if owner in OBJECTS else path
        for path, owner in zip(plain, owners, strict=True)
    ]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.stem))
@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_calls_that_nobody_would_write(table: Path, arguments: str) -> None:
    """What is known of a call asks nothing of its arguments, and the analysis goes on behind it to the last line."""
    calls = known_calls(table)
    assert calls
    modules = sorted({call.rpartition(".")[0] for call in calls if "(" not in call and "." in call})
    lines = [
        "from nowhere import q",
        *(f"import {root}" for root in ROOTS),
        *(f"import {module}" for module in modules),
    ]
    lines += [f"if q:\n    x{place} = {call}({arguments})" for place, call in enumerate(calls)]
    last = "torch.nn.functional.softmax(torch.ones(3, 4))"
    target = Target(Path("/nowhere/train.py"), "train.py", Settings(root=Path("/nowhere"), select=("TL109",)))
    found = check([target], texts={"train.py": "\n".join([*lines, last, ""])}).findings
    no_failure(found)
    assert found[-1].span.line == len("\n".join(lines).splitlines()) + 1


# Files of settings that would take their readers long, or never end: nested, quoted and merged without measure.
UNREADABLE = {
    "open.yaml": "[" * 19_000,
    "open.json": "[" * 90_000,
    "open.toml": "a = " + "[" * 40_000,
    "blocks.yaml": "- " * 9_900,
    "itself.yaml": "a: &a [*a, *a]\nb: &b\n  b: *b\n",
    "doubled.yaml": "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i}\n  <<: [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
    "shared.yaml": "a: &a [1, 2]\nb: &b ["
    + "*a, " * 200
    + "]\nc: &c ["
    + "*b, " * 200
    + "]\nd: ["
    + "*c, " * 200
    + "]\n",
    "large.json": json.dumps(list(range(200_000))),
    "bytes.yaml": "a: \x00\ufffe",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_settings_that_nobody_would_write(tmp_path: Path, name: str) -> None:
    """What a program reads as its settings stops nothing, whatever it holds."""
    (tmp_path / name).write_text(UNREADABLE[name], "utf-8")
    reader = {"json": "json.load", "toml": "tomli.load", "yaml": "yaml.safe_load"}[name.rpartition(".")[2]]
    last = "torch.nn.functional.softmax(torch.ones(3, 4))"
    text = f"import json, tomli, torch, yaml\nsettings = {reader}(open({name!r}))\nprint(settings['a'])\n{last}\n"
    path = tmp_path / "train.py"
    path.write_text(text, "utf-8")
    found = check([Target(path, "train.py", Settings(root=tmp_path, select=("TL109",)))]).findings
    no_failure(found)
    assert [finding.span.line for finding in found] == [4]


ROOTS = ("argparse", "keras", "numpy", "pandas", "sklearn", "torch", "torchmetrics", "torchvision")


@quick
@given(content=st.binary(max_size=200))
def test_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    for name in ("a.py", "b.ipynb"):
        path = folder / name
        path.write_bytes(b"import torch\n" + content)
        target = Target(path, name, Settings(root=folder))
        no_failure(check([target]).findings)
        assert not fix([target], unsafe=True).changes or path.read_bytes()


@quick
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | st.sampled_from(SAMPLES).map(str.encode))
def test_configurations(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("settings") / "trainlint.toml"
    path.write_bytes(content)
    try:
        load_settings(path)
    except UsageError:
        return
