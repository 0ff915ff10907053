"""A chain of entries that was walked, from a home's journal or an export, held against anchors.

A chain alone shows what was changed without care. Who can write it can also make it anew from any entry on;
an anchor of a later entry then names a hash that the chain no longer has. The journal records its anchors
itself, so without an outside one a rewrite must also leave those out, or have the key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentos.audit.anchor import Anchor, decode
from agentos.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from agentos.home import Home


@dataclass(frozen=True)
class Kept:
    """An anchor that somebody kept elsewhere, with where it was read from."""

    source: str
    anchor: Anchor


@dataclass(frozen=True)
class Chain:
    """What a walk found: entries `after + 1` to `last` hold among themselves."""

    where: str
    home: str | None
    """The home's id as the chain says; None where the walk did not get that far."""
    after: int
    last: int
    head: str
    first_bad: dict[str, Any] | None
    recorded: Sequence[tuple[int, str]]
    """Anchors that entries record: the entry's number, and the anchor's JSON."""
    hash_at: Callable[[int], str]
    """The hash of an entry from `after` to `last`."""
    key: Callable[[], str | None] = lambda: None
    """The public key that lies beside the journal, where there is one. Raises UsageError."""

    def verdict(self, kept: Sequence[Kept], keys: frozenset[str]) -> dict[str, Any]:
        """The JSON of the contract, with `anchors` where some were given. What `keys` mean: see `_admit`.

        Raises UsageError for an anchor that says nothing about this chain: foreign, or of a key not to be
        trusted.
        """
        recorded, bad = self._recorded(keys)
        anchors = [self._admit(one, keys, recorded) for one in kept]
        found = [bad, self._compared([*recorded, *anchors]), self.first_bad]
        first_bad = min(
            (one for one in found if one is not None), key=lambda one: int(one["seq"]), default=None
        )
        verdict: dict[str, Any] = {
            "ok": first_bad is None,
            "entries": self.last - self.after,
            "head": self.head,
            "first_bad": first_bad,
        }
        if kept:
            verdict["anchors"] = [
                {"file": one.source}
                | {name: getattr(one.anchor, name) for name in ("seq", "time", "public_key")}
                for one in kept
            ]
        return verdict

    def _recorded(self, keys: frozenset[str]) -> tuple[list[Kept], dict[str, Any] | None]:
        """The anchors in the chain itself, up to the first that is not genuine."""
        held: list[Kept] = []
        for seq, text in self.recorded:
            source = f"the anchor in entry {seq}"
            try:
                anchor = decode(text, source)
            except UsageError as error:
                return held, {"seq": seq, "reason": f"the anchor that it records is false: {error.message}"}
            if not 0 < anchor.seq < seq or anchor.home != self.home:
                return held, {"seq": seq, "reason": "the anchor that it records is not of this journal"}
            if anchor.seq >= self.after and (not keys or anchor.public_key in keys):
                held.append(Kept(source, anchor))
        return held, None

    def _admit(self, one: Kept, keys: frozenset[str], recorded: Sequence[Kept]) -> Kept:
        """Trusted are `keys`, else the home's key and those of recorded anchors; where there are none of
        these either, whatever the person kept."""
        anchor = one.anchor
        own = None if keys else self.key()
        trusted = keys or {entry.anchor.public_key for entry in recorded} | ({own} if own else set())
        if trusted and anchor.public_key not in trusted:
            why = "that --key does not name" if keys else "that is not this home's"
            raise UsageError(
                f"this anchor was signed by a key {why}: {anchor.public_key}",
                where=one.source,
                hint="it is forged or of another home; or, if you kept it from here, the home's key and "
                "journal were replaced: say which key you trust with --key",
            )
        # Where the key says that it is of this home, it is the journal that is not.
        if self.home not in (None, anchor.home) and anchor.public_key not in keys | {own}:
            raise UsageError(
                f"this anchor is of another home ({anchor.home})",
                where=one.source,
                hint=f"this journal is of home {self.home}",
            )
        if anchor.seq < self.after:
            raise UsageError(
                f"this anchor is of entry {anchor.seq}, and {self.where} begins after entry {self.after}",
                where=one.source,
                hint="give an anchor of one of its entries, or of a later one",
            )
        return one

    def _compared(self, anchors: Sequence[Kept]) -> dict[str, Any] | None:
        """The first entry that the anchors show to be missing or another."""
        held = self.after
        for one in sorted(anchors, key=lambda one: one.anchor.seq):
            anchor = one.anchor
            if self.home not in (None, anchor.home):
                return {"seq": 1, "reason": f"it is of home {self.home}, and {one.source} of {anchor.home}"}
            if anchor.seq > self.last:
                return self._missing(one)
            if self.hash_at(anchor.seq) != anchor.hash:
                return {
                    "seq": anchor.seq,
                    "reason": f"it is not the entry that {one.source} saw on {anchor.time}: an entry from "
                    f"{held + 1} to {anchor.seq} was changed, and the chain made anew from there",
                }
            held = anchor.seq
        return None

    def _missing(self, one: Kept) -> dict[str, Any] | None:
        if self.first_bad is not None:
            return None
        first, last = self.last + 1, one.anchor.seq
        what = "it is missing" if first == last else f"entries {first} to {last} are missing"
        return {
            "seq": first,
            "reason": f"{what}: {one.source} saw them on {one.anchor.time}; the end was cut off, or an "
            "older copy put in this one's place",
        }


def of_home(home: Home) -> Chain:
    """Walks a home's journal, beside a daemon or without one. Raises where there is no journal to walk."""
    import json

    from agentos.audit.signing import public_key
    from agentos.kernel import audit_stored, audit_verify

    verdict = audit_verify(home.database, kinds=("home", "anchor"))
    records = verdict["records"]
    ids = [json.loads(row["body"])["id"] for row in records if (row["kind"], row["id"]) == ("home", "id")]
    return Chain(
        where="the journal",
        home=ids[0] if ids else None,
        after=0,
        last=verdict["entries"],
        head=verdict["head"],
        first_bad=verdict["first_bad"],
        recorded=[(row["seq"], row["body"]) for row in records if row["kind"] == "anchor"],
        hash_at=lambda seq: audit_stored(home.database, after=seq - 1, limit=1)[0][2],
        key=lambda: public_key(home),
    )


def read_kept(paths: Sequence[Path]) -> list[Kept]:
    """The anchors in files. Raises UsageError for one that is none, or forged."""
    from agentos.audit.anchor import read

    return [Kept(str(path), read(path)) for path in paths]
