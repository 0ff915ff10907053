"""What an agent is: instructions, model, tools and bounds, as a run gives them; and its durable record."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from agentos.errors import UsageError
from agentos.messages import AnyScope, Host, Mailbox, Memory, Model, Path, Spawn
from agentos.models.conversation import Usage
from agentos.models.reference import ModelReference
from agentos.runtime.agent_file import ToolName
from agentos.tools.names import unquote
from agentos.tools.tool import action_path

INSTRUCTIONS = """\
You are a careful engineer working in a folder, your workspace. Do the task that you are given with your \
tools, then say in a few sentences what you did. Paths are relative to the workspace. Look before you change \
something, make the smallest change that does the task, and check your work where you can. Commands run \
confined: there is no network and nothing outside the workspace. A refusal is final: do not try to get \
around it, say what you could not do."""

Level = Literal["strict", "standard", "none"]
State = Literal["running", "done", "failed", "cancelled", "interrupted"]

Stop = Literal[
    "end_turn", "budget", "turns", "refusal", "loop", "model", "cancelled", "killed", "interrupted", "error"
]


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent as a run gives it. Money in micro-dollars; `read` and `write` are absolute paths granted
    beside the workspace, `scopes` what else it holds (no paths)."""

    name: str
    model: ModelReference
    system: str = INSTRUCTIONS
    tools: tuple[ToolName, ...] = tuple(get_args(ToolName))
    budget_micros: Annotated[int, Meta(ge=0)] = 1_000_000
    budget_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_turns: Annotated[int, Meta(ge=1)] = 50
    max_tokens: Annotated[int, Meta(ge=256)] = 8_192
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    scopes: tuple[AnyScope, ...] = ()


def granted(spec: Spec) -> tuple[Path, ...]:
    """The paths that an agent has beside its workspace. A repository's own data is only to be read."""
    repositories = (f"{path}/.git" for path in spec.write if os.path.lexists(f"{path}/.git"))
    return (
        *(Path(path=action_path(path), rights="read") for path in (*spec.read, *repositories)),
        *(Path(path=action_path(path), rights="read_write") for path in spec.write),
    )


def check_scopes(scopes: tuple[AnyScope, ...]) -> None:
    """Raises UsageError for a scope that a run is granted otherwise, or not at all."""
    for scope in scopes:
        if not isinstance(scope, Host | Mailbox | Memory | Model | Spawn):
            raise UsageError(f"a run is not granted a scope of this kind: {type(scope).__name__.lower()}")


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An agent's durable record, one entry of kind `agent` in the kernel; what is long lies in blobs.

    `pids` are its kernel processes, one for each time it was started; `head` the newest entry of its
    transcript; `spec` the blob of its `Spec`. `settled_micros` is what its earlier processes spent; `usage`
    the tokens of all replies that it got.
    """

    id: str
    spec: str
    name: str
    model: str
    url: str
    workspace: str
    level: Level
    task: str
    created: str
    pids: list[int] = []
    state: State = "running"
    stop: Stop | None = None
    turns: int = 0
    head: str | None = None
    settled_micros: int = 0
    spent_micros: int = 0
    usage: Usage = Usage()
    before: str | None = None
    after: str | None = None
    files_changed: int = 0
    ended: str | None = None
    undone: str | None = None
    error: dict[str, Any] | None = None

    @property
    def root(self) -> str:
        """The workspace's path for the functions of `os`; `workspace` is quoted, for JSON knows only text."""
        return unquote(self.workspace)


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended, and the error to report where it failed."""

    state: State
    stop: Stop
    error: dict[str, Any] | None = None
