"""What clients and the daemon say to each other: one JSON object a line over a Unix socket.

Client: `{"hello": Submission}` first, then `{"id", "verb", "params"}` and `{"interrupt": id}`.
Daemon: `{"hello": {"version", "pid"}}` or `{"error"}`; then `{"id", "event"}` any number of times and one
of `{"id", "result"}`, `{"id", "error"}`. `{"keys": true}` comes with a descriptor, at any time: the client
sends its provider keys over that socket, which leads to the broker, and the daemon never sees them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from agentos import __version__
from agentos.home import Home

PROTOCOL = f"agentos {__version__}"
"""Client and daemon must be of the same version: a home's state and messages change with it."""

LINE_BYTES = 16 << 20
"""Longest message of a client. A client takes what its daemon sends, however long."""


class Request(msgspec.Struct, omit_defaults=True):
    """One line from a client."""

    hello: dict[str, Any] | None = None
    id: int | None = None
    verb: str | None = None
    params: dict[str, Any] = {}
    interrupt: int | None = None


class Response(msgspec.Struct, omit_defaults=True):
    """One line from the daemon. `done` marks the last one of a call."""

    hello: dict[str, Any] | None = None
    id: int | None = None
    event: dict[str, Any] | None = None
    result: Any = None
    done: bool = False
    error: dict[str, Any] | None = None
    keys: bool = False


encode = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(Request).decode
decode_response = msgspec.json.Decoder(Response).decode


@contextmanager
def socket_address(home: Home) -> Iterator[str]:
    """An address of the home's socket that fits `sun_path`, however long the home's path is."""
    folder = os.open(home.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{home.socket.name}"
    finally:
        os.close(folder)
