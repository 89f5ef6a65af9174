"""Run in a process of its own by `speed.py`: what libcst alone needs for the files that trainlint parses.

`python bare_parse.py record FILE ARGUMENTS...` runs trainlint and notes in FILE every text that it parses, files that
are only read along for an import included. `python bare_parse.py drop|keep FILE` then parses these texts, garbage
collection on as in anybody's program, and prints how long that took; `keep` holds on to all trees, as whoever looks at
several files together has to.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import libcst


def record(output: Path, arguments: list[str]) -> None:
    from trainlint.cli import main

    texts: list[str] = []
    parse = libcst.parse_module

    def recording_parse(source: Any, *args: Any, **kwargs: Any) -> libcst.Module:
        tree = parse(source, *args, **kwargs)
        texts.append(source if isinstance(source, str) else source.decode())
        return tree

    libcst.parse_module = recording_parse
    main(arguments)
    output.write_text(json.dumps(texts), encoding="utf-8")


def measure(texts: list[str], *, keep: bool) -> None:
    kept = []
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for text in texts:
        tree = libcst.parse_module(text)
        if keep:
            kept.append(tree)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    lines = sum(text.count("\n") for text in texts)
    print(json.dumps({"wall": wall, "cpu": cpu, "files": len(texts), "lines": lines}))


if __name__ == "__main__":
    command, file = sys.argv[1], Path(sys.argv[2])
    if command == "record":
        record(file, sys.argv[3:])
    else:
        measure(json.loads(file.read_text(encoding="utf-8")), keep=command == "keep")
