"""Exports: entries as JSON Lines, with their stored bytes and hashes, to be checked without the home.

The first line is the header: `type` (`journal`), `version` (1), `home`, `from`, `to`, `previous` (the hash
before the first entry) and `head` (the hash of the last). Each further line is an entry: `seq`, `version`,
`hash` and `body`, its bytes as they are stored and hashed (they are UTF-8; the JSON string holds them).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import msgspec

from agentos.audit.chain import Chain, of_home
from agentos.errors import JournalError, UsageError
from agentos.kernel import audit_stored, entry_hash

if TYPE_CHECKING:
    from agentos.home import Home

GENESIS = "0" * 64
_PAGE = 1000
_Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Number = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]


class Header(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="journal"
):
    """The first line: what the others are to be."""

    version: Literal[1] = 1
    home: str
    first: _Number = msgspec.field(name="from")
    last: _Number = msgspec.field(name="to")
    previous: _Hash
    head: _Hash


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry."""

    seq: _Number
    version: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)]
    hash: _Hash
    body: str


def write(home: Home, file: BinaryIO, first: int | None, last: int | None) -> Header:
    """Writes entries `first` (default: 1) to `last` (default: the newest) of a journal that holds.

    Raises JournalError where it does not hold, UsageError where it has no such entries.
    """
    chain = of_home(home)
    if chain.first_bad is not None:
        raise JournalError(
            f"the journal is damaged from entry {chain.first_bad['seq']} on: {chain.first_bad['reason']}",
            where=str(home.database),
            hint="`agentos audit verify` says where; a damaged journal is not exported as if it held",
        )
    first, last = first or 1, chain.last if last is None else last
    if not 1 <= first <= last <= chain.last:
        raise UsageError(
            f"there are no entries {first} to {last}", hint=f"the journal has entries 1 to {chain.last}"
        )
    previous = chain.hash_at(first - 1) if first > 1 else GENESIS
    header = Header(
        home=chain.home or "", first=first, last=last, previous=previous, head=chain.hash_at(last)
    )
    encoder = msgspec.json.Encoder()
    file.write(encoder.encode(header) + b"\n")
    for page in _pages(home, first, last):
        file.write(b"".join(encoder.encode(line) + b"\n" for line in page))
    return header


def _pages(home: Home, first: int, last: int) -> Iterator[list[Line]]:
    after = first - 1
    while after < last:
        rows = audit_stored(home.database, after=after, limit=min(_PAGE, last - after))
        yield [Line(seq=seq, version=kind, hash=hash, body=body.decode()) for seq, kind, hash, body in rows]
        after = rows[-1][0]


def read(path: Path) -> Chain:
    """Walks an export. Raises UsageError where the file is not one; entries that do not hold are a finding.

    Keeps 32 bytes of each entry.
    """
    try:
        with path.open("rb") as file:
            return _walk(path, file)
    except OSError as error:
        raise UsageError(f"the export cannot be read: {error.strerror}", where=str(path)) from error


def _walk(path: Path, file: BinaryIO) -> Chain:
    header = _header(path, file.readline(1 << 16))
    hashes = bytearray(bytes.fromhex(header.previous))
    recorded: list[tuple[int, str]] = []
    last, first_bad = header.first - 1, None
    for line in _lines(file):
        first_bad = _misfit(line, last + 1, hashes[-32:].hex(), header)
        if first_bad is not None:
            break
        assert isinstance(line, Line)
        last = line.seq
        hashes += bytes.fromhex(line.hash)
        if (text := _anchor(line.body)) is not None:
            recorded.append((last, text))
    head = hashes[-32:].hex()
    if first_bad is None and last < header.last:
        missing = f"entries {last + 1} to {header.last} are" if last + 1 < header.last else "it is"
        first_bad = {"seq": last + 1, "reason": f"{missing} missing: the end of the export was cut off"}
    if first_bad is None and head != header.head:
        first_bad = {"seq": last, "reason": "the head that the export names has another hash"}
    after = header.first - 1

    def hash_at(seq: int) -> str:
        return hashes[32 * (seq - after) : 32 * (seq - after) + 32].hex()

    return Chain(str(path), header.home, after, last, head, first_bad, recorded, hash_at)


def _header(path: Path, line: bytes) -> Header:
    try:
        return msgspec.json.decode(line, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "give a file that `agentos audit export -o FILE` wrote"
        raise UsageError(f"this is not an exported journal: {error}", where=str(path), hint=hint) from error


def _lines(file: BinaryIO) -> Iterator[Line | str]:
    """Each line's entry, or why it is none."""
    decoder = msgspec.json.Decoder(Line)
    while raw := file.readline(1 << 16):
        try:
            yield decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield f"its line cannot be read: {error}"


def _misfit(line: Line | str, seq: int, previous: str, header: Header) -> dict[str, Any] | None:
    """Why `line` is not entry `seq` after one with hash `previous`; None where it is."""
    if isinstance(line, str):
        return {"seq": seq, "reason": line}
    if seq > header.last:
        return {"seq": seq, "reason": "it lies beyond the end that the export names"}
    if line.seq != seq:
        return {"seq": seq, "reason": f"entry {line.seq} stands in its place: it is missing or was moved"}
    if entry_hash(previous, seq, line.version, line.body.encode()) != line.hash:
        return {"seq": seq, "reason": "its bytes are not those that were hashed: it was changed or moved"}
    return None


class _Put(msgspec.Struct, tag_field="type", tag="put"):
    """Of an entry that writes a record: which kind, and what."""

    kind: str
    body: str


def _anchor(body: str) -> str | None:
    """The anchor that an entry records."""
    if '"put"' not in body[:64]:
        return None
    try:
        put = msgspec.json.decode(body, type=_Put)
    except msgspec.DecodeError:
        return None
    return put.body if put.kind == "anchor" else None
