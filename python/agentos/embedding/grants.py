"""What an agent may reach, as a program says it: each function makes one grant for `System.spawn`.

Paths are relative to the program's working folder, as everywhere in Python, and links in them are followed
now. A path means itself and everything below it; a trailing `/**` says the same. No other pattern is known:
what looks like one is refused, so that nobody believes in a bound that is none.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path as FilePath

import msgspec

from agentos.errors import UsageError
from agentos.messages import Exec, Grant, Host, Path, Rights, Tool, exactly
from agentos.tools.tool import action_path

PathLike = str | os.PathLike[str]

_PATTERN = re.compile(r"[*?]|\[.*\]|\{.*\}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


def read(path: PathLike) -> Grant:
    """To read `path` and what lies below it: the tools read, list and search. Raises UsageError."""
    return Grant(scope=_path(path, "read"))


def write(path: PathLike) -> Grant:
    """To read, change, create and delete `path` and what lies below it: also the tools write and edit. Raises
    UsageError."""
    return Grant(scope=_path(path, "read_write"))


def exec() -> Grant:
    """To run commands with the tool shell, confined to the paths that are granted, without network."""
    return Grant(scope=Exec())


def connect(address: str) -> Grant:
    """To connect to `host:port`, or to any port of `host`; `[…]` around an IPv6 address. Raises UsageError.

    Held by the agent's process; none of the built-in tools connects, and commands have no network.
    """
    match = re.fullmatch(rf"(?P<host>{_HOST.pattern})(:(?P<port>\d+))?", address)
    port = int((match and match["port"]) or 0)
    if match is None or port > 65_535:
        raise UsageError(
            f"`{address}` is no host with a port", hint='write "example.org:443", without scheme and path'
        )
    return Grant(scope=Host(host=exactly(match["host"].strip("[]").lower()), port=port))


def tool(name: str) -> Grant:
    """To call the function `name` of the program's. One that is handed over with `spawn(tools=…)` needs no
    grant; this one is for bounding it: `limited(tool("deploy"), uses=1)`."""
    return Grant(scope=Tool(tool=exactly(name)))


def limited(grant: Grant, *, uses: int | None = None, until: datetime | None = None) -> Grant:
    """`grant` for so many uses, or until a moment. Raises UsageError for a time without a time zone."""
    if uses is not None and uses < 1:
        raise UsageError(f"{uses} uses are no grant")
    if until is not None and until.tzinfo is None:
        raise UsageError("`until` has no time zone", hint="datetime.now(UTC) + timedelta(hours=1) has one")
    expires_us = grant.expires_us if until is None else int(until.timestamp() * 1e6)
    return msgspec.structs.replace(grant, uses=uses or grant.uses, expires_us=expires_us)


def _path(path: PathLike, rights: Rights) -> Path:
    text = os.fspath(path)
    if isinstance(path, str):
        text = {"**": ".", "/**": "/"}.get(text, text.removesuffix("/**"))
        if _PATTERN.search(text):
            raise UsageError(
                f"`{path}` looks like a pattern, and grants know none",
                hint="name a file or a folder; a trailing /** is everything below it; a pathlib.Path is "
                "always taken by its letters",
            )
    if not text or "\0" in text:
        raise UsageError(f"{path!r} is no path")
    return Path(path=action_path(os.path.realpath(FilePath(text).expanduser())), rights=rights)
