"""Programs written in other ways that mean the same: what is found must not depend on how a script is laid out.

A rewriting takes a script and gives the files that it becomes, or `None` where it does not apply. All work on
statements of libcst, so a comment that asks for a finding moves with its line.
"""

from __future__ import annotations

import symtable
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m

from trainlint.testing import MAIN

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
Files = dict[str, list[Statement]]
Rewriting = Callable[["Script"], Files | None]

DEFINITIONS = (cst.FunctionDef, cst.ClassDef)
# What would mean something else in another place.
WHOLE = m.Global() | m.Await() | m.Yield() | m.Lambda() | m.Comparison(m.Name("__name__"))
# Names that rewritings use.
TAKEN = ("main", "build", "timed", "watch", "Settings", "Trainer")
LOOPS = (cst.For, cst.While, cst.With)


def statements(text: str) -> list[Statement]:
    return list(cst.parse_module(text).body)


def code(body: Sequence[Statement]) -> str:
    return cst.Module(body).code


def source(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


@dataclass(frozen=True)
class Names:
    """Names that statements bind, and those that they or their functions read."""

    bound: list[str]
    read: set[str]

    @classmethod
    def of(cls, body: Sequence[Statement]) -> Names:
        table = symtable.symtable(code(body), "<statements>", "exec")
        symbols = table.get_symbols()
        read = {symbol.get_name() for symbol in symbols if symbol.is_referenced()}
        tables = list(table.get_children())
        while tables:
            inner = tables.pop()
            tables += inner.get_children()
            read |= {symbol.get_name() for symbol in inner.get_symbols() if symbol.is_global()}
        return cls([symbol.get_name() for symbol in symbols if symbol.is_assigned()], read)


@dataclass(frozen=True)
class Script:
    """A module in three parts: imports, definitions, and what runs."""

    imports: list[Statement]
    definitions: list[Statement]
    program: list[Statement]

    @classmethod
    def of(cls, text: str) -> Script | None:
        """The parts, or None where they cannot be put apart: a definition has a name that is bound or that a
        rewriting needs, it uses what the program binds, or a finding is asked for at an import, which all files get."""
        imports: list[Statement] = []
        definitions: list[Statement] = []
        program: list[Statement] = []
        for statement in statements(text):
            if m.matches(statement, m.SimpleStatementLine(body=[m.Import() | m.ImportFrom()])):
                imports.append(statement)
            else:
                (definitions if isinstance(statement, DEFINITIONS) else program).append(statement)
        bound, used = Names.of(program).bound, Names.of(definitions)
        is_whole = (
            bool(set(bound) & used.read) or bool({*bound, *TAKEN} & set(used.bound)) or "# error" in code(imports)
        )
        if not program or is_whole or m.findall(cst.Module(program), WHOLE):
            return None
        return cls(imports, definitions, program)

    @property
    def defined(self) -> list[str]:
        return Names.of(self.definitions).bound

    def apart(self, body: list[Statement]) -> list[Statement]:
        """The imports, the definitions, and this in place of the program."""
        return [*self.imports, *self.definitions, *body]

    def in_two(self) -> tuple[list[Statement], list[Statement], list[str]] | None:
        """What is set up, what is done with it, and the names that the second part has from the first."""
        first = next((n for n, statement in enumerate(self.program) if isinstance(statement, LOOPS)), 0)
        setup, work = self.program[:first], self.program[first:]
        handed = [name for name in Names.of(setup).bound if name in Names.of(work).read] if first else []
        return (setup, work, handed) if handed else None


class _Renamed(cst.CSTTransformer):
    """Names become other expressions: `model` becomes `self.model`."""

    def __init__(self, names: Iterable[str], expression: str) -> None:
        self.names, self.expression = set(names), expression

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        name = original_node.value
        return cst.parse_expression(self.expression.format(name)) if name in self.names else updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)


def renamed(body: Sequence[Statement], names: Iterable[str], expression: str) -> list[Statement]:
    module = cst.Module(body).visit(_Renamed(names, expression))
    return list(module.body)


def block(head: str, body: Sequence[Statement], *after: str) -> Statement:
    """A compound statement around others: `block("def main():", program)`."""
    (made,) = statements(head + "\n    pass\n")
    lines = [statement for text in after for statement in statements(text)]
    return cst.ensure_type(made, cst.BaseCompoundStatement).with_changes(body=cst.IndentedBlock([*body, *lines]))


# --- The rewritings ---------------------------------------------------------------------------------------------------

START = 'if __name__ == "__main__":\n    main()\n'


def in_main(script: Script) -> Files:
    """Everything that runs is the body of `main`."""
    return {MAIN: script.apart([block("def main():", script.program), *statements(START)])}


def in_another_file(script: Script) -> Files | None:
    """Classes and functions are imported from a module beside the script."""
    if not script.defined:
        return None
    taken = statements(f"from parts import {', '.join(script.defined)}\n")
    return {MAIN: [*script.imports, *taken, *script.program], "parts.py": script.apart([])}


def in_a_package(script: Script) -> Files | None:
    """Classes and functions come from a package that passes them on from a module within."""
    if not script.defined:
        return None
    names = ", ".join(script.defined)
    return {
        MAIN: [*script.imports, *statements(f"from project import {names}\n"), *script.program],
        "project/__init__.py": statements(f"from .parts import {names}\n"),
        "project/parts.py": script.apart([]),
    }


def by_a_factory(script: Script) -> Files | None:
    """What is set up comes as a tuple from a function."""
    if not (parts := script.in_two()):
        return None
    setup, work, handed = parts
    names = ", ".join(handed) + ","
    return {
        MAIN: script.apart([block("def build():", setup, f"return {names}"), *statements(f"{names} = build()"), *work])
    }


def in_a_dictionary(script: Script) -> Files | None:
    """What is set up comes as a dictionary from a function of another file, and stays there."""
    if not (parts := script.in_two()) or set(script.defined) & Names.of(parts[1]).read:
        return None
    setup, work, handed = parts
    entries = ", ".join(f'"{name}": {name}' for name in handed)
    return {
        MAIN: [
            *script.imports,
            *statements("from setups import build\nmade = build()"),
            *renamed(work, handed, 'made["{}"]'),
        ],
        "setups.py": script.apart([block("def build():", setup, f"return {{{entries}}}")]),
    }


def in_a_trainer(script: Script) -> Files | None:
    """What is set up are attributes of an object whose method does the work."""
    if not (parts := script.in_two()):
        return None
    setup, work, handed = parts
    make = block("def __init__(self):", renamed(setup, handed, "self.{}"))
    fit = block("def fit(self):", renamed(work, handed, "self.{}"))
    return {MAIN: script.apart([block("class Trainer:", [make, fit]), *statements("Trainer().fit()")])}


def given_to_a_trainer(script: Script) -> Files | None:
    """What is set up in `main` is given to an object that keeps it."""
    if not (parts := script.in_two()):
        return None
    setup, work, handed = parts
    keep = statements("\n".join(f"self.{name} = {name}" for name in handed))
    make = block(f"def __init__(self, {', '.join(handed)}):", keep)
    trainer = block("class Trainer:", [make, block("def fit(self):", renamed(work, handed, "self.{}"))])
    given = ", ".join(f"{name}={name}" for name in handed)
    main = block("def main():", setup, f"trainer = Trainer({given})", "trainer.fit()")
    return {MAIN: script.apart([trainer, main, *statements(START)])}


def loops_as_functions(script: Script) -> Files | None:
    """Each loop of the program is a function of its own, which returns what is needed later."""
    functions: list[Statement] = []
    program: list[Statement] = []
    for number, statement in enumerate(script.program):
        if not isinstance(statement, LOOPS):
            program.append(statement)
            continue
        before, after = Names.of(script.program[:number]).bound, Names.of(script.program[number + 1 :]).read
        own = Names.of([statement])
        results = [name for name in own.bound if name in after]
        given = ", ".join(name for name in before if name in own.read or name in results)
        call = f"run_{number}({given})"
        returned = [f"return {', '.join(results)}"] if results else []
        functions.append(block(f"def run_{number}({given}):", [statement], *returned))
        program += statements(f"{', '.join(results)} = {call}" if results else call)
    return {MAIN: script.apart([*functions, *program])} if functions else None


class _Settings(cst.CSTTransformer):
    """Numbers given as keywords become attributes of a class."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        value = original_node.value
        if original_node.keyword is None or not isinstance(value, (cst.Integer, cst.Float)):
            return updated_node
        name = f"{original_node.keyword.value}_{len(self.lines)}"
        self.lines.append(f"{name} = {value.value}")
        return updated_node.with_changes(value=cst.parse_expression(f"settings.{name}"))


def by_settings(script: Script) -> Files | None:
    """Numbers are attributes of an object that `main` is given."""
    settings = _Settings()
    program = list(cst.Module(script.program).visit(settings).body)
    if not settings.lines:
        return None
    kept = block("class Settings:", statements("\n".join(settings.lines)))
    main = block("def main(settings):", program)
    return {MAIN: script.apart([kept, main, *statements("main(Settings())")])}


class _Counting(cst.CSTTransformer):
    """`for n in range(count):` becomes a loop by `while`."""

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.For | cst.FlattenSentinel[Statement]:
        counted = m.For(target=m.Name(), iter=m.Call(m.Name("range"), [m.Arg()]), orelse=None)
        if not m.matches(original_node, counted) or m.findall(original_node.body, m.Continue()):
            return updated_node
        name = cst.ensure_type(updated_node.target, cst.Name).value
        name = f"turn{name}" if name == "_" else name
        bound = source(cst.ensure_type(updated_node.iter, cst.Call).args[0].value)
        inner = cst.ensure_type(updated_node.body, cst.IndentedBlock)
        loop = cst.ensure_type(block(f"while {name} < {bound}:", []), cst.While)
        counting = inner.with_changes(body=[*inner.body, *statements(f"{name} += 1")])
        return cst.FlattenSentinel([*statements(f"{name} = 0"), loop.with_changes(body=counting)])


def by_while(script: Script) -> Files | None:
    """Loops over a range count by themselves."""
    changed = cst.Module(script.program).visit(_Counting())
    return None if changed.deep_equals(cst.Module(script.program)) else {MAIN: script.apart(list(changed.body))}


class _Wrapped(cst.CSTTransformer):
    """`for x in loader:` becomes `for x in watch(loader):`."""

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.For:
        if not isinstance(updated_node.iter, cst.Name):
            return updated_node
        return updated_node.with_changes(iter=cst.Call(cst.Name("watch"), [cst.Arg(updated_node.iter)]))


def _over(script: Script, watch: str) -> Files | None:
    changed = cst.Module(script.program).visit(_Wrapped())
    if changed.deep_equals(cst.Module(script.program)):
        return None
    return {MAIN: [*script.imports, *statements(watch), *script.definitions, *list(changed.body)]}


def with_a_bar(script: Script) -> Files | None:
    """Loops show their progress."""
    return _over(script, "from tqdm import tqdm as watch")


def by_a_generator(script: Script) -> Files | None:
    """Loops go over a generator that passes on what it is given."""
    return _over(
        script,
        "def watch(items):\n    for number, item in enumerate(items):\n        print(number)\n        yield item",
    )


class _Unpacked(cst.CSTTransformer):
    """`f(x, a=1)` becomes `f(x, **{"a": 1})`."""

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        keywords = [arg for arg in updated_node.args if arg.keyword]
        if not keywords or any(arg.star for arg in updated_node.args) or m.matches(original_node.func, m.Name("dict")):
            return updated_node
        entries = [
            cst.DictElement(cst.SimpleString(f'"{arg.keyword.value}"'), arg.value) for arg in keywords if arg.keyword
        ]
        plain = [arg for arg in updated_node.args if not arg.keyword]
        return updated_node.with_changes(args=[*plain, cst.Arg(cst.Dict(entries), star="**")])


def by_unpacking(script: Script) -> Files | None:
    """Keywords are given as a dictionary."""
    changed = cst.Module(script.program).visit(_Unpacked())
    return None if changed.deep_equals(cst.Module(script.program)) else {MAIN: script.apart(list(changed.body))}


def behind_a_decorator(script: Script) -> Files | None:
    """Each function is wrapped by one that takes its time."""
    if not any(isinstance(statement, cst.FunctionDef) for statement in script.definitions):
        return None
    timed = """\
import functools
import time

def timed(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        start = time.time()
        result = function(*args, **kwargs)
        print(time.time() - start)
        return result
    return wrapper
"""
    decorated = [
        statement.with_changes(decorators=[*statement.decorators, cst.Decorator(cst.Name("timed"))])
        if isinstance(statement, cst.FunctionDef)
        else statement
        for statement in script.definitions
    ]
    return {MAIN: [*script.imports, *statements(timed), *decorated, *script.program]}


def behind_a_switch(script: Script) -> Files:
    """The program runs in one of two modes."""
    switch = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--mode", default="train", choices=["train", "nothing"])
args = parser.parse_args()
"""
    return {MAIN: script.apart([*statements(switch), block('if args.mode == "train":', script.program)])}


REWRITINGS: tuple[Rewriting, ...] = (
    in_main,
    in_another_file,
    in_a_package,
    by_a_factory,
    in_a_dictionary,
    in_a_trainer,
    given_to_a_trainer,
    loops_as_functions,
    by_settings,
    by_while,
    with_a_bar,
    by_a_generator,
    by_unpacking,
    behind_a_decorator,
    behind_a_switch,
)
