"""The exception tree of AgentOS. Rust maps its errors into it in one place (`rust/bindings/src/error.rs`).

AgentOSError
├── UsageError            2   bad input: flags, plan, export, repository
├── Failed                1   the work itself failed
├── PartlyDone            3   some of it landed
├── BudgetExceeded        4   a budget or quota refused
├── NeedsPerson           5   a person must decide and nobody can be asked
├── Denied                6   the kernel refused
├── MissingMechanism      7   confinement level, forge or model is not to be had
├── Interrupted          130  stopped; can be resumed
└── InternalError         1   our bug
    └── JournalError      1   the journal is damaged or cannot be written
"""

from __future__ import annotations

from typing import Any, ClassVar


class AgentOSError(Exception):
    """What happened (`message`), where (`where`: file, line, offset), what to do next (`hint`).

    `code` is the machine's name for it, `exit_code` what a command ends with.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint


class Failed(AgentOSError):
    """The work itself failed."""


class UsageError(AgentOSError):
    """Bad input; nothing was written."""

    code = "usage"
    exit_code = 2


class PartlyDone(AgentOSError):
    """Some of the work landed, or something was dropped that may matter."""

    code = "partly_done"
    exit_code = 3


class BudgetExceeded(AgentOSError):
    """A budget or quota does not admit it."""

    code = "budget"
    exit_code = 4


class NeedsPerson(AgentOSError):
    """A person must decide and there is nobody to ask."""

    code = "needs_person"
    exit_code = 5


class Denied(AgentOSError):
    """The kernel refused. `stage` and `name` say which capability, label, rule or lane decided."""

    code = "denied"
    exit_code = 6

    def __init__(
        self,
        message: str,
        *,
        stage: str = "capability",
        name: str = "",
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.stage = stage
        self.name = name


class MissingMechanism(AgentOSError):
    """This machine or set-up lacks a mechanism (confinement level, forge, model)."""

    code = "missing_mechanism"
    exit_code = 7


class Interrupted(AgentOSError):
    """Stopped before its end; it can be resumed."""

    code = "interrupted"
    exit_code = 130


class InternalError(AgentOSError):
    """Our bug: please report it."""

    code = "internal"


class JournalError(InternalError):
    """The journal is damaged or cannot be written."""

    code = "journal"


def to_dict(error: AgentOSError) -> dict[str, Any]:
    """The error as the JSON of the contract, with what `from_dict` needs to raise it elsewhere."""
    shown: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "where": error.where,
        "hint": error.hint,
    }
    if isinstance(error, Denied):
        shown |= {"stage": error.stage, "name": error.name}
    return shown


def from_dict(shown: dict[str, Any]) -> AgentOSError:
    """The exception that `to_dict` described; an unknown code is an `InternalError`."""
    known: dict[str, type[AgentOSError]] = {kind.code: kind for kind in _descendants(AgentOSError)}
    kind = Failed if shown.get("code") == Failed.code else known.get(shown.get("code", ""), InternalError)
    error = kind(str(shown.get("message", "")), where=shown.get("where"), hint=shown.get("hint"))
    if isinstance(error, Denied):
        error.stage = shown.get("stage", error.stage)
        error.name = shown.get("name", error.name)
    return error


def _descendants(kind: type[AgentOSError]) -> list[type[AgentOSError]]:
    return [found for child in kind.__subclasses__() for found in (child, *_descendants(child))]
