"""Real code to compare with libcst's own providers, and a text that has every construct."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from trainlint.syntax import SourceFile, load


def installed(*names: str) -> list[Path]:
    """Files of installed packages, given as `package/file.py`; found without importing them.

    The wheel is tested without torch: its files are then left out."""
    paths = []
    for name in names:
        package, _, rest = name.partition("/")
        spec = find_spec(package)
        if spec is None and package == "torch":
            continue
        assert spec is not None
        assert spec.origin is not None
        paths.append(Path(spec.origin).parent / rest)
    return paths


REAL = installed(
    "_pytest/pathlib.py",
    "libcst/_nodes/whitespace.py",
    "libcst/codemod/_cli.py",
    "libcst/metadata/scope_provider.py",
    "torch/optim/adam.py",
    "torch/optim/swa_utils.py",
    "torch/utils/data/dataloader.py",
)

EVERYTHING = '''\
#!/usr/bin/env python
"""A module."""

from __future__ import annotations
import a.b.c, d as e
from . import f
from ..g.h import (i as j, k,)
from m import *

x = y = (1 +
    2) * -3 ** 4; z: int = 5
w: str
(q, [r, *s]), t.u, v[0] = n = 1, *range(3),
x += (yield_ := 2)


@e.decorator(x, key=y, *s, **t)
# comment
@f
async def function(p, /, q: int = x, *args: k, r=lambda s, t=q: s, **kwargs) -> j:
    """Doc."""
    global made, x
    made = p
    x = 1
    def inner(q):
        nonlocal r
        r = q
        hidden = [q for q in args if q for p in q]
        return hidden
    async with p as a1, (q) as (a2, a3):
        await a1
    async for item in args:
        continue
    else:
        pass
    result = [w async for w in p]
    yield
    yield from_ , (last := [last2 := n for n in result])
    del p, a1.b, result[0]


class Class(f.Base, metaclass=k, **e):
    attribute = x
    other = [attribute for _ in x]

    @property
    def method(self): return self.attribute, __class__

    class Inner:
        attribute = 1
        def method(self, x=attribute):
            return x


def generic[T: int, *Ts, **P](a: T, b: list[T] = x) -> T:
    return a


class Generic[T](list[T]):
    def f(self, x: T): ...


type Alias[K] = dict[K, e]

try:
    pass
except (ValueError, TypeError) as error:
    raise RuntimeError(error) from None
except k:
    raise
else:
    assert x, "message"
finally:
    print(f"{x!r:>{y}} {z=} text {{}}" "next" r'raw', b"bytes")

try: pass
except* OSError as group: pass

match x:
    case [1, 2, *others] | (a.b.CONST as others): pass
    case {"key": value, **rest} if value: pass
    case Class(x, attribute=[y, _]): pass
    case None | "text" | -1.5 + 2j: pass
    case _:
        pass

for i0, (i1, i2) in enumerate(s): print(i0) ; break
else: i3 = 1
while not (x and y or z is not None): x -= 1
with open(x), open(y) as file: pass
with (open(x) as f1, open(y) as f2,): pass
if x if y else z: pass
elif x in y: pass
elif x not in y <= z != w: pass
else:
    lam = lambda: (yield)

print({**x, "a": 1, **{}}, {1, *s}, {k: v for k, v in x}, {c for c in y}, (g for g in z), ..., x[1:2, ::3, :], x @ y)
print(a.b.c.d, e.f(), k()(x)[0].y, sum(g for g in e))
'''


def real() -> list[SourceFile]:
    return [load(path, path.name) for path in REAL]


def parse(text: str, filename: str = "file.py") -> SourceFile:
    return load(Path(filename), filename, text)
