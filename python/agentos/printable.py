"""Text of unknown origin made safe to show: what would steer a terminal is written out instead of sent."""

from __future__ import annotations

import re

# Control characters but tab and line end; those that reverse the order of text or cannot be encoded.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str | bytes) -> str:
    """`text` with control sequences and characters that reorder text shown, not sent. Line ends and tabs
    stay; bytes that are no UTF-8 are shown as `\\xNN`."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    return _CONTROL.sub(_written_out, text.replace("\r\n", "\n"))


def printable_line(text: str | bytes) -> str:
    """`printable` on one line: line ends and tabs become spaces."""
    return printable(text).replace("\n", " ").replace("\t", " ")


def _written_out(found: re.Match[str]) -> str:
    number = ord(found.group())
    if 0xDC80 <= number <= 0xDCFF:  # a byte that Python could not decode
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
