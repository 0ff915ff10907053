"""What a run came to, and what a person is asked on the way."""

from __future__ import annotations

from typing import Any

import msgspec

from agentos.messages import AnyAction
from agentos.models.conversation import Usage
from agentos.runtime.agent import Stop

Event = dict[str, Any]
"""What an agent does, as `agentos run --json` prints it: `started`, `message`, `text`, `thinking`,
`tool_call`, `tool_result`, `turn`, `asked`, `retry`, `warning`, …, and `summary` at the end."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's task came to.

    `text` is its last answer and `output` that answer as the type that `spawn(output=…)` named. `stop` is
    `end_turn`, or `cancelled` and `killed` for a task that was ended from outside. `usage` (tokens) and
    `spent_usd` (a decimal) are those of this task alone; `files` are the changed ones, relative to the
    workspace, the first 200 of `files_changed`.
    """

    text: str
    output: Any
    stop: Stop
    usage: Usage
    spent_usd: str
    turns: int
    files: list[str]
    files_changed: int
    pid: str
    """The agent's process, for `agentos show`, `logs` and `undo`."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request of an agent's that a person must decide.

    `rule` is what asks (a rule's name, or `rule_of_two`), `why` its reason in words. `digest` is the SHA-256
    of the exact arguments: a yes is for those alone. Unanswered until `deadline` (UTC, ISO 8601), it is a no.
    """

    id: str
    pid: str
    name: str
    """The agent's."""
    action: AnyAction
    digest: str | None
    stage: str
    rule: str
    why: str
    deadline: str | None
