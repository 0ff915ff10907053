"""`agentos audit show`: every entry, with its process by its public name and what there is to say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from agentos.home import Home

_PAGE = 1000
_WIDTH = 160
# Shown in a column of their own, or of no use to a person: `--json` has everything.
_NOT_SHOWN = frozenset(
    {"at_us", "type", "pid", "to", "root", "child", "ticket", "request", "parent", "by", "recovery", "client"}
)


def run(home: Home, arguments: argparse.Namespace) -> int:
    """Shows what was asked for."""
    is_recent = _since(arguments.since)
    wanted = None if arguments.pid is None else _resolve(home, arguments.pid)
    rows = (
        row for row in _rows(home) if is_recent(row) and (wanted is None or wanted in (row["pid"], row["to"]))
    )
    if arguments.json:
        _print_array(rows)
        return 0
    for row in rows:
        print(_line(row))
    return 0


def _since(text: str | None) -> Callable[[dict[str, Any]], bool]:
    """Whether a row is to be shown. Raises UsageError for what is neither a number nor a time."""
    if text is None:
        return lambda row: True
    if text.isascii() and text.isdigit():
        first = int(text)
        return lambda row: bool(row["seq"] >= first)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        from agentos.errors import UsageError

        hint = "say an entry's number, or a time such as 2026-01-31T12:00:00Z"
        raise UsageError(f"`{text}` is neither an entry's number nor a time", hint=hint) from None
    start = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000
    return lambda row: bool(row["entry"]["at_us"] >= start)


def _resolve(home: Home, prefix: str) -> str:
    """The one process whose name begins with `prefix`. Raises UsageError for none or several."""
    full = prefix if prefix.startswith("p-") else f"p-{prefix}"
    found = sorted({row["pid"] for row in _rows(home) if row["pid"] and row["pid"].startswith(full)})
    if len(found) == 1:
        return str(found[0])
    from agentos.errors import UsageError

    if found:
        raise UsageError(f"`{prefix}` begins the names of several processes", hint=", ".join(found[:8]))
    raise UsageError(f"the journal knows no process `{prefix}`", hint="`agentos ps --all` lists them")


def _rows(home: Home) -> Iterator[dict[str, Any]]:
    """Every entry, with its time as text and the process that it concerns by its public name.

    `to` is a second process, the one that was given or started something; None with most.
    """
    from agentos.kernel import public_name

    identity = _identity(home)
    owners = _Owners()

    def name(kind: str, number: int | None) -> str | None:
        return None if number is None else public_name(identity, kind, number)

    for stored in _entries(home):
        entry = stored["entry"]
        pid, to = owners.note(entry)
        yield {
            "seq": stored["seq"],
            "time": _time(entry["at_us"]),
            "type": entry["type"],
            "pid": name("p", pid),
            "to": name("p", to),
            "ticket": name("t", entry.get("ticket")),
            "hash": stored["hash"],
            "entry": entry,
        }


def _identity(home: Home) -> str:
    """The home's random id, from which names are made. It is among the first entries."""
    for stored in _entries(home):
        entry = stored["entry"]
        if (entry["type"], entry.get("kind"), entry.get("id")) == ("put", "home", "id"):
            return str(json.loads(entry["body"])["id"])
    return ""


def _entries(home: Home) -> Iterator[dict[str, Any]]:
    from agentos.kernel import audit_entries

    last = 0
    while page := audit_entries(home.database, after=last, limit=_PAGE):
        yield from page
        last = page[-1]["seq"]


class _Owners:
    """Whose tickets, requests and capabilities are which: most entries name only those."""

    def __init__(self) -> None:
        self._tickets: dict[int, int] = {}
        self._requests: dict[int, int] = {}
        self._capabilities: dict[int, int] = {}

    def note(self, entry: dict[str, Any]) -> tuple[int | None, int | None]:
        """The process that `entry` concerns, and the one it gives something to."""
        kind = entry["type"]
        if kind == "epoch":
            return self._born(entry.get("root")), None
        if kind == "derived":
            self._capabilities[entry["capability"]] = entry["to"]
            return self._capabilities.get(entry["from"]), entry["to"]
        if kind == "revoked":
            return self._capabilities.pop(entry["capability"], None), None
        return self._of_request(kind, entry), self._born(entry.get("child"))

    def _born(self, process: dict[str, Any] | None) -> int | None:
        if process is None:
            return None
        pid = int(process["pid"])
        for derivation in process["capabilities"]:
            self._capabilities[derivation["capability"]] = pid
        return pid

    def _of_request(self, kind: str, entry: dict[str, Any]) -> int | None:
        pid: int | None = entry.get("pid")
        ticket, request = entry.get("ticket"), entry.get("request")
        if kind == "queued" and pid is not None:
            self._requests[entry["request"]] = pid
        elif kind == "go" and pid is not None:
            self._tickets[entry["ticket"]] = pid
        if request is not None and kind != "queued":
            # Granted, refused or withdrawn: it waits no longer.
            waited = self._requests.pop(request, None)
            pid = waited if pid is None else pid
        if pid is None and ticket is not None:
            pid = self._tickets.pop(ticket, None) if kind == "completed" else self._tickets.get(ticket)
        return pid


def _time(at_us: int) -> str:
    """UTC microseconds as ISO 8601."""
    moment = datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{at_us % 1_000_000:06}Z"


def _print_array(rows: Iterator[dict[str, Any]]) -> None:
    """One document, written as it comes: a journal may be larger than memory."""
    opening = "["
    for row in rows:
        print(opening + json.dumps(row), end="")
        opening = ",\n "
    print("[]" if opening == "[" else "]")


def _line(row: dict[str, Any]) -> str:
    """One line for a person: who, what, and what there is to say about it."""
    said = [f"→ {row['to']}"] if row["to"] else []
    said += [row["ticket"]] if row["ticket"] else []
    # A record's body is long: it comes after what names it.
    for key, value in sorted(row["entry"].items(), key=lambda fact: fact[0] == "body"):
        if key not in _NOT_SHOWN and value not in (None, [], {}, ""):
            text = _short(value)
            said += [f"{key}={text}"] if text else []
    columns = f"{row['seq']:>7}  {row['time']}  {row['pid'] or '-':<14}  {row['type']:<10}"
    line = f"{columns}  {' '.join(said)}".rstrip()
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _short(value: Any) -> str:
    """A value on one line: an action by its type and what it acts on, a cost by what of it is not zero."""
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            about = [part for key, part in value.items() if key != "type" and isinstance(part, str)]
            child = value.get("child")
            about += [child["name"]] if isinstance(child, dict) else []
            return _printable(" ".join([value["type"], *about]))
        return ",".join(f"{key}:{part}" for key, part in value.items() if part)
    return _printable(value) if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _printable(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)
