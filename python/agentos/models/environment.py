"""Provider keys that people already have in their environment, and how they reach the broker.

Runs in the client, which holds the environment. Keys go over a private channel straight to the broker, never
through the daemon. Synchronous; no trio.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from agentos.errors import Failed, UsageError
from agentos.models.reference import Provider, base_url, providers

KeyHeader = Literal["x-api-key", "api-key", "bearer", "none"]

_ANSWER_SECONDS = 10.0
_ANSWER_BYTES = 1 << 20


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A key and the one base URL it may be sent to. `header` is how it travels; `none` with an empty key."""

    provider: str
    wire: Literal["anthropic", "openai"]
    base_url: str
    header: KeyHeader
    key: str

    def __repr__(self) -> str:
        """Without the key: reprs end up in logs."""
        return f"Credential({self.provider!r}, {self.base_url!r}, {self.header!r})"


class BrokerGone(Failed):
    """The broker went away; the daemon starts another and asks for the keys again."""


class _Accepted(msgspec.Struct, frozen=True, tag_field="type", tag="accepted"):
    pass


class _Refused(msgspec.Struct, frozen=True, tag_field="type", tag="refused"):
    message: str


def credentials_from_environment(
    environ: Mapping[str, str], *, urls: Mapping[str, str] | None = None
) -> list[Credential]:
    """A credential for each provider that has a key in `environ`, a base URL of its own there, or needs no
    key. `urls` overrides base URLs by provider. Raises UsageError for a base that is no http(s) address."""
    return list(_found(environ, urls or {}))


def _found(environ: Mapping[str, str], urls: Mapping[str, str]) -> Iterator[Credential]:
    for name, provider in providers().items():
        header, key = _key(environ, provider)
        moved = urls.get(name) or environ.get(provider.url_variable)
        if key or moved or not provider.charges:
            base = base_url(moved or provider.url, provider)
            yield Credential(provider=name, wire=provider.wire, base_url=base, header=header, key=key)


def _key(environ: Mapping[str, str], provider: Provider) -> tuple[KeyHeader, str]:
    """The key and its header. A token for a gateway goes before a key, as in the providers' own programs."""
    # A trailing line break comes with `$(cat file)` habits of all kinds and is never part of a key.
    token = environ.get(provider.token_variable or "", "").strip()
    if token:
        return "bearer", token
    key = environ.get(provider.key_variable or "", "").strip()
    return (provider.key_header, key) if key else ("none", "")


def roots_from_environment(environ: Mapping[str, str]) -> str | None:
    """The certificates that `SSL_CERT_FILE` names, to be trusted in place of the system's; None without it.
    Raises UsageError when it cannot be read."""
    name = environ.get("SSL_CERT_FILE")
    if not name:
        return None
    try:
        return Path(name).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read `{name}`: {error.strerror}", where="SSL_CERT_FILE") from error


def send_credentials(
    channel: socket.socket, credentials: Sequence[Credential], *, roots: str | None = None
) -> None:
    """Send all of a session's credentials, in place of those sent before, and wait until the broker has them.

    Raises UsageError when the broker refuses one (then it has taken none), BrokerGone, or Failed for one
    that says nothing.
    """
    message = msgspec.json.encode({"credentials": credentials, "roots": roots})
    channel.settimeout(_ANSWER_SECONDS)
    try:
        channel.sendall(len(message).to_bytes(4, "big") + message)
        size = int.from_bytes(_exactly(channel, 4), "big")
        if size > _ANSWER_BYTES:
            raise _gone()
        answer = msgspec.json.decode(_exactly(channel, size), type=_Accepted | _Refused)
    except TimeoutError as error:
        raise Failed("the broker does not take the keys", hint="try again") from error
    except (OSError, msgspec.DecodeError) as error:
        raise _gone() from error
    if isinstance(answer, _Refused):
        raise UsageError(f"a model's key or address cannot be used: {answer.message}")


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            raise _gone()
        data += piece
    return data


def _gone() -> BrokerGone:
    return BrokerGone("the broker went away before it had the keys", hint="try again")
