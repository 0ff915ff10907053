"""Long texts in short: `{ before, repeat, times, then }`."""

from __future__ import annotations

from typing import Any


def text(given: str | dict[str, Any]) -> str:
    """The text that is meant."""
    if isinstance(given, str):
        return given
    middle: str = given["repeat"] * given["times"]
    return given.get("before", "") + middle + given.get("then", "")
