"""How `agentos memory` prints: tables and sentences for people, JSON for scripts, progress on the way.

Whatever stems from an export (titles, words, names of files) may hold anything: people see it made harmless,
scripts get it as it is.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from agentos.printable import printable, printable_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentos.home import Home
    from agentos.memory.importing import Progress
    from agentos.memory.reading import Fact

_REASONS = {
    "malformed": "could not be read",
    "malformed_message": "messages could not be read",
    "malformed_document": "documents could not be read",
    "not_recognised": "were no conversations",
    "invalid_utf8": "held bytes that are no text; those were replaced",
    "too_large": "were over a gigabyte each",
}


# Shown below the rest, not as a line of their own; `type` says what `kind` says.
_APART = frozenset({"messages", "text", "attached", "provenance", "kind"})


class ProgressLine:
    """Progress of an import: one line that is rewritten on a terminal, JSON Lines with `--json`."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._terminal = sys.stderr.isatty()
        self._last = 0.0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and self._last:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def update(self, progress: Progress) -> None:
        """Shows `progress`, a few times a second at most."""
        now = time.monotonic()
        if now - self._last < 0.2:
            return
        self._last = now
        left = progress.seconds_left
        if self._as_json:
            event = {
                "event": "progress",
                "bytes": progress.bytes,
                "total": progress.total,
                "conversations": progress.conversations,
                "messages": progress.messages,
                "bytes_per_second": round(progress.rate),
                "seconds_left": None if left is None else round(left, 1),
            }
            print(json.dumps(event), flush=True)
        if self._terminal:
            share = f"{100 * progress.bytes // progress.total:3d} %" if progress.total else "opening"
            rest = "" if left is None else f", {_duration(left)} left"
            line = f"{share}  {size(progress.bytes)} at {size(round(progress.rate))}/s{rest}"
            print(
                f"\r\x1b[K{line}  {progress.conversations} conversations",
                end="",
                file=sys.stderr,
                flush=True,
            )


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def end_of_import(summary: dict[str, Any], lacks: Sequence[str], home: Home) -> None:
    """Tells what an import found, what is missing, where it is, and how to go on."""
    conversations, messages = summary["conversations"], summary["messages"]
    account = f" ({printable_line(summary['account'])})" if summary["account"] else ""
    seen = _plural(conversations["seen"], "conversation")
    print(f"{_name(summary['source'])}{account}: {seen}{_dates(summary)}")
    if summary["written"]:
        print(
            f"  new {conversations['new']:,}, updated {conversations['updated']:,}, "
            f"unchanged {conversations['unchanged']:,}"
        )
        forks = f", {_plural(summary['branches'], 'further branch').replace('branchs', 'branches')} kept"
        print(f"  {_plural(messages['new'], 'new message')}{forks if summary['branches'] else ''}")
        print(f"  {_plural(summary['facts']['new'], 'new fact')} about you{_waiting(summary)}")
        if summary["files"]:
            print(f"  {_plural(summary['files'], 'file')} kept")
    else:
        print("  everything in it is here already: nothing was written")
    for dropped in summary["dropped"]:
        _dropped(dropped)
    unit = f" as import {summary['import']}" if summary["import"] else ""
    print(f"\nKept in {home.archive}{unit}. It is not encrypted yet; only your user can read it.")
    for sentence in lacks:
        print(f"Not in this export: {sentence}")
    print("\nNext:")
    for command in summary["next"]:
        print(f"  {command}")


def _name(source: str) -> str:
    known = {
        "chatgpt": "ChatGPT",
        "claude": "Claude",
        "account": "An account without conversations",
        "paste": "Pasted memories",
    }
    return " and ".join(known.get(part, part) for part in source.split("+"))


def _dates(summary: dict[str, Any]) -> str:
    return f", {summary['first'][:10]} to {summary['last'][:10]}" if summary["first"] else ""


def _waiting(summary: dict[str, Any]) -> str:
    held = summary["facts"]["quarantined"]
    return f", {held} of them held back because they read like planted orders" if held else ""


def _dropped(dropped: dict[str, Any]) -> None:
    places = printable_line(", ".join(dropped["where"][:3])) + (" …" if dropped["count"] > 3 else "")
    detail = f": {printable_line(dropped['detail'])}" if dropped["detail"] else ""
    reason = _REASONS.get(dropped["reason"], dropped["reason"])
    print(f"agentos: left out: {dropped['count']} {reason}, at {places}{detail}", file=sys.stderr)


def hits(found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Prints search results, best first."""
    if as_json:
        print(json.dumps(found))
        return
    for hit in found:
        day = hit["time"][:10] if hit["time"] else "no date"
        who = "about you" if hit["kind"] == "fact" else hit["role"]
        title = f": {printable_line(hit['title'])}" if hit["title"] else ""
        print(f"{hit['id']}  {day}  {hit['provider']}, {who}{title}")
        for line in printable(hit["text"].strip()).splitlines()[:6]:
            print(f"    {line}")
    if not found:
        print("nothing found", file=sys.stderr)


def facts(known: Sequence[Fact], *, everything: bool, as_json: bool) -> None:
    """Prints facts, oldest first; superseded ones on demand."""
    if as_json:
        import msgspec

        print(msgspec.json.encode(known).decode())
        return
    shown = [fact for fact in known if everything or fact.status != "superseded"]
    for fact in shown:
        day = fact.valid_from[:10] if fact.valid_from else "          "
        mark = "" if fact.status == "active" else f"  ({fact.status})"
        mark += "  (secret: never exported)" if fact.sensitivity == "secret" else ""
        print(f"{fact.id}  {day}  {fact.type:<12}  {printable_line(fact.text.strip())}{mark}")
    if not shown:
        print("no facts yet; `agentos memory import FILE` brings them", file=sys.stderr)


def imports(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Prints imports, oldest first."""
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        names = printable_line(", ".join(row["inputs"]))
        note = "" if row["state"] == "done" else "  (interrupted: run the same import again to finish it)"
        count = _plural(row["conversations"], "conversation")
        started = row["started"][:16].replace("T", " ")
        print(f"{row['import']}  {started}  {row['source'] or '-'}  {count}  {names}{note}")
    if not rows:
        print("nothing was imported yet", file=sys.stderr)


def stats(numbers: dict[str, Any], home: Home, *, as_json: bool) -> None:
    """Prints the numbers of the archive."""
    if as_json:
        print(json.dumps(numbers))
        return
    for name, part in numbers["providers"].items():
        span = f", {part['first'][:10]} to {part['last'][:10]}" if part["first"] else ""
        print(f"{_name(name)}: {part['conversations']:,} conversations, {part['messages']:,} messages{span}")
    facts = ", ".join(f"{count:,} {status}" for status, count in numbers["facts"].items()) or "none"
    print(f"facts: {facts}")
    print(
        f"{numbers['imports']} imports, {numbers['files']} files, {size(numbers['bytes'])} in {home.archive}"
    )


def record(value: dict[str, Any], *, as_json: bool) -> None:
    """Prints a fact, a message, or a conversation with its active branch."""
    if as_json:
        print(json.dumps(value))
        return
    for key, part in value.items():
        if key not in _APART and part not in (None, ""):
            print(f"{key:<12} {printable_line(str(part))}")
    if "messages" not in value:
        print(f"\n{printable(value['text'])}")
    for aside in value.get("attached", []):
        print(f"\nwith it ({aside['trust']}):\n{printable(aside['text'])}")
    for message in value.get("messages", []):
        if message and message["active"] and not message["hidden"] and message["text"]:
            print(
                f"\n{message['role']}  {message['time'] or ''}  {message['id']}\n{printable(message['text'])}"
            )
    for source in value["provenance"]:
        place = (
            ""
            if source["span"] is None
            else ", {} characters {} to {}".format(source["message"], *source["span"])
        )
        print(f"\nfrom {printable_line(source['file'] or '?')}{place}")
