"""How a run looks: JSON Lines for programs; for people the model's words, a line for each tool call, and at
the end what came of it.

The result is the model's last answer, alone on stdout. On a terminal all its words go there as they come.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]

_LONGEST = 100


def printer(*, as_json: bool, replay: bool = False) -> Callable[[Event], None]:
    """What is called with each event. `replay`: a transcript is shown, all of it on stdout."""
    return _print_json if as_json else _People(replay=replay).show


def _print_json(event: Event) -> None:
    print(json.dumps(event), flush=True)


def exit_code(summary: Event) -> int:
    """The contract's exit code for how a run ended."""
    if summary["state"] == "done":
        return 0
    if summary["stop"] in ("budget", "turns"):
        return 4
    if summary["state"] == "interrupted":
        return 130
    if summary.get("error"):
        from agentos.errors import from_dict

        return from_dict(summary["error"]).exit_code
    return 1


class _People:
    """Prints events for a person."""

    def __init__(self, *, replay: bool) -> None:
        self._replay = replay
        self._streaming = replay or sys.stdout.isatty()
        self._open = False
        """Whether a line of the model's words has no end yet."""

    def show(self, event: Event) -> None:
        kind = event["event"]
        shower = getattr(self, f"_{kind}", None)
        if shower is None:
            return
        if kind != "text" and self._open:
            print(flush=True)
            self._open = False
        shower(event)

    def _say(self, line: str) -> None:
        print(line, file=sys.stdout if self._replay else sys.stderr, flush=True)

    def _started(self, event: Event) -> None:
        self._say(
            f"{event['pid']}: {event['model']} in {event['workspace']}, "
            f"commands confined at level {event['level']}, budget {event['budget_usd']} USD"
        )
        if event["price"] == "no price is known":
            self._say("no price is known for this model: its calls count as free")

    def _message(self, event: Event) -> None:
        self._say(f"> {event['text']}")

    def _text(self, event: Event) -> None:
        if self._streaming and event["text"]:
            print(event["text"], end="", flush=True)
            self._open = not event["text"].endswith("\n")

    def _tool_call(self, event: Event) -> None:
        self._say(f"• {event['name']} {_short(event['input'])}")

    def _tool_result(self, event: Event) -> None:
        if event["error"] or self._replay:
            lines = event["text"].strip().splitlines() or [""]
            more = f" (+{len(lines) - 1} lines)" if len(lines) > 1 else ""
            mark = "✗" if event["error"] else "→"
            self._say(f"  {mark} {lines[0][:_LONGEST]}{more}")

    def _retry(self, event: Event) -> None:
        self._say(f"… {event['reason']}; trying again in {event['seconds']:g} s")

    def _asked(self, event: Event) -> None:
        self._say(f"? {event['why']} ({event['rule']})")
        self._say(f"  it waits for: agentos approve {event['id']}  |  agentos deny {event['id']}")

    def _pause(self, event: Event) -> None:
        self._say(f"… looking again in {event['seconds']} s")

    def _repaired(self, event: Event) -> None:
        mended = ", ".join(f"{count} {what}" for what, count in event.items() if what != "event")
        self._say(f"! the conversation was mended before it was sent: {mended}")

    def _warning(self, event: Event) -> None:
        self._say(f"! {event['text']}")

    def _detached(self, event: Event) -> None:
        print(event["pid"], flush=True)
        self._say(f"left running; see: agentos logs -f {event['pid']}")

    def _summary(self, event: Event) -> None:
        if not self._streaming and event["text"]:
            print(event["text"], flush=True)
        files = event["files_changed"]
        turns = event["turns"]
        line = (
            f"{event['state']} ({event['stop']}): {files} file{'' if files == 1 else 's'} changed, "
            f"{turns} turn{'' if turns == 1 else 's'}, {event['spent_usd']} USD"
        )
        self._say(f"{line}; undo with: agentos undo {event['pid']}" if files else line)


def _short(arguments: dict[str, Any]) -> str:
    text = " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
