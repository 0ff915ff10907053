"""Globs over the names in a tree, as a shell has them: `*` and `?` stay within one name and do not match a
leading dot, `**` spans folders, `[a-z]`, `{a,b}`."""

from __future__ import annotations

import re

from agentos.errors import UsageError

_MAXIMUM_CHOICES = 1000


def compile_glob(glob: bytes) -> re.Pattern[bytes]:
    """A pattern for `fullmatch` on a path without a trailing `/`.

    Raises: UsageError where braces multiply beyond reason.
    """
    choices = _braces(glob.strip(b"/"))
    return re.compile(b"|".join(b"(?:" + _whole(choice) + b")" for choice in choices), re.DOTALL)


def _braces(glob: bytes) -> list[bytes]:
    done: list[bytes] = []
    waiting = [glob]
    while waiting:
        current = waiting.pop()
        found = re.search(rb"\{([^{}]*,[^{}]*)\}", current)
        if found is None:
            done.append(current)
        else:
            head, rest = current[: found.start()], current[found.end() :]
            waiting += [head + choice + rest for choice in reversed(found.group(1).split(b","))]
        if len(done) + len(waiting) > _MAXIMUM_CHOICES:
            raise UsageError("the glob's braces stand for too many names")
    return done


def _whole(glob: bytes) -> bytes:
    parts = glob.split(b"/")
    pattern = b""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == b"**":
            # A folder's name that starts with a dot is entered only when it is written.
            pattern += rb"(?:(?!\.)[^/]+/)*" + (rb"(?!\.)[^/]+" if last else b"")
        else:
            pattern += _part(part) + (b"" if last else b"/")
    return pattern


def _part(part: bytes) -> bytes:
    pattern = rb"(?!\.)" if part[:1] in (b"*", b"?", b"[") else b""
    at = 0
    while at < len(part):
        letter = part[at : at + 1]
        at += 1
        if letter == b"*":
            while part[at : at + 1] == b"*":
                at += 1
            pattern += rb"[^/]*"
        elif letter == b"?":
            pattern += rb"[^/]"
        elif letter == b"\\" and at < len(part):
            pattern += re.escape(part[at : at + 1])
            at += 1
        elif letter == b"[" and (found := re.match(rb"([!^]?)(\]?[^\]/]*)\]", part[at:])) and found.group(2):
            inside = found.group(2).replace(b"\\", b"\\\\").replace(b"[", b"\\[").replace(b"]", b"\\]")
            inside = inside.replace(b"&&", rb"&\&").replace(b"~~", rb"~\~").replace(b"||", rb"|\|")
            pattern += b"[" + (b"^/" if found.group(1) else b"") + inside + b"]"
            at += found.end()
        else:
            pattern += re.escape(letter)
    return pattern
