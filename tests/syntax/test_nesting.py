"""However deeply a text is nested, the process lives, and code that people write is never refused."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from syntax.samples import EVERYTHING, REAL, parse

from trainlint.syntax import Unreadable, load, with_room
from trainlint.syntax.nesting import MAX_BRACKETS, MAX_CHAIN, MAX_PATTERN, measure

# Texts by depth. In the first group the depth is one of brackets, in the second of links in a chain.
BRACKETS = {
    "parentheses": lambda n: "(" * n + "1" + ")" * n,
    "lists": lambda n: "x = " + "[" * n + "]" * n,
    "dicts": lambda n: "{1:" * n + "1" + "}" * n,
    "calls": lambda n: "f(" * n + ")" * n,
    "keywords": lambda n: "f(a=" * n + "1" + ")" * n,
    "subscripts": lambda n: "a[" * n + "1" + "]" * n,
    "targets": lambda n: "(" * n + "a" + ",)" * n + " = 1",
    "comprehensions": lambda n: "[" * n + "a" + " for a in b]" * n,
    "over lines": lambda n: "x = f(\n" * n + ")\n" * n,
    "mixed": lambda n: "([{" * (n // 3) + "(" * (n % 3) + ")" * (n % 3) + "}])" * (n // 3),
    "behind strings": lambda n: "f(')', " * n + "1" + ")" * n,
    "behind comments": lambda n: "f(  # )\n" * n + ")" * n,
    "unclosed": lambda n: "f(" * n,
    "f-strings in f-strings": lambda n: 'f"{' * n + "1" + '}"' * n,
    "in an f-string": lambda n: 'f"{' + "(" * (n - 1) + "1" + ")" * (n - 1) + '}"',
    "in an f-string, behind a string": lambda n: 'f"{x["a"]' + "(" * (n - 1) + ")" * (n - 1) + '}"',
    "in a format": lambda n: 'f"{x:' + "{y:" * (n - 1) + "}" * n + '"',
    "in a long f-string": lambda n: 'rf"""text\n {' + "f(" * (n - 1) + ")" * (n - 1) + '}"""',
    "decorator": lambda n: "@" + "f(" * n + ")" * n + "\ndef f(): pass",
    "annotation": lambda n: "def f(x: " + "a[" * (n - 1) + "b" + "]" * (n - 1) + "): pass",
}
CHAINS = {
    "minus": lambda n: "x = " + "-" * n + "1",
    "not": lambda n: "x = " + "not " * n + "1",
    "plus": lambda n: "x = 1" + " + 1" * n,
    "plus over lines": lambda n: "x = (1" + "\n+ 1" * (n - 1) + ")",
    "plus behind backslashes": lambda n: "x = 1" + " \\\n+ 1" * n,
    "plus, carriage returns": lambda n: "x = (1" + "\r+ 1" * (n - 1) + ")\r",
    "power": lambda n: "x = 1" + " ** 1" * n,
    "and": lambda n: "x = a" + " and a" * n,
    "or without space": lambda n: "x = " + "1or " * n + "1",
    "attributes": lambda n: "x = a" + ".a" * n,
    "calls in a row": lambda n: "x = a" + "()" * n,
    "subscripts in a row": lambda n: "x = a" + "[0]" * n,
    "methods over lines": lambda n: "x = (a" + "\n.b()" * (n // 2) + ")",
    "conditions": lambda n: "x = 1" + " if a else 1" * n,
    "lambdas": lambda n: "x = " + "lambda: " * n + "1",
    "lambdas with commas": lambda n: "x = " + "lambda a, b=" * n + "1" + ": 1" * n,
    "strings": lambda n: "x = (" + "'a'\n" * (n - 1) + ")",
    "loops of a comprehension": lambda n: "[0" + " for a, b in c" * n + "]",
    "elif": lambda n: "if a:\n b\n" + "elif a:\n b\n" * n,
    "elif within": lambda n: "def f():\n if a:\n  b\n" + " # c\n elif a:\n  b\n\n" * n + " else:\n  elif_ = 1\n",
    "in an f-string": lambda n: "f'{a" + "+a" * (n - 1) + "}'",
    "in a long f-string": lambda n: 'f"""{a' + "\n+a" * (n - 1) + '}"""',
    "dotted import": lambda n: "import a" + ".a" * n,
    "patterns": lambda n: "match x:\n case 1" + "|1" * n + ": pass",
}
PATTERNS = {
    "list": lambda n: "match x:\n case " + "[" * n + "]" * n + ": pass",
    "group": lambda n: "match x:\n  case(" + "(" * (n - 1) + "a" + ")" * n + ": pass",
    "class": lambda n: "match x:\n case " + "A(" * n + ")" * n + ": pass",
    "keywords": lambda n: "match x:\n case " + "A(b=" * n + "c" + ")" * n + ": pass",
    "mapping": lambda n: "match x:\n case " + "{1: " * n + "a" + "}" * n + ": pass",
    "over lines": lambda n: "match x:\n case " + "[\n" * n + "\n]" * n + ": pass",
}
FINE = {
    "blocks": lambda n: "".join(" " * i + "if a:\n" for i in range(n)) + " " * n + "b\n",
    "functions": lambda n: "".join(" " * i + "def f():\n" for i in range(n)) + " " * n + "b\n",
    "guard": lambda n: "match x:\n case a if " + "(" * n + "b" + ")" * n + ": pass",
    "subject": lambda n: "match " + "(" * n + "a" + ")" * n + ":\n case b: pass",
    "a name": lambda n: "case = " + "[" * n + "]" * n,
}


@pytest.mark.parametrize("name", BRACKETS)
def test_brackets(name):
    nesting = measure(BRACKETS[name](MAX_BRACKETS))
    assert nesting.problem == ""
    assert nesting.brackets == MAX_BRACKETS
    assert nesting.is_deep
    text = BRACKETS[name](MAX_BRACKETS + 1)
    with pytest.raises(Unreadable, match="brackets are nested more than 100 deep") as caught:
        parse(text)
    # The place is that of the first bracket too many.
    line = text.split("\n")[caught.value.span.line - 1]
    assert line[caught.value.span.column - 1] in "([{"


@pytest.mark.parametrize("name", CHAINS)
def test_chains(name):
    depth = MAX_CHAIN - 10
    if "lambda" not in name:  # these are slow
        loaded = parse(CHAINS[name](depth))
        assert loaded.is_deep
        statement = loaded.tree.body[-1]
        assert loaded.span(statement).line == 1
        assert loaded.index.parent(statement) is loaded.tree
        assert loaded.statement_lines(statement)[0] == 1
    assert measure(CHAINS[name](depth)).chain >= depth - 10
    with pytest.raises(Unreadable, match=r"more than 1000 (operations in a row|branches)"):
        parse(CHAINS[name](MAX_CHAIN + 10))


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(name):
    parse(PATTERNS[name](MAX_PATTERN))
    with pytest.raises(Unreadable, match="a pattern is nested more than 7 deep") as caught:
        parse(PATTERNS[name](MAX_PATTERN + 1))
    assert caught.value.span.line >= 2


@pytest.mark.parametrize("name", FINE)
def test_what_is_not_deep(name):
    parse(FINE[name](40))


def test_the_process_survives():
    # In a process of its own: where the guard fails, the stack overflows. 1 MB is what Windows gives a thread.
    program = """
import sys, threading
from syntax.samples import parse
from syntax.test_nesting import BRACKETS, CHAINS, PATTERNS
from trainlint.syntax import Unreadable

def work():
    for texts, depths in ((BRACKETS, (20, 90, 3000)), (CHAINS, (300, 20000)), (PATTERNS, (3000,))):
        for text in texts.values():
            for depth in depths:
                try:
                    loaded = parse(text(depth))
                    loaded.span(loaded.tree.body[-1]), loaded.index
                except Unreadable:
                    pass
    print("alive")

threading.stack_size(1 << 20)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()[-2000:]
    assert run.stdout == b"alive\n"


@pytest.mark.parametrize(
    "text",
    [
        # Long, but flat.
        "x = [" + "1, " * 3000 + "]",
        "x = [\n" + "    [1.0, -2.5, a.b(c)],  # comment\n" * 1000 + "]",
        "x = {\n" + "    'key': f(a.b, c=-1, d='('),\n" * 1000 + "}",
        "f(" + "a=1, " * 1500 + ")",
        "a = " * 1500 + "1",
        "x = 1\n" * 3000,
        "x + y; " * 1500,
        "if a:\n    b\nelif c:\n    d\n" * 800,
        "def f():\n" + "    if a:\n        b\n    elif c:\n        d\n" * 800,
        # What only looks like brackets.
        "x = '(((' + \")\" + f\"[{{\" + ''':(''' # [[[\n" * 200,
        "# elif (((\n" * 1200,
        "'''" + "(" * 500 + "'''",
        'f"""' + "{{ body ( " * 500 + '"""',
        "f'" + "(" * 200 + "{x}'",
        "print(f'''" + "{a.b:>{c}} (" * 500 + "''')",
        'f"{x["(((("]}" + "((((("\n' * 100,
    ],
)
def test_what_is_long_is_not_deep(text):
    nesting = measure(text)
    assert nesting.problem == ""
    assert nesting.brackets < 10
    parse(text)


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_code_is_not_deep(path):
    assert not load(path, path.name).is_deep


def test_all_constructs_are_not_deep():
    assert not parse(EVERYTHING).is_deep


@pytest.fixture
def usual_recursion_limit():
    """Python's own limit: packages that other tests import set a higher one."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("usual_recursion_limit")
def test_a_tree_less_deep_has_positions_too_when_there_is_little_room_left():
    loaded = parse("x = (\n" + "-\n" * 490 + "a)\ny\n")
    assert not loaded.is_deep
    with pytest.raises(RecursionError):
        loaded.positions.span(loaded.tree.body[0])
    assert loaded.span(loaded.tree.body[0]).end_line == 492


# --- Room -------------------------------------------------------------------------------------------------------------


def depth(levels: int) -> int:
    return 0 if levels == 0 else 1 + depth(levels - 1)


def test_with_room_recursion_goes_deeper():
    limit, size = sys.getrecursionlimit(), threading.stack_size()
    with pytest.raises(RecursionError):
        depth(20_000)
    assert with_room(depth, 20_000) == 20_000
    assert (sys.getrecursionlimit(), threading.stack_size()) == (limit, size)


def test_with_room_is_a_call():
    def divide(a: int, *, by: int) -> tuple[float, threading.Thread]:
        return a / by, threading.current_thread()

    quotient, thread = with_room(divide, 1, by=2)
    assert quotient == 0.5
    assert thread is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        with_room(divide, 1, by=0)
    # Called where there is room already, it starts no thread.
    outer, (_, inner) = with_room(lambda: (threading.current_thread(), with_room(divide, 1, by=2)))
    assert outer is inner


def test_without_room_a_smaller_stack_must_do(monkeypatch):
    sizes = []
    start = threading.Thread.start

    def refuse_large(thread: threading.Thread) -> None:
        size = threading.stack_size()
        sizes.append(size)
        if size > 100 << 20:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_large)
    assert with_room(depth, 100) == 100
    assert sizes == [256 << 20, 64 << 20]
