"""Changes to the archive are effects that the client performs: each under a ticket of the kernel."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from agentos.errors import AgentOSError, Failed

if TYPE_CHECKING:
    from agentos.runtime.system import Acting, Session, System


class Caller(Protocol):
    """A connection to the home's daemon."""

    def call(self, verb: str, params: dict[str, Any] | None = None) -> Any:
        """Calls a verb that acts."""


async def _open(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    from agentos.messages import RememberAction

    ticket = await system.kernel.request(
        session.pid,
        RememberAction(space="archive"),
        key=str(params["key"]),
        recovery="repeatable",
        client=True,
    )
    return {"ticket": ticket.id}


async def _complete(system: System, _: Session, params: dict[str, Any]) -> None:
    await system.kernel.complete(int(params["ticket"]), params["outcome"])


ACTING: dict[str, Acting] = {"memory.open": _open, "memory.complete": _complete}


@contextmanager
def ticket(daemon: Caller) -> Iterator[None]:
    """Holds a ticket to change the archive while the block runs, and reports how it ended.

    The change is repeatable: where the daemon dies meanwhile, its successor settles the ticket, and what the
    block did stands.
    """
    number = daemon.call("memory.open", {"key": uuid.uuid4().hex})["ticket"]
    outcome = "error"
    try:
        yield
        outcome = "ok"
    except (KeyboardInterrupt, AgentOSError) as error:
        stopped = isinstance(error, KeyboardInterrupt) or error.exit_code == 130
        outcome = "cancelled" if stopped else "error"
        raise
    finally:
        # Where the daemon went away, its successor settles what it left open.
        with suppress(Failed):
            daemon.call("memory.complete", {"ticket": number, "outcome": outcome})
