"""Anchors: signed heads of the journal, to be kept where whoever writes the home cannot reach them.

An anchor says that the chain of a home reached entry `seq` with hash `hash` at `time`. What was cut off,
rewritten or replaced since then contradicts it. `tree` is the root of the hash tree over the entries, for
receipts (`rust/journal/src/tree.rs`).

The signature is Ed25519 over seven lines: `agentos anchor 1`, home, seq, hash, tree, time, public key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from agentos.errors import UsageError

_Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Anchor(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="anchor"
):
    """A head with its signature. All that is binary is in lower-case hexadecimal digits."""

    version: Literal[1] = 1
    home: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    """The home's random id."""
    seq: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
    hash: _Hash
    tree: _Hash
    time: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
    """UTC, by the clock of the machine that signed."""
    public_key: _Hash
    """Ed25519, 32 bytes."""
    signature: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}$")]

    def signed(self) -> bytes:
        """The bytes that the signature is over."""
        return signed_bytes(self.home, self.seq, self.hash, self.tree, self.time, self.public_key)

    def is_genuine(self) -> bool:
        """Whether the key that it names signed it. Whose key that is, is another question."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
            key.verify(bytes.fromhex(self.signature), self.signed())
        except (InvalidSignature, ValueError):
            return False
        return True

    def to_json(self) -> bytes:
        """The file's contents: one line of JSON."""
        return msgspec.json.encode(self) + b"\n"


def signed_bytes(home: str, seq: int, hash: str, tree: str, time: str, public_key: str) -> bytes:
    """What is signed. No field can hold a line end, so no two anchors are signed as the same bytes."""
    return "\n".join(("agentos anchor 1", home, str(seq), hash, tree, time, public_key)).encode()


def read(path: Path) -> Anchor:
    """The anchor in a file. Raises UsageError where there is none, or its signature is not genuine."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the anchor cannot be read: {error.strerror}", where=str(path)) from error
    return decode(data, str(path))


def decode(data: bytes | str, where: str) -> Anchor:
    """The genuine anchor that `data` is. Raises UsageError, naming `where` it came from."""
    try:
        anchor = msgspec.json.decode(data, type=Anchor)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "give a file that `agentos audit anchor -o FILE` wrote"
        raise UsageError(f"this is not an anchor: {error}", where=where, hint=hint) from error
    return genuine(anchor, where)


def genuine(anchor: Anchor, where: str) -> Anchor:
    """The anchor itself. Raises UsageError where it was not signed by the key that it names."""
    if anchor.is_genuine():
        return anchor
    raise UsageError(
        "this anchor is forged or damaged: its signature is not that of its contents",
        where=where,
        hint="use another copy of it; nothing was checked",
    )
