"""File names as text: as git quotes them, so that any name can be shown to a model and read back."""

from __future__ import annotations

import os
import re

from agentos.tools.failure import ToolFailure

ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
LETTERS = {letter: code for code, letter in ESCAPES.items()}
ESCAPED = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)


def quote(name: str) -> str:
    """`name` itself when it is plain text, else in double quotes with octal escapes for its bytes."""
    raw = os.fsencode(name)
    plain = name.isprintable() and not any(code in ESCAPES for code in raw)
    if plain and not any(0xDC80 <= ord(character) <= 0xDCFF for character in name):
        return name
    return '"' + "".join(map(_escape, raw)) + '"'


def unquote(text: str) -> str:
    """The name that `quote` wrote as `text`, for the file functions of `os`."""
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    try:
        return os.fsdecode(ESCAPED.sub(_unescape, text[1:-1].encode()))
    except (KeyError, ValueError):
        raise ToolFailure(f"{text} is no quoted file name") from None


def _escape(code: int) -> str:
    if code in ESCAPES:
        return "\\" + ESCAPES[code]
    return chr(code) if 32 <= code < 127 else f"\\{code:03o}"


def _unescape(match: re.Match[bytes]) -> bytes:
    escape = match.group(1).decode()
    code = int(escape, 8) if len(escape) == 3 else LETTERS[escape]
    return bytes([code])
