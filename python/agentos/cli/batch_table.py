"""A running batch on the screen: a table that redraws itself on a terminal, else a line an event, or JSON."""

from __future__ import annotations

import json
import shutil
import sys
from types import TracebackType
from typing import Any

from agentos.cli.batch_views import clean, unit_words

_DONE = {"committed", "published", "merged"}
_MARKS = {"queued": "·", "preparing": "→", "running": "▶", "waiting": "…", "verifying": "?", "committed": "✓",
          "published": "✓", "merged": "✓", "failed": "✗", "cancelled": "–"}  # fmt: skip
_ORDER = ("running", "verifying", "preparing", "waiting", "failed", "cancelled", "queued")


class JsonLines:
    """Every event as one line of JSON on stdout; the summary last."""

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: dict[str, Any]) -> None:
        """Prints an event."""
        print(json.dumps(event), flush=True)

    def finish(self, summary: dict[str, Any]) -> None:
        """Prints the summary."""
        print(json.dumps(summary), flush=True)


class Lines:
    """One plain line on stderr for each unit that gets somewhere; the result on stdout."""

    def __init__(self) -> None:
        self.units: dict[str, dict[str, Any]] = {}
        self.started: dict[str, Any] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def show(self, event: dict[str, Any]) -> None:
        """Takes an event in and shows what it changed."""
        kind = event["event"]
        if kind == "started":
            self.started = event
            self.say(f"{event['batch']}: {event['units']} units, confined: {event['level']}")
        elif kind == "status":
            self.units = {unit["id"]: unit for unit in event["status"]["units"]}
            self.draw()
        elif kind == "baseline":
            word = "green" if event["exit_code"] == 0 else f"RED (exit code {event['exit_code']})"
            self.say(f"verification on the untouched base: {word}")
        elif kind == "warning":
            self.say(f"! {event['text']}")
        elif kind == "unit":
            self.units[event["unit"]["id"]] = event["unit"]
            self.moved(event["unit"])

    def moved(self, unit: dict[str, Any]) -> None:
        """A unit changed."""
        if unit["state"] in _DONE or unit["state"] in ("failed", "cancelled"):
            self.say(f"  {_MARKS[unit['state']]} {clean(unit['title'])}  {unit_words(unit)}")

    def draw(self) -> None:
        """Redraws what is redrawn."""

    def clear(self) -> None:
        """Takes away what is redrawn."""

    def say(self, text: str) -> None:
        """A line that stays."""
        print(text, file=sys.stderr, flush=True)

    def finish(self, summary: dict[str, Any]) -> None:
        """The end, with what to do next."""
        self.clear()
        batch = summary["batch"]
        if summary["event"] == "detached":
            print(f"{batch} is running; `agentos batch watch {batch}` shows it")
            return
        for unit in self.units.values():
            if unit["state"] in ("failed", "cancelled"):
                print(f"  ✗ {clean(unit['title'])}  {unit_words(unit)}")
        print(
            f"{batch}: {summary['landed']} of {summary['units']} landed in {summary['seconds']:.1f} s, "
            f"{summary['spent_usd']} USD"
        )
        if summary["state"] in ("stopped", "interrupted"):
            print(f"it is {summary['state']}: `agentos batch resume {batch}` goes on with it")
        elif summary["landed"]:
            if summary["patches"]:
                print(f"patches: {summary['patches']}")
            print(f"next: agentos batch diff --batch {batch} · agentos batch merge --batch {batch}")
        elif summary["units"]:
            print("next: agentos batch logs UNIT · agentos batch retry")


class Table(Lines):
    """The same on a terminal: a block at the bottom, redrawn once an event, that fits the window."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = 0

    def moved(self, unit: dict[str, Any]) -> None:
        """A unit changed: the block shows it."""
        self.draw()

    def say(self, text: str) -> None:
        """A line above the block."""
        self.clear()
        super().say(text)
        self.draw()

    def draw(self) -> None:
        """Draws the block over the last one."""
        size = shutil.get_terminal_size()
        self.clear()
        lines = self._block(size.columns - 1, max(4, size.lines - 2))
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()
        self._drawn = len(lines)

    def clear(self) -> None:
        """Takes the block away."""
        if self._drawn:
            sys.stderr.write(f"\x1b[{self._drawn}F\x1b[J")
            sys.stderr.flush()
            self._drawn = 0

    def _block(self, columns: int, rows: int) -> list[str]:
        if not self.units:
            return []
        done = sum(unit["state"] in _DONE for unit in self.units.values())
        total = len(self.units)
        filled = done * 24 // total
        head = f"[{'█' * filled}{'░' * (24 - filled)}] {done}/{total} landed"
        shown = sorted(
            (unit for unit in self.units.values() if unit["state"] not in _DONE),
            key=lambda unit: _ORDER.index(unit["state"]),
        )
        lines = [
            f"  {_MARKS[unit['state']]} {clean(unit['title'])[:40]:<40} {unit_words(unit)}" for unit in shown
        ]
        if len(lines) > rows - 1:
            lines = [*lines[: rows - 2], f"    … and {len(lines) - rows + 2} more"]
        return [line[:columns] for line in [head, *lines]]


def table_for(as_json: bool) -> JsonLines | Lines:
    """What suits where the output goes."""
    if as_json:
        return JsonLines()
    return Table() if sys.stderr.isatty() and sys.stdout.isatty() else Lines()
