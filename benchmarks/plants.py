"""How many plain mistakes are told? Makes a mistake of one kind in each script of a project, and counts those told.

`python benchmarks/plants.py FOLDER…` takes each folder for a project. A mistake counts as told if one of its codes is
new in the file, or anywhere when it is the only one. Not each is one in each script: a model without dropout and batch
norm needs no `eval()`, for example; with `--missed` the places are printed that are to be read before anything is made
of the figure.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import libcst as cst
import libcst.matchers as m

ROOT = Path(__file__).resolve().parent.parent


class Kind(NamedTuple):
    """A kind of mistake: what it is, the codes that tell of it, the nodes where it can be made, what becomes of one,
    and texts that the script must hold once, and at all."""

    name: str
    codes: frozenset[str]
    where: m.BaseMatcherNode
    wrong: Callable[[Any], Any]
    once: str = ""
    needs: str = ""

    def fits(self, text: str) -> bool:
        return (not self.once or text.count(self.once) == 1) and self.needs in text


class Planter(cst.CSTTransformer):
    """Makes a mistake at the first place where it can be made."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind
        self.done = False

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        updated = super().on_leave(original_node, updated_node)
        if self.done or not m.matches(original_node, self.kind.where):
            return updated
        self.done = True
        return self.kind.wrong(updated)


def said(name: str) -> m.SimpleStatementLine:
    """A line that calls a method of this name, and does nothing else."""
    return m.SimpleStatementLine(body=[m.Expr(value=m.Call(func=m.Attribute(attr=m.Name(name))))])


def made(*names: str) -> m.Call:
    """A call of `nn.Name` or `Name` without arguments."""
    named = m.OneOf(*(m.Name(name) for name in names))
    return m.Call(func=named | m.Attribute(attr=named), args=[])


def given(name: str, value: str) -> m.Arg:
    return m.Arg(keyword=m.Name(name), value=m.Name(value) | m.Integer(value))


def left_out(line: Any) -> Any:
    return line.with_changes(body=[cst.Pass()])


def not_called(line: Any) -> Any:
    return line.with_changes(body=[cst.Expr(line.body[0].value.func)])


def renamed(name: str) -> Callable[[Any], Any]:
    """What calls something else."""

    def wrong(call: Any) -> Any:
        func = cst.Name(name)
        return call.with_changes(
            func=call.func.with_changes(attr=func) if m.matches(call.func, m.Attribute()) else func
        )

    return wrong


def without(name: str) -> Callable[[Any], Any]:
    """What is called without a keyword."""

    def wrong(call: Any) -> Any:
        *others, last = [argument for argument in call.args if not m.matches(argument, m.Arg(keyword=m.Name(name)))]
        return call.with_changes(args=[*others, last.with_changes(comma=cst.MaybeSentinel.DEFAULT)])

    return wrong


def with_value(name: str, value: str) -> Callable[[Any], Any]:
    """What is called with another value for a keyword."""

    def wrong(call: Any) -> Any:
        new = cst.parse_expression(value)
        named = m.Arg(keyword=m.Name(name))
        return call.with_changes(args=[a.with_changes(value=new) if m.matches(a, named) else a for a in call.args])

    return wrong


def swapped(block: Any) -> Any:
    """A block whose step comes before its backward."""
    lines = list(block.body)
    place = next(i for i, line in enumerate(lines) if m.matches(line, said("backward")))
    lines[place : place + 2] = reversed(lines[place : place + 2])
    return block.with_changes(body=lines)


def of_shares(call: Any) -> Any:
    """A loss of the softmax of what it got."""
    first, *others = call.args
    text = cst.Module([]).code_for_node(first.value)
    return call.with_changes(args=[first.with_changes(value=cst.parse_expression(f"({text}).softmax(dim=1)")), *others])


def recorded(block: Any) -> Any:
    return cst.If(test=cst.Name("True"), body=block.body, leading_lines=block.leading_lines)


def first_given(call: Any) -> Any:
    return call.args[0].value


LOSS = m.Name("criterion") | m.Attribute(attr=m.Name("criterion") | m.Name("cross_entropy"))
KINDS = (
    Kind("zero_grad is left out", frozenset({"TL201"}), said("zero_grad"), left_out, ".zero_grad("),
    Kind("backward is left out", frozenset({"TL203"}), said("backward"), left_out, ".backward("),
    Kind(
        "the step comes before backward",
        frozenset({"TL203"}),
        m.IndentedBlock(body=[m.ZeroOrMore(), said("backward"), said("step"), m.ZeroOrMore()]),
        swapped,
        ".backward(",
    ),
    Kind("eval is left out", frozenset({"TL301"}), said("eval"), left_out, ".eval()", ".backward("),
    Kind("eval is named, not called", frozenset({"TL305"}), said("eval"), not_called),
    Kind("train is left out", frozenset({"TL303"}), said("train"), left_out, ".train()", ".eval()"),
    Kind(
        "no_grad is left out",
        frozenset({"TL302"}),
        m.With(items=[m.WithItem(item=m.Call(func=m.Attribute(attr=m.Name("no_grad"))))]),
        recorded,
        "no_grad()",
        ".backward(",
    ),
    Kind(
        "softmax before cross entropy",
        frozenset({"TL101", "TL112"}),
        m.Call(func=LOSS, args=[m.Arg(keyword=None), m.AtLeastN(n=1)]),
        of_shares,
        "",
        "CrossEntropyLoss(",
    ),
    Kind("BCELoss of logits", frozenset({"TL103"}), made("BCEWithLogitsLoss"), renamed("BCELoss")),
    Kind("BCEWithLogitsLoss of sigmoids", frozenset({"TL102"}), made("BCELoss"), renamed("BCEWithLogitsLoss")),
    Kind("NLLLoss of logits", frozenset({"TL104"}), made("CrossEntropyLoss"), renamed("NLLLoss")),
    Kind(
        "training data not shuffled",
        frozenset({"TL403"}),
        m.Call(
            func=m.Name("DataLoader") | m.Attribute(attr=m.Name("DataLoader")),
            args=[m.ZeroOrMore(), given("shuffle", "True"), m.ZeroOrMore()],
        ),
        with_value("shuffle", "False"),
        "shuffle=True",
    ),
    Kind(
        "test data read as training data",
        frozenset({"TL410"}),
        m.Call(args=[m.ZeroOrMore(), given("train", "False"), m.ZeroOrMore()]),
        with_value("train", "True"),
        "train=False",
        "datasets.",
    ),
    Kind(
        "layers in a plain list",
        frozenset({"TL601"}),
        m.Call(func=m.Attribute(attr=m.Name("ModuleList")), args=[m.Arg(value=m.List() | m.ListComp())]),
        first_given,
    ),
    Kind(
        "softmax over the batch",
        frozenset({"TL109"}),
        m.Call(
            func=m.Attribute(attr=m.Name("softmax") | m.Name("log_softmax") | m.Name("Softmax")),
            args=[m.ZeroOrMore(), given("dim", "1"), m.ZeroOrMore()],
        ),
        with_value("dim", "0"),
    ),
    Kind(
        "dropout that ignores the mode",
        frozenset({"TL304"}),
        m.Call(
            func=m.Attribute(value=m.Name("F"), attr=m.Name("dropout")),
            args=[m.ZeroOrMore(), m.Arg(keyword=m.Name("training")), m.ZeroOrMore()],
        ),
        without("training"),
    ),
    Kind(
        "super().__init__ is left out",
        frozenset({"TL604"}),
        m.SimpleStatementLine(
            body=[m.Expr(m.Call(func=m.Attribute(value=m.Call(func=m.Name("super")), attr=m.Name("__init__"))))]
        ),
        left_out,
        "",
        "nn.Module",
    ),
    Kind(
        "weights without a copy",
        frozenset({"TL805"}),
        m.Call(
            func=m.Name("deepcopy") | m.Attribute(attr=m.Name("deepcopy")),
            args=[m.Arg(value=m.Call(func=m.Attribute(attr=m.Name("state_dict"))))],
        ),
        first_given,
    ),
)


def findings(folder: Path) -> set[tuple[str, str]]:
    """The files and codes of what trainlint finds in a project."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "trainlint", "check", "--isolated", "--no-cache", "--exit-zero"]
    run = [*command, "--output-format", "json", "."]
    printed = subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True, env=environment).stdout
    return {(finding["filename"], finding["code"]) for finding in json.loads(printed)}


def planted(kind: Kind, text: str) -> str | None:
    """A script with a mistake in it; None where there is no place for it."""
    try:
        tree = cst.parse_module(text)
    except cst.ParserSyntaxError:
        return None
    planter = Planter(kind)
    changed = tree.visit(planter).code if kind.fits(text) else text
    return changed if planter.done and changed != text else None


def with_texts(folder: Path, changed: dict[Path, str], texts: dict[Path, str]) -> set[tuple[str, str]]:
    """What is found while some files of a project are changed."""
    for path, text in changed.items():
        path.write_text(text, "utf-8")
    found = findings(folder)
    for path in changed:
        path.write_text(texts[path], "utf-8")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a project with scripts that train")
    parser.add_argument("--missed", action="store_true", help="print where a mistake was not told of")
    options = parser.parse_args()
    made_in, told = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as temporary:
        for number, folder in enumerate(options.folders):
            copy = Path(temporary) / str(number)
            shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".git"))
            texts = {path: path.read_text("utf-8", "replace") for path in sorted(copy.rglob("*.py"))}
            before = findings(copy)
            for kind in KINDS:
                wrong = {path: new for path, text in texts.items() if (new := planted(kind, text)) is not None}
                names = {path: str(path.relative_to(copy)) for path in wrong}
                clean = {
                    path: new for path, new in wrong.items() if not any((names[path], c) in before for c in kind.codes)
                }
                after = with_texts(copy, clean, texts) if clean else set()
                for path, new in clean.items():
                    found = any((names[path], code) in after for code in kind.codes)
                    if not found:  # perhaps it is told of in another file, where it does its harm
                        alone = after if len(clean) == 1 else with_texts(copy, {path: new}, texts)
                        found = any(code in kind.codes for _, code in alone - before)
                    made_in[kind.name] += 1
                    told[kind.name] += found
                    if options.missed and not found:
                        print(f"not told: {kind.name}: {folder / names[path]}", flush=True)
    for kind in KINDS:
        if made_in[kind.name]:
            print(f"{kind.name:34}{told[kind.name]:5} of {made_in[kind.name]}")
    print(f"{'all':34}{told.total():5} of {made_in.total()}")


if __name__ == "__main__":
    main()
