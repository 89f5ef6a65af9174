"""Pages for a browser that need nothing else: one frame and one style for all of them, and the ways in for text."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from html import escape
from pathlib import Path


def document(title: str, body: Iterable[str], *, has_pictures: bool = False) -> Iterator[str]:
    """A page, whose policy lets nothing run or load but its own script and style, and pictures that it holds if
    `has_pictures`."""
    style = shipped("charts.css") + shipped("page.css")
    script = shipped("page.js")
    pictures = "img-src data:; " if has_pictures else ""
    policy = (
        f"default-src 'none'; {pictures}style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    yield from body
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def shipped(name: str) -> str:
    """The text of a file beside this one."""
    return Path(__file__).with_name(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def prose(message: str) -> str:
    """A message, in which backticks are for code."""
    parts = re.split(r"`([^`]+)`", message)
    return "".join(
        f"<code>{escaped(part)}</code>" if number % 2 else escaped(part) for number, part in enumerate(parts)
    )


def escaped(text: str) -> str:
    """Text that is nothing but text: markup escaped, and what could hide or reorder it shown as an escape."""
    return escape(text if text.isprintable() else "".join(map(_visible, text)))


def _visible(char: str) -> str:
    hidden = char != "\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return char.encode("unicode_escape").decode("ascii") if hidden else char
