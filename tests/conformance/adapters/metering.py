"""Prices calls, spends budgets of the real kernel, adds up what was spent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import trio

from agentos.errors import BudgetExceeded, UsageError
from agentos.kernel import open_kernel
from agentos.messages import ANY, Cost, Limit, Model, ModelAction
from agentos.models.conversation import Usage
from agentos.models.reference import resolve
from agentos.money import micros, usd
from agentos.runtime.usage import Spending, standings, summed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = "2026-03-02T12:00:00Z"


def run(given: dict[str, Any]) -> dict[str, Any]:
    [(kind, about)] = given.items()
    outcome: dict[str, Any] = {"price": _priced, "budget": _budget, "windows": _windows, "sum": _summed}[
        kind
    ](about)
    return outcome


def _priced(about: dict[str, Any]) -> dict[str, Any]:
    usage = _usage({"input": 1_000_000, "output": 1_000_000, **about})
    try:
        return {"usd": usd(resolve(about["model"], {}).price().cost(usage))}
    except UsageError:
        return {"refused": True}


def _usage(about: dict[str, Any]) -> Usage:
    kinds = ("input", "cache_read", "cache_write", "cache_write_hour", "output", "reasoning")
    return Usage(**{f"{kind}_tokens": about.get(kind, 0) for kind in kinds})


def _budget(about: dict[str, Any]) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        async with open_kernel(None) as kernel:
            await kernel.epoch()
            limit = Limit(usd_micros=micros(about["limit"])) if "limit" in about else Limit()
            agent = await kernel.spawn(kernel.root, "agent", key="a", grants=[Model(model=ANY)], budget=limit)
            admitted = True
            for number, amount in enumerate([*about["spent"], about["next"]]):
                cost = Cost(usd_micros=micros(amount))
                action = ModelAction(model="m", host="127.0.0.1", port=1)
                try:
                    ticket = await kernel.request(agent.pid, action, key=str(number), estimate=cost)
                except BudgetExceeded:
                    admitted = False
                else:
                    await kernel.complete(ticket, "ok", cost)
            [row] = [row for row in kernel.processes() if row.pid == agent.pid]
            return {"admitted": admitted, "spent": usd(row.spent.usd_micros)}

    outcome: dict[str, Any] = trio.run(main)
    return outcome


def _microseconds(moment: str) -> int:
    return (datetime.fromisoformat(moment) - EPOCH) // timedelta(microseconds=1)


def _windows(about: dict[str, Any]) -> dict[str, Any]:
    now_us = _microseconds(about.get("now", NOON))
    spent = [
        Spending(
            at_us=now_us - one["minutes_ago"] * 60_000_000,
            agent="a-1",
            name="agent",
            model="m",
            usd_micros=micros(one["usd"]),
        )
        for one in about["spent"]
    ]
    limits = {window: micros(amount) for window, amount in about.get("limits", {}).items()}
    found = standings(spent, limits, now_us)
    return {
        **{standing.window: usd(standing.spent_micros) for standing in found},
        "states": [standing.state for standing in found],
    }


def _summed(about: dict[str, Any]) -> dict[str, Any]:
    spent = [
        Spending(
            at_us=_microseconds(one.get("at", NOON)),
            agent=one.get("agent", "a-1"),
            name="agent",
            model=one.get("model", "m"),
            calls=one["calls"],
            usd_micros=micros(one["usd"]),
            usage=_usage(one),
        )
        for one in about["spent"]
        for _ in range(one.get("times", 1))
    ]
    rows = summed(spent, about["by"])
    total = Usage()
    for row in rows:
        total = total.plus(row.usage)
    return {
        "rows": [
            {
                "key": row.key,
                "calls": row.calls,
                "input": row.usage.input_tokens,
                "output": row.usage.output_tokens,
                "usd": usd(row.usd_micros),
            }
            for row in rows
        ],
        "calls": sum(row.calls for row in rows),
        "usd": usd(sum(row.usd_micros for row in rows)),
        "input": total.input_tokens,
        "cache_read": total.cache_read_tokens,
        "cache_write": total.cache_write_tokens,
        "reasoning": total.reasoning_tokens,
    }
