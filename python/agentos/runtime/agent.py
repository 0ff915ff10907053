"""What an agent is: instructions, model, tools and bounds, as a run gives them; and its durable record."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from agentos.errors import UsageError
from agentos.messages import (
    AnyScope,
    Exec,
    Grant,
    Host,
    Mailbox,
    Memory,
    Model,
    Path,
    Recovery,
    Spawn,
    Tool,
    exactly,
)
from agentos.models.conversation import ToolSpec, Usage
from agentos.models.reference import ModelReference
from agentos.runtime.agent_file import ToolName
from agentos.tools.names import unquote
from agentos.tools.tool import action_path, within

INSTRUCTIONS = """\
You are a careful engineer working in a folder, your workspace. Do the task that you are given with your \
tools, then say in a few sentences what you did. Paths are relative to the workspace. Look before you change \
something, make the smallest change that does the task, and check your work where you can. Commands run \
confined: there is no network and nothing outside the workspace. A refusal is final: do not try to get \
around it, say what you could not do."""

Level = Literal["strict", "standard", "none"]
State = Literal["idle", "running", "done", "failed", "cancelled", "interrupted"]

Stop = Literal[
    "end_turn", "budget", "turns", "refusal", "loop", "model", "cancelled", "killed", "interrupted", "error"
]


class Function(ToolSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool that the client performs, with the recovery class of its calls."""

    name: Annotated[str, Meta(pattern="^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    recovery: Recovery = "once"


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent as a run gives it. Money in micro-dollars; `read` and `write` are absolute paths granted
    beside the workspace, `scopes` what else it holds (no paths). With `grants` it has these alone, and the
    workspace is only where its paths begin."""

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
    grants: tuple[Grant, ...] | None = None
    functions: tuple[Function, ...] = ()


def paths(spec: Spec, root: str) -> tuple[Path, ...]:
    """The paths that an agent has, the workspace first where it has that. A repository's own data below what
    is granted beside it is only to be read."""
    if spec.grants is not None:
        own: tuple[Path, ...] = ()
        given = [grant.scope for grant in spec.grants if isinstance(grant.scope, Path)]
    else:
        own = (Path(path=action_path(root), rights="read_write"),)
        given = [Path(path=action_path(path), rights="read") for path in spec.read]
        given += [Path(path=action_path(path), rights="read_write") for path in spec.write]
    writable = [path for path in given if path.rights != "read"]
    given = [path for path in given if path in writable or not any(within(path.path, it) for it in writable)]
    repositories = [f"{path.path}/.git" for path in writable]
    return (
        *own,
        *(Path(path=path, rights="read") for path in repositories if os.path.lexists(path)),
        *given,
    )


def check_scopes(spec: Spec) -> None:
    """Raises UsageError for a scope that a run is granted otherwise, or not at all."""
    given = [grant.scope for grant in spec.grants or ()]
    scopes = [*spec.scopes, *(scope for scope in given if not isinstance(scope, Path | Exec | Tool))]
    for scope in scopes:
        if not isinstance(scope, Host | Mailbox | Memory | Model | Spawn):
            raise UsageError(f"a run is not granted a scope of this kind: {type(scope).__name__.lower()}")


def held(spec: Spec, root: str) -> list[AnyScope | Grant]:
    """Everything that an agent's process holds."""
    given: list[AnyScope | Grant] = [*(paths(spec, root) if spec.grants is None else spec.grants)]
    if spec.grants is None and "shell" in spec.tools:
        given.append(Exec())
    # A grant that names a function bounds it; handing the function over is a grant of its own otherwise.
    bounded = [grant.scope for grant in spec.grants or () if isinstance(grant.scope, Tool)]
    tools = [Tool(tool=exactly(function.name)) for function in spec.functions]
    own = Model(model=exactly(spec.model.model))
    return [own, *given, *spec.scopes, *(tool for tool in tools if tool not in bounded)]


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An agent's durable record, one entry of kind `agent` in the kernel; what is long lies in blobs.

    `pids` are the newest of its kernel processes, of which it has one for each of its `starts`; `head` is the
    newest entry of its transcript; `spec` the blob of its `Spec`. `settled_micros` is what its earlier
    processes spent; `usage` the tokens of all replies that it got. `unheard` is the blob of what it was told
    and has not taken into its transcript; `request` names the last task, so that a repeat is not another.
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
    starts: int = 0
    state: State = "running"
    stop: Stop | None = None
    turns: int = 0
    head: str | None = None
    unheard: str | None = None
    request: str = ""
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
