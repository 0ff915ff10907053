"""`agentos audit …`: what the journal holds, whether it is what was written, and proofs to keep elsewhere.

All but the signing read the file itself, beside a daemon or without one: nobody vouches for his own log.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos.errors import UsageError
from agentos.home import Home

if TYPE_CHECKING:
    import argparse

    from agentos.audit.anchor import Anchor

_EXAMPLES = """\
examples:
  agentos audit anchor -o /mnt/elsewhere/anchor.json
  agentos audit verify --anchor /mnt/elsewhere/anchor.json
  agentos audit receipt t-4k7 -o receipt.json && agentos audit verify --receipt receipt.json
  agentos audit export -o journal.jsonl && agentos audit verify journal.jsonl
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.epilog = _EXAMPLES
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, line: str) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=line, description=line.capitalize() + ".", allow_abbrev=False)
        verb.add_argument("--json", action="store_true", help="one JSON document on stdout")
        return verb

    show = add("show", "the entries, oldest first")
    show.add_argument(
        "--since", metavar="SEQ|TIME", help="from this entry on, or from this ISO 8601 time (UTC) on"
    )
    show.add_argument("--pid", metavar="P", help="only what concerns this process")
    verify = add("verify", "check every entry, the end, and that anchors still hold")
    verify.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="an export, instead of the journal"
    )
    verify.add_argument("--anchor", action="append", type=Path, default=[], metavar="FILE", help="repeatable")
    verify.add_argument("--receipt", type=Path, metavar="FILE", help="a receipt, instead of the journal")
    verify.add_argument(
        "--key", action="append", type=_key, default=[], metavar="HEX", help="trust this public key alone"
    )
    anchor = add("anchor", "sign the newest entry, to be kept out of reach of whoever writes the home")
    receipt = add("receipt", "what became of one ticket, with its proof")
    receipt.add_argument("ticket", metavar="TICKET", help="a ticket as `audit show` names it, or its start")
    export = add("export", "the entries as JSON Lines that can be checked without the home")
    export.add_argument("--from", dest="first", type=_number, metavar="N", help="the first (default 1)")
    export.add_argument("--to", dest="last", type=_number, metavar="N", help="the last (default the newest)")
    for verb in (anchor, receipt, export):
        verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="a file instead of stdout")


def _key(text: str) -> str:
    import argparse

    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("64 hexadecimal digits, as an anchor's `public_key`")
    return text


def _number(text: str) -> int:
    import argparse

    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 63):
        raise argparse.ArgumentTypeError("an entry's number, from 1")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb; 1 when something does not hold."""
    home = Home.find()
    match arguments.action:
        case "show":
            from agentos.cli import audit_show

            home.check()
            return audit_show.run(home, arguments)
        case "verify" if arguments.receipt is not None:
            return _verify_receipt(arguments)
        case "verify":
            return _verify(home, arguments)
        case "anchor":
            return _anchor(home, arguments)
        case "receipt":
            return _receipt(home, arguments)
        case _:
            return _export(home, arguments)


def _verify(home: Home, arguments: argparse.Namespace) -> int:
    from agentos.audit import chain, export

    # First, so that a forged one is refused whatever the journal is like.
    kept = chain.read_kept(arguments.anchor)
    if arguments.file is None:
        home.check()
        walked = chain.of_home(home)
    else:
        walked = export.read(arguments.file)
    verdict = walked.verdict(kept, frozenset(arguments.key))
    if arguments.json:
        print(json.dumps(verdict))
    else:
        _print_verdict(verdict, walked)
    return 0 if verdict["ok"] else 1


def _print_verdict(verdict: dict[str, Any], walked: Any) -> None:
    bad = verdict["first_bad"]
    entries = walked.last - walked.after
    if bad is None:
        print(f"ok: {entries} entries, head {walked.head}")
    else:
        print(f"damaged from entry {bad['seq']} on: {bad['reason']}")
        if bad["seq"] > walked.last:
            print(f"the {entries} entries before it hold, up to {walked.head}")
    for anchor in verdict.get("anchors", []) if bad is None else []:
        print(
            f"anchor {anchor['file']}: entry {anchor['seq']} of {anchor['time']}, key {anchor['public_key']}"
        )


def _verify_receipt(arguments: argparse.Namespace) -> int:
    from agentos.audit import receipt

    if arguments.file is not None or arguments.anchor:
        hint = "a receipt carries its anchor; --key says which key may have signed it"
        raise UsageError("a receipt is checked alone, without an export or an anchor", hint=hint)
    document, bad = receipt.check(arguments.receipt)
    anchor = document.anchor
    if arguments.key and anchor.public_key not in arguments.key:
        raise UsageError(
            f"this receipt was signed by a key that --key does not name: {anchor.public_key}",
            where=str(arguments.receipt),
        )
    ticket = document.summary.get("ticket")
    if arguments.json:
        shown = {"ok": bad is None, "entries": len(document.entries), "head": anchor.hash, "first_bad": bad}
        print(json.dumps(shown | {"ticket": ticket, "public_key": anchor.public_key}))
    elif bad is None:
        print(f"ok: {ticket}, {len(document.entries)} entries under entry {anchor.seq}, {anchor.hash}")
        print(f"signed {anchor.time} by key {anchor.public_key}")
    else:
        print(f"the receipt does not hold at entry {bad['seq']}: {bad['reason']}")
    return 0 if bad is None else 1


def _anchor(home: Home, arguments: argparse.Namespace) -> int:
    anchor = _sign(home)
    if _written(arguments.output, anchor.to_json()):
        if arguments.json:
            print(anchor.to_json().decode(), end="")
        else:
            print(
                f"entry {anchor.seq} is signed by key {anchor.public_key}; keep {arguments.output} elsewhere"
            )
    return 0


def _sign(home: Home) -> Anchor:
    """Has the home's daemon sign the head."""
    import uuid

    import msgspec

    from agentos.audit.anchor import Anchor
    from agentos.daemon.client import connect

    home.check()
    if not home.database.exists():
        raise UsageError(
            f"there is no journal at {home.database}", hint="it is made by the first command that acts"
        )
    with connect(home) as daemon:
        return msgspec.convert(daemon.call("audit.anchor", {"key": uuid.uuid4().hex}), Anchor)


def _receipt(home: Home, arguments: argparse.Namespace) -> int:
    import msgspec

    from agentos.audit import chain, receipt
    from agentos.audit.anchor import decode

    home.check()
    walked = chain.of_home(home)
    number, rows = receipt.rows_of(home, walked.home or "", arguments.ticket)
    seq, text = walked.recorded[-1] if walked.recorded else (0, "")
    anchor = decode(text, f"entry {seq}") if seq > 0 else None
    if anchor is None or anchor.seq < rows[-1][0]:
        anchor = _sign(home)
        # The daemon may have been started for it, and have settled what the last one left open.
        number, rows = receipt.rows_of(home, walked.home or "", arguments.ticket)
    document = receipt.make(home, number, [row for row in rows if row[0] <= anchor.seq], anchor)
    data = msgspec.json.encode(document) + b"\n"
    if _written(arguments.output, data):
        if arguments.json:
            print(data.decode(), end="")
        else:
            ticket, said = document.summary["ticket"], document.summary["outcome"] or "still open"
            print(f"{ticket}: {said}; {len(document.entries)} entries under entry {anchor.seq}")
    return 0


def _export(home: Home, arguments: argparse.Namespace) -> int:
    from agentos.audit import export, output

    home.check()
    if arguments.output is None:
        export.write(home, sys.stdout.buffer, arguments.first, arguments.last)
        return 0
    with output.whole(arguments.output) as file:
        header = export.write(home, file, arguments.first, arguments.last)
    counts = {"file": str(arguments.output), "from": header.first, "to": header.last, "head": header.head}
    said = f"entries {header.first} to {header.last} written to {arguments.output}, head {header.head}"
    print(json.dumps(counts) if arguments.json else said)
    return 0


def _written(path: Path | None, data: bytes) -> bool:
    """Writes to the file, or where none is named to stdout; whether to a file."""
    from agentos.audit import output

    if path is None:
        sys.stdout.buffer.write(data)
        return False
    with output.whole(path) as file:
        file.write(data)
    return True
