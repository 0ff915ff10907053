"""Base64 in the midst of text: worth nothing to a model, and paid for on every turn.

Deliberately different from OpenFang: it is found in lines as well, and a long run of few different characters
is none.
"""

from __future__ import annotations

import re

LONG_BASE64 = 1_000
"""Characters; what is shorter may be a token or a digest that matters."""
_SHORTEST_LINE = 60
_SYMBOL = "[A-Za-z0-9+/]"
_ANY_SYMBOL = "[A-Za-z0-9+/_-]"  # of a file name's alphabet too
_DATA_URI = re.compile(rf"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.=+-]+)*;base64,({_ANY_SYMBOL}{{64,}}={{0,2}})")
# A run on one line, or lines of about one width as MIME and PEM have them, with or without the numbers of our
# tool `read`. Looked for only where a run begins: else short runs would be read over and over.
_RUN = re.compile(
    rf"(?<!{_ANY_SYMBOL})(?:(?:(?:\d+\t)?{_SYMBOL}{{{_SHORTEST_LINE},76}}\r?\n){{8,}}"
    rf"(?:(?:\d+\t)?(?:{_SYMBOL}{{16,}}={{0,2}}|{_SYMBOL}+={{1,2}}))?"
    rf"|{_ANY_SYMBOL}{{{LONG_BASE64 + 1},}}={{0,2}})"
)
_BETWEEN = re.compile(r"^\d+\t|\s", re.MULTILINE)
# Hexadecimal has 16 digits: a dump, a ruler or 2,000 times the same letter is no base64.
_FEWEST_SYMBOLS = 17


def strip_base64(text: str) -> tuple[str, int]:
    """`text` with a note for each data URI and each long run of base64 in it, and how many those were."""
    # Most texts have no word that long; they are read at every turn, and this is quick.
    if max(map(len, text.split()), default=0) < _SHORTEST_LINE:
        return text, 0
    count = 0

    def note(kind: str, data: str) -> str:
        nonlocal count
        count += 1
        symbols = _BETWEEN.sub("", data).rstrip("=")
        return f"[{kind} left out: {len(symbols) * 3 // 4} bytes]"

    def run(match: re.Match[str]) -> str:
        data = match[0]
        long = len(data) > LONG_BASE64 and len(set(_BETWEEN.sub("", data))) >= _FEWEST_SYMBOLS
        return note("base64", data) + data[len(data.rstrip()) :] if long else data

    text = _DATA_URI.sub(lambda match: note(match[1] or "data", match[2]), text)
    return _RUN.sub(run, text), count
