"""`agentos models usage`: what agents spent, read from the journal itself, beside a daemon or without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentos.home import Home

if TYPE_CHECKING:
    from agentos.models.conversation import Usage


def show(by: str, *, as_json: bool) -> int:
    """Shows the sums by agent, model or day, and the windows."""
    import time

    import msgspec

    from agentos import settings
    from agentos.money import micros, usd
    from agentos.runtime.usage import WINDOWS, spendings, standings, summed

    home = Home.find()
    home.check()
    found = list(spendings(home.database)) if home.database.exists() else []
    limits = {window: micros(settings.value(f"usage.{window}_usd", home)) for window in WINDOWS}
    windows = [
        {
            "window": standing.window,
            "spent_usd": usd(standing.spent_micros),
            "limit_usd": None if standing.limit_micros is None else usd(standing.limit_micros),
            "state": standing.state,
        }
        for standing in standings(found, limits, time.time_ns() // 1_000)
    ]
    rows = [
        {by: row.key, "calls": row.calls, "spent_usd": usd(row.usd_micros), **_tokens(row.usage)}
        for row in summed(found, by)
    ]
    if as_json:
        print(msgspec.json.encode({"by": by, "rows": rows, "windows": windows}).decode())
    else:
        print("\n".join(_table(by, rows, windows)))
    return 0


def _tokens(usage: Usage) -> dict[str, int]:
    return {name: getattr(usage, name) for name in usage.__struct_fields__}


def _table(by: str, rows: list[dict[str, Any]], windows: list[dict[str, Any]]) -> list[str]:
    heads = {
        by: by,
        "calls": "calls",
        "input_tokens": "input",
        "cache_read_tokens": "cached",
        "cache_write_tokens": "written",
        "output_tokens": "output",
        "reasoning_tokens": "reasoning",
        "spent_usd": "USD",
    }
    cells = [list(heads.values()), *([str(row[name]) for name in heads] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    lines.append("")
    for window in windows:
        limit = f" of {window['limit_usd']}" if window["limit_usd"] else ""
        state = "" if window["state"] == "ok" else f"  ({window['state']})"
        lines.append(f"last {window['window']}: {window['spent_usd']}{limit} USD{state}")
    return lines
