"""What a job, a trigger or a step does, as its document says it."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from agentos.errors import UsageError

NAME_CHARACTERS = 128
TEXT_CHARACTERS = 16_384
LONGEST_SECONDS = 86_400
KINDS = ("program", "task", "batch", "workflow")

_DURATION = re.compile(r"(\d{1,6})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Recovery = Literal["repeatable", "once"]


class Work(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of a program (a line for `sh`), a task for an agent, a batch (its plan file) or a workflow (its
    name), with what each needs. Paths are relative to the document."""

    program: str | None = None
    task: str | None = None
    batch: str | None = None
    workflow: str | None = None
    input: str | None = None
    """What a workflow begins with."""
    folder: str = "."
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    agent: str | None = None
    model: str | None = None
    budget: str | None = None
    level: Literal["strict", "standard", "none"] | None = None
    recovery: Recovery = "once"
    """Whether a program that was cut off may be run again by itself."""
    timeout: str | None = None

    @property
    def kind(self) -> str:
        """Which of the four it is. Raises UsageError where it is none or several."""
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            what = "does nothing" if not given else f"does several things ({', '.join(given)})"
            raise UsageError(f"it {what}", hint="give one of: program, task, batch, workflow")
        return given[0]

    def check(self) -> None:
        """Raises UsageError for what no type can say."""
        kind = self.kind
        text = getattr(self, kind)
        if not text.strip():
            raise UsageError(f"its {kind} is empty")
        if len(text) > TEXT_CHARACTERS:
            raise UsageError(f"its {kind} has {len(text)} characters, more than {TEXT_CHARACTERS}")
        for key, kinds in _BELONGS.items():
            if kind not in kinds and getattr(self, key) != _DEFAULTS[key]:
                raise UsageError(
                    f"`{key}` says nothing about a {kind}", hint=f"it is for: {', '.join(kinds)}"
                )
        if self.timeout is not None:
            bounded("timeout", self.timeout, 1, LONGEST_SECONDS)


_BELONGS = {
    "input": ("workflow",),
    "folder": ("program", "task", "batch"),
    "read": ("program",),
    "write": ("program",),
    "agent": ("task",),
    "model": ("task",),
    "budget": ("task",),
    "level": ("program", "task"),
    "recovery": ("program",),
}
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Work)}


def check_name(name: str) -> str:
    """`name` if it can be one: 1 to 128 letters and digits of any script, spaces, `-` and `_`."""
    if not 1 <= len(name) <= NAME_CHARACTERS or name != name.strip():
        raise UsageError(f"`{name[:40]}` is no name: it has 1 to {NAME_CHARACTERS} characters")
    wrong = next((letter for letter in name if not (letter.isalnum() or letter in " -_")), None)
    if wrong is not None:
        raise UsageError(
            f"`{name[:40]}` is no name: it contains {wrong!r}",
            hint="a name has letters, digits, spaces, `-` and `_`",
        )
    return name


def seconds(text: str) -> int:
    """`90s`, `10m`, `2h` or `1d` in seconds. Raises UsageError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UsageError(f"`{text}` is no duration", hint='write for example "90s", "10m", "2h" or "1d"')
    return int(match[1]) * _SECONDS[match[2]]


def bounded(key: str, text: str, least: int, most: int) -> int:
    """The duration `text` in seconds, from `least` to `most`. Raises UsageError."""
    found = seconds(text)
    if not least <= found <= most:
        raise UsageError(f"`{key}` is {text}, and may be {least} to {most} seconds")
    return found
