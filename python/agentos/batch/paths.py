"""Names of files as git has them: bytes relative to the repository's root, `/` between folders.

Inside they are `bytes`; a folder may carry a trailing `/`. Their text form, for plans, JSON and people, is
the name itself where it is plain UTF-8, else git's quoted form (`"tab\\there"`, `"caf\\351"`), and both are
read back to the same bytes.
"""

from __future__ import annotations

import re

from agentos.errors import UsageError

_ESCAPES = {
    0x07: "\\a",
    0x08: "\\b",
    0x09: "\\t",
    0x0A: "\\n",
    0x0B: "\\v",
    0x0C: "\\f",
    0x0D: "\\r",
    0x22: '\\"',
    0x5C: "\\\\",
}
_UNESCAPES = {text[1]: byte for byte, text in _ESCAPES.items()}
_QUOTED = re.compile(r'\\(?:[0-3][0-7]{2}|[abtnvfr"\\])|[^"\\]+')
_NEEDS_QUOTES = re.compile(r'[\x00-\x1f"\\\x7f-\x9f]')


def quote(path: bytes) -> str:
    """The text form of `path`."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and not _NEEDS_QUOTES.search(text):
        return text
    plain = (_ESCAPES.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}") for byte in path)
    return '"' + "".join(plain) + '"'


def unquote(text: str, *, where: str | None = None) -> bytes:
    """The bytes that a text form stands for. Raises UsageError for a quoted form that git would not write."""
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text.encode("utf-8", "surrogateescape")
    inner, at, result = text[1:-1], 0, bytearray()
    while at < len(inner):
        found = _QUOTED.match(inner, at)
        if found is None:
            raise UsageError(
                f"{text} is not a quoted path",
                where=where,
                hint='inside quotes write \\" for a quote, \\\\ for a backslash, \\351 for a byte in octal',
            )
        part = found.group()
        if not part.startswith("\\"):
            result += part.encode("utf-8", "surrogateescape")
        elif part[1].isdigit():
            result.append(int(part[1:], 8))
        else:
            result.append(_UNESCAPES[part[1]])
        at = found.end()
    return bytes(result)


def is_text(text: str) -> bool:
    """Whether an argument, a variable or a path of the system's is Unicode, and not bytes of other making."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def parse(text: str, *, where: str | None = None) -> bytes:
    """A path of a plan: inside the repository, normalised (`./`, doubled `/`), a trailing `/` kept.

    Raises UsageError for a path that is empty, absolute, leaves the repository, or names a `.git`.
    """
    path = unquote(text, where=where)
    if path.startswith(b"/"):
        raise UsageError(
            f"the path `{text}` is absolute",
            where=where,
            hint="write it relative to the repository's root",
        )
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise UsageError(
            f"the path `{text}` leaves the repository",
            where=where,
            hint="write it relative to the repository's root, without `..`",
        )
    if any(part.lower() == b".git" for part in parts):
        raise UsageError(f"the path `{text}` names a `.git`, which no unit may change", where=where)
    if b"\0" in path:
        raise UsageError(f"the path `{text}` contains a zero byte", where=where)
    if not parts:
        if path.strip(b"/.") or not path:
            raise UsageError("a path is empty", where=where, hint="write `./` for the whole repository")
        return b"./"
    return b"/".join(parts) + (b"/" if path.endswith((b"/", b"/.")) else b"")


def covers(scope: bytes, path: bytes) -> bool:
    """Whether `path` is `scope` or lies under it. `./` covers everything."""
    if scope == b"./":
        return True
    bare = scope.rstrip(b"/")
    return path.rstrip(b"/") == bare or path.startswith(bare + b"/")
