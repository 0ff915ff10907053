"""Receipts: what became of one ticket, with the entries that say so and their proof under a signed head.

A receipt shows no other entry: the way from each of its own to the anchor is a few hashes. What it says in
plain fields follows from its entries, and is made from them again when it is checked.

A receipt proves that these entries are in the journal. It cannot prove that there is no later one: it is of
the moment of its anchor, and says `outcome` null while the ticket is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from agentos.audit.anchor import Anchor, genuine
from agentos.errors import UsageError
from agentos.kernel import audit_stored, audit_tree, entry_hash, public_name, tree_root

if TYPE_CHECKING:
    from agentos.home import Home

_PAGE = 1000
_Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Proved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry as it is stored, what its hash is made of, and its way to the root of the anchor's tree."""

    seq: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
    version: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)]
    previous: _Hash
    hash: _Hash
    body: str
    path: list[_Hash]


class Receipt(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="receipt"
):
    """The document. `summary` is what a person wants to know; the rest is why it can be believed."""

    version: Literal[1] = 1
    number: int
    """The ticket's number in the kernel, by which its entries name it."""
    summary: dict[str, Any]
    entries: list[Proved]
    anchor: Anchor


_Row = tuple[int, int, str, bytes]


def rows_of(home: Home, home_id: str, name: str) -> tuple[int, list[_Row]]:
    """The number of the ticket that `name`, or a unique start of it, means, and its entries in order.

    Raises UsageError where there is no such ticket, or there are several.
    """
    wanted = name if name.startswith("t-") else f"t-{name}"
    found: dict[int, dict[str, Any]] = {}
    for row in _rows(home):
        if b'"go"' in row[3][:64]:
            entry = msgspec.json.decode(row[3])
            if entry["type"] == "go" and public_name(home_id, "t", entry["ticket"]).startswith(wanted):
                found[entry["ticket"]] = entry
    if len(found) != 1:
        said = "the journal knows no ticket" if not found else "several tickets begin with"
        raise UsageError(f"{said} `{name}`", hint="`agentos audit show` lists tickets as t-…")
    number, go = next(iter(found.items()))
    of_ticket = _Filter(number, go)
    mine = [row for row in _rows(home) if of_ticket.takes(row[3])]
    if any(_type(row[3]) == "completed" for row in mine):
        # What it said of its cost on the way is superseded.
        mine = [row for row in mine if _type(row[3]) != "progress"]
    return number, mine


def _rows(home: Home) -> Iterator[_Row]:
    after = 0
    while page := audit_stored(home.database, after=after, limit=_PAGE):
        yield from page
        after = page[-1][0]


def _type(body: bytes) -> str:
    return str(msgspec.json.decode(body)["type"])


class _Filter:
    """Which entries are of a ticket or its request, or gave a capability that admitted it."""

    def __init__(self, number: int, go: dict[str, Any]) -> None:
        self._number = number
        self._request: int | None = go.get("request")
        self._by = frozenset(go["by"])
        # A spawn is completed by the exit of its child, or of the last that was started in its place.
        self._children = {int(go["child"]["pid"])} if go.get("child") else set()
        names = [("ticket", number), *(("capability", capability) for capability in self._by)]
        names += [] if self._request is None else [("request", self._request)]
        self._words = [f'"{name}":{value}'.encode() for name, value in names]

    def takes(self, body: bytes) -> bool:
        """Whether an entry belongs to it. Asked in the journal's order."""
        words = self._words + [f'"pid":{child}'.encode() for child in self._children]
        if not any(word in body for word in words):
            return False
        entry = msgspec.json.decode(body)
        if entry["type"] in ("exited", "restarted") and entry["pid"] in self._children:
            if entry["type"] == "restarted":
                self._children.add(int(entry["born"]["pid"]))
            return True
        if entry.get("ticket") == self._number:
            return True
        if self._request is not None and entry.get("request") == self._request:
            return True
        return any(capability in self._by for capability, _ in _given(entry))


def _given(entry: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The capabilities that an entry brings into being, each with what it grants."""
    if entry["type"] == "derived":
        yield entry["capability"], entry["grant"]
    for born in (entry.get("child"), entry.get("root"), entry.get("born")):
        for derivation in born["capabilities"] if born else ():
            yield derivation["capability"], derivation["grant"]


def summarise(home_id: str, number: int, entries: Iterable[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """What the entries (number and contents) say of the ticket."""
    go: dict[str, Any] = {}
    capabilities: dict[int, tuple[int, dict[str, Any]]] = {}
    waited_from: int | None = None
    question: dict[str, Any] | None = None
    completed: dict[str, Any] | None = None
    for seq, entry in entries:
        capabilities |= {capability: (seq, grant) for capability, grant in _given(entry)}
        if entry["type"] == "go" and entry["ticket"] == number:
            go = entry
        elif entry["type"] in ("queued", "asked"):
            waited_from = waited_from or entry["at_us"]
            question = entry.get("question") or question
        elif entry["type"] == "restarted":
            completed = None
        elif entry["type"] in ("completed", "exited"):
            completed = entry
    if not go:
        raise ValueError("no entry of it issues the ticket")
    held = [
        {"capability": public_name(home_id, "c", one), "entry": seq, "grant": grant}
        for one, (seq, grant) in sorted(capabilities.items())
        if one in go["by"]
    ]
    waited_us = 0 if waited_from is None else go["at_us"] - waited_from
    return {
        "home": home_id,
        "ticket": public_name(home_id, "t", number),
        "pid": public_name(home_id, "p", go["pid"]),
        "request": {name: go.get(name) for name in ("action", "key", "estimate", "lane", "recovery")},
        "decision": {
            "decision": "go",
            "at_us": go["at_us"],
            "reason": _reason([str(one["capability"]) for one in held], waited_us, go.get("lane"), question),
            "capabilities": held,
        },
        # How a child ended, where the ticket was for one; what that one cost its own tickets say.
        "outcome": completed and completed.get("outcome", completed.get("status")),
        "completed_us": completed and completed["at_us"],
        "cost": completed and completed.get("cost"),
    }


def _reason(
    capabilities: Sequence[str], waited_us: int, lane: str | None, question: dict[str, Any] | None
) -> str:
    admitted = f"admitted by {', '.join(capabilities)}" if capabilities else "no capability was asked for"
    if question is not None:
        admitted += f"; asked a person, who approved: {question['message']}"
    return admitted if lane is None else f"{admitted}; {waited_us} µs until its turn in `{lane}`"


def make(home: Home, number: int, rows: Sequence[_Row], anchor: Anchor) -> Receipt:
    """The receipt of a ticket with these entries, under an anchor that covers them. Walks the journal."""
    paths = audit_tree(home.database, anchor.seq, [row[0] for row in rows])["paths"]
    proved = [
        Proved(
            seq=seq,
            version=version,
            previous=_hash_before(home, seq),
            hash=hash,
            body=body.decode(),
            path=path,
        )
        for (seq, version, hash, body), path in zip(rows, paths, strict=True)
    ]
    contents = [(row[0], msgspec.json.decode(row[3])) for row in rows]
    return Receipt(
        number=number, summary=summarise(anchor.home, number, contents), entries=proved, anchor=anchor
    )


def _hash_before(home: Home, seq: int) -> str:
    return audit_stored(home.database, after=seq - 2, limit=1)[0][2] if seq > 1 else "0" * 64


def check(path: Path) -> tuple[Receipt, dict[str, Any] | None]:
    """A receipt, and the first of its entries that does not hold. Needs no home.

    Raises UsageError where the file is no receipt, or its anchor is forged.
    """
    try:
        receipt = msgspec.json.decode(path.read_bytes(), type=Receipt)
    except OSError as error:
        raise UsageError(f"the receipt cannot be read: {error.strerror}", where=str(path)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "give a file that `agentos audit receipt TICKET -o FILE` wrote"
        raise UsageError(f"this is not a receipt: {error}", where=str(path), hint=hint) from error
    genuine(receipt.anchor, str(path))
    bad = next((found for entry in receipt.entries if (found := _misfit(entry, receipt.anchor))), None)
    return receipt, bad or _untrue(receipt)


def _misfit(entry: Proved, anchor: Anchor) -> dict[str, Any] | None:
    if entry_hash(entry.previous, entry.seq, entry.version, entry.body.encode()) != entry.hash:
        return {"seq": entry.seq, "reason": "its bytes are not those that were hashed: it was changed"}
    if tree_root(entry.hash, entry.seq, anchor.seq, entry.path) != anchor.tree:
        return {"seq": entry.seq, "reason": "it is not among the entries under the anchor"}
    return None


def _untrue(receipt: Receipt) -> dict[str, Any] | None:
    """Where the summary is not what the entries say."""
    reason = "the summary is not what the entries say"
    try:
        contents = [(entry.seq, msgspec.json.decode(entry.body)) for entry in receipt.entries]
        said = summarise(receipt.anchor.home, receipt.number, contents)
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.DecodeError) as error:
        said, reason = {}, f"the entries are not those of a ticket: {error}"
    if said == receipt.summary:
        return None
    return {"seq": receipt.entries[0].seq if receipt.entries else 0, "reason": reason}
