"""Which module answers a verb. Modules are imported when a verb of theirs is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentos.errors import InternalError

if TYPE_CHECKING:
    from agentos.runtime.system import Acting, Reading

_PROVIDERS = {
    "agent": "agentos.runtime.agent_verbs",
    "audit": "agentos.audit.verbs",
    "batch": "agentos.batch.verbs",
    "cron": "agentos.automation.verbs",
    "exec": "agentos.runtime.exec_verbs",
    "function": "agentos.runtime.performer",
    "memory": "agentos.memory.verbs",
    "models": "agentos.runtime.model_check",
    "policy": "agentos.daemon.gate_verbs",
    "process": "agentos.daemon.process_verbs",
    "question": "agentos.daemon.gate_verbs",
    "session": "agentos.daemon.session_verbs",
    "trigger": "agentos.automation.verbs",
    "workflow": "agentos.automation.workflow_verbs",
}
_DEFAULT = "agentos.runtime.verbs"

RECOVERING = ("agentos.batch.verbs", "agentos.runtime.verbs", "agentos.automation.verbs")
"""Modules whose `recover(system)` a new daemon awaits before it listens."""

STARTING = frozenset(
    {
        *("run", "run.resume", "agent.run", "batch.run", "batch.resume", "batch.retry", "exec.open"),
        *("cron.run", "cron.serve", "trigger.run", "workflow.run", "workflow.resume"),
    }
)
"""Verbs that start work: only under the policy as it stands, and not at all under one that is wrong."""


def _provider(verb: str) -> Any:
    return import_module(_PROVIDERS.get(verb.split(".")[0], _DEFAULT))


def reading(verb: str) -> Reading | None:
    """The function of a reading verb, or None where the verb acts."""
    found: Reading | None = getattr(_provider(verb), "READING", {}).get(verb)
    return found


def acting(verb: str) -> Acting:
    """The function of an acting verb."""
    found: Acting | None = getattr(_provider(verb), "ACTING", {}).get(verb)
    if found is None:
        raise InternalError(f"the daemon knows no verb `{verb}`")
    return found
