"""AgentOS: an agent operating system. Importing it defines names and loads nothing heavy.

    async with agentos.open() as system:
        agent = await system.spawn("reviewer", grants=[agentos.read("src/**")], budget="0.50")
        print((await agent.run("find dead code")).text)

This is for trio; `agentos.blocking` and `agentos.aio` have the same names for programs without an event loop
and for asyncio, `agentos.testing` what their tests need. See docs/embedding.md.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentos import aio, blocking, testing
    from agentos.embedding.agent import Agent
    from agentos.embedding.areas import Audit, Batches, Memory
    from agentos.embedding.events import Events
    from agentos.embedding.functions import pure, recovery
    from agentos.embedding.grants import connect, exec, limited, read, tool, write
    from agentos.embedding.opening import open
    from agentos.embedding.result import Event, Question, Result
    from agentos.embedding.system import System
    from agentos.errors import (
        AgentOSError,
        BudgetExceeded,
        Denied,
        Failed,
        InternalError,
        Interrupted,
        JournalError,
        MissingMechanism,
        NeedsPerson,
        PartlyDone,
        UsageError,
    )
    from agentos.messages import Grant
    from agentos.models.conversation import Usage

__all__ = [
    "Agent",
    "AgentOSError",
    "Audit",
    "Batches",
    "BudgetExceeded",
    "Denied",
    "Event",
    "Events",
    "Failed",
    "Grant",
    "InternalError",
    "Interrupted",
    "JournalError",
    "Memory",
    "MissingMechanism",
    "NeedsPerson",
    "PartlyDone",
    "Question",
    "Result",
    "System",
    "Usage",
    "UsageError",
    "__version__",
    "aio",
    "blocking",
    "connect",
    "exec",
    "limited",
    "open",
    "pure",
    "read",
    "recovery",
    "testing",
    "tool",
    "write",
]

_HOMES = {
    "agentos.embedding.agent": "Agent",
    "agentos.embedding.areas": "Audit Batches Memory",
    "agentos.embedding.events": "Events",
    "agentos.embedding.functions": "pure recovery",
    "agentos.embedding.grants": "connect exec limited read tool write",
    "agentos.embedding.opening": "open",
    "agentos.embedding.result": "Event Question Result",
    "agentos.embedding.system": "System",
    "agentos.errors": "AgentOSError BudgetExceeded Denied Failed InternalError Interrupted JournalError "
    "MissingMechanism NeedsPerson PartlyDone UsageError",
    "agentos.messages": "Grant",
    "agentos.models.conversation": "Usage",
}
"""Where each name lives; its module is loaded when the name is first used."""


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name in ("aio", "blocking", "testing"):
        return import_module(f"agentos.{name}")
    for module, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'agentos' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
