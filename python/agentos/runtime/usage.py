"""What agents spent, and when: from the versions of their records in the journal, which has the time of each.

Times are the journal's UTC microseconds and money is micro-dollars: everything here is compared as integers.
It tells, and refuses nothing: budgets are the kernel's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from agentos.kernel import audit_entries
from agentos.models.conversation import Usage

PAGE = 1_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
WINDOWS = {"hour": HOUR_US, "day": DAY_US, "month": 30 * DAY_US}
"""Sliding: the last hour is the last sixty minutes, wherever the clock's hour began."""
ALERT_PERCENT = 80
EPOCH = date(1970, 1, 1).toordinal()


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What one agent spent between two versions of its record."""

    at_us: int
    agent: str
    name: str
    model: str
    calls: int = 0
    usd_micros: int = 0
    usage: Usage = Usage()

    @property
    def day(self) -> str:
        """The UTC day, as ISO 8601."""
        return date.fromordinal(EPOCH + self.at_us // DAY_US).isoformat()


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent under one key: an agent, a model or a day. `calls` are replies that were got."""

    key: str
    calls: int = 0
    usd_micros: int = 0
    usage: Usage = Usage()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a window's limit is spent; no limit is None."""

    window: str
    spent_micros: int
    limit_micros: int | None
    state: Literal["ok", "alert", "exceeded"]


class _Record(msgspec.Struct, frozen=True):
    """Of an agent's record what counts here."""

    id: str
    name: str
    model: str
    turns: int = 0
    spent_micros: int = 0
    usage: Usage = Usage()


KEYS: dict[str, Callable[[Spending], str]] = {
    "agent": lambda spending: f"{spending.agent} {spending.name}",
    "model": lambda spending: spending.model,
    "day": lambda spending: spending.day,
}


def spendings(database: Path) -> Iterator[Spending]:
    """Everything that was spent, oldest first."""
    before: dict[str, _Record] = {}
    last = 0
    while page := audit_entries(database, after=last, limit=PAGE):
        last = page[-1]["seq"]
        for stored in page:
            entry = stored["entry"]
            if (entry["type"], entry.get("kind")) != ("put", "agent"):
                continue
            record = msgspec.json.decode(entry["body"], type=_Record)
            spending = _since(before.get(record.id), record, entry["at_us"])
            before[record.id] = record
            if spending is not None:
                yield spending


def _since(before: _Record | None, record: _Record, at_us: int) -> Spending | None:
    old = before or _Record(record.id, record.name, record.model)
    usage = record.usage.minus(old.usage)
    calls = record.turns - old.turns
    usd_micros = record.spent_micros - old.spent_micros
    if not (calls or usd_micros or usage != Usage()):
        return None
    return Spending(
        at_us=at_us,
        agent=record.id,
        name=record.name,
        model=record.model,
        calls=calls,
        usd_micros=usd_micros,
        usage=usage,
    )


def summed(found: Iterable[Spending], by: str) -> list[Sum]:
    """Sums by `agent`, `model` or `day`; the dearest first, days in order."""
    sums: dict[str, Sum] = {}
    for spending in found:
        key = KEYS[by](spending)
        old = sums.get(key, Sum(key=key))
        sums[key] = Sum(
            key=key,
            calls=old.calls + spending.calls,
            usd_micros=old.usd_micros + spending.usd_micros,
            usage=old.usage.plus(spending.usage),
        )
    if by == "day":
        return sorted(sums.values(), key=lambda row: row.key)
    return sorted(sums.values(), key=lambda row: (-row.usd_micros, row.key))


def standings(found: Iterable[Spending], limits: dict[str, int], now_us: int) -> list[Standing]:
    """How each window stands at `now_us`, by its limit in micro-dollars; 0 is no limit."""
    spent = dict.fromkeys(WINDOWS, 0)
    for spending in found:
        for window, length in WINDOWS.items():
            if now_us - length < spending.at_us <= now_us:
                spent[window] += spending.usd_micros
    return [_standing(window, spent[window], limits.get(window, 0)) for window in WINDOWS]


def _standing(window: str, spent: int, limit: int) -> Standing:
    state: Literal["ok", "alert", "exceeded"] = "ok"
    if limit and spent >= limit:
        state = "exceeded"
    elif limit and spent * 100 >= limit * ALERT_PERCENT:
        state = "alert"
    return Standing(window=window, spent_micros=spent, limit_micros=limit or None, state=state)
