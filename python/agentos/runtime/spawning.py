"""How an agent comes to be and gets to know its tasks: everything is checked first, then it is durable."""

from __future__ import annotations

import msgspec

from agentos.errors import UsageError
from agentos.home import Home
from agentos.kernel import Kernel
from agentos.runtime.agent import Level, Record, Spec, check_scopes, paths
from agentos.runtime.shell import Surroundings, require_level
from agentos.runtime.system import Session, System
from agentos.runtime.transcript import change_unheard, cut, now, save, unheard
from agentos.runtime.workspace import check_folder, check_granted, check_workspace
from agentos.tools.names import quote, unquote
from agentos.tools.toolset import TOOLS

SHOWN_TASK = 400  # bytes
MOST_UNHEARD = 16


class SpawnRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent that is to be. `key` names the request: repeated, it means the same agent."""

    key: str
    spec: Spec
    workspace: str
    level: Level = "strict"


async def spawn(system: System, session: Session, request: SpawnRequest) -> Record:
    """The record of a new agent, which has no task and is not durable yet. Raises what is wrong with it."""
    spec, kernel = request.spec, system.kernel
    root = check_place(spec, unquote(request.workspace), system.home)
    check_scopes(spec)
    _check_names(spec)
    spec.model.price()  # raises where it cannot be known
    if "shell" in spec.tools:
        surroundings = Surroundings(
            home=system.home, submission=session.submission, level=request.level, root=root
        )
        await require_level(surroundings, paths(spec, root))
    return Record(
        id=kernel.new_id("a"),
        spec=await kernel.blob_put(msgspec.json.encode(spec)),
        name=spec.name,
        model=str(spec.model),
        url=spec.model.url,
        workspace=quote(root),
        level=request.level,
        task="",
        created=now(),
        state="idle",
    )


def check_place(spec: Spec, root: str, home: Home) -> str:
    """The workspace's absolute path, free of links, where it and what is granted may be had. Raises
    UsageError."""
    changes = spec.grants is None or any(path.rights != "read" for path in paths(spec, root))
    # Where nothing is written nothing is saved for an undo, and the granted paths alone count.
    root = check_workspace(root, home) if changes else check_folder(root)
    for path in paths(spec, root):
        check_granted(path, home)
    return root


def _check_names(spec: Spec) -> None:
    names = [*spec.tools, *(function.name for function in spec.functions)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        known = " (AgentOS has one)" if twice in TOOLS else ""
        raise UsageError(f"two tools are called `{twice}`{known}", hint="give the function another name")


async def tell(kernel: Kernel, record: Record, text: str, task: str | None = None) -> None:
    """Tells the agent `text`, durably: it hears it before its next turn. `task` is the key under which the
    text is a task; repeated, it changes nothing. Raises UsageError."""
    if not text.strip():
        raise UsageError("the task is empty" if task else "there is nothing to say")
    if task is not None and record.request == task:
        return
    if task is None and len(unheard(kernel, record)) >= MOST_UNHEARD:
        raise UsageError(f"the agent has not heard {MOST_UNHEARD} things yet", hint="wait for its next turn")
    text = text.encode("utf-8", "replace").decode()
    await change_unheard(kernel, record, lambda texts: [*texts, text])
    if task is not None:
        record.task, record.request = cut(text, SHOWN_TASK), task
    await save(kernel, record)
