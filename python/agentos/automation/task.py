"""What is to be run, ready to run: a document's work met with the place and the settings of who added it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from agentos.automation.work import Recovery, Work, bounded
from agentos.errors import AgentOSError, UsageError
from agentos.home import Home
from agentos.runtime.agent import Level, Spec
from agentos.runtime.system import Submission

NAME_BYTES = 100


class Program(msgspec.Struct, frozen=True, kw_only=True, tag="program"):
    """A line for `sh`, confined. `{input}` and other variables in it stand for quoted words."""

    line: str
    folder: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    level: Level = "strict"
    recovery: Recovery = "once"


class AgentTask(msgspec.Struct, frozen=True, kw_only=True, tag="task"):
    """A task for an agent, as `agentos run` gives it."""

    text: str
    spec: Spec
    workspace: str
    level: Level = "strict"


class BatchTask(msgspec.Struct, frozen=True, kw_only=True, tag="batch"):
    """A batch of the repository around `folder`, on its commit of that moment."""

    plan: dict[str, Any]
    folder: str
    environment: dict[str, str] = {}


class WorkflowTask(msgspec.Struct, frozen=True, kw_only=True, tag="workflow"):
    """A run of a workflow of this home."""

    name: str
    input: str | None = None


Task = Program | AgentTask | BatchTask | WorkflowTask


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A task with its time limit in seconds (None: it has limits of its own), and who asked for it."""

    task: Task
    timeout: int | None = None
    submission: Submission | None = None


def prepare(work: Work, base: Path, home: Home, environment: Mapping[str, str], *, timeout: int) -> Prepared:
    """`work` of a document in the folder `base`, checked as far as can be before it runs. `timeout` is what
    programs and agents get that name none. Raises UsageError."""
    work.check()
    kind = work.kind
    limit = None if work.timeout is None else bounded("timeout", work.timeout, 1, 86_400)
    if kind == "workflow":
        assert work.workflow is not None
        return Prepared(task=WorkflowTask(name=work.workflow, input=work.input), timeout=limit)
    folder = _folder(base / work.folder)
    if kind == "batch":
        return Prepared(task=_batch(work, folder, base, environment), timeout=limit)
    task = (
        _program(work, folder, base, home)
        if kind == "program"
        else _agent(work, folder, base, home, environment)
    )
    return Prepared(task=task, timeout=timeout if limit is None else limit)


def _folder(path: Path) -> str:
    if not path.is_dir():
        raise UsageError("there is no such folder", where=str(path))
    return _text(os.path.realpath(path))


def _text(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UsageError("a path that is not UTF-8 cannot be kept", where=repr(path)) from None
    return path


def _level(work: Work, home: Home, folder: str) -> Level:
    from agentos import settings

    wanted: Any = work.level or settings.value("level", home, Path(folder))
    return "strict" if wanted == "auto" else wanted


def _program(work: Work, folder: str, base: Path, home: Home) -> Program:
    from agentos.drivers.confinement import require

    level = _level(work, home, folder)
    require(level)
    assert work.program is not None
    return Program(
        line=work.program,
        folder=folder,
        read=(*_implicit(folder), *_granted(work.read, base)),
        write=_granted(work.write, base),
        level=level,
        recovery=work.recovery,
    )


def _implicit(folder: str) -> tuple[str, ...]:
    """The folder itself, readable without being named: not where that would show the person's own folder or
    the system's files."""
    from agentos.drivers.launch import is_system

    shows = Path("~").expanduser().resolve().is_relative_to(folder) or is_system(folder)
    return () if shows else (folder,)


def _granted(names: tuple[str, ...], base: Path) -> tuple[str, ...]:
    """The paths that names mean, free of links: what they point to now is what is granted."""
    found = []
    for name in names:
        path = os.path.realpath(base / Path(name).expanduser())
        if not os.path.exists(path):  # noqa: PTH110
            raise UsageError(f"there is no {name}", where=path, hint="a path must exist to be granted")
        found.append(_text(path))
    return tuple(found)


def _agent(work: Work, folder: str, base: Path, home: Home, environment: Mapping[str, str]) -> AgentTask:
    from agentos import settings
    from agentos.models.reference import default_name, resolve
    from agentos.money import micros
    from agentos.runtime.agent_file import AgentFile, find_agent_file, read_agent_file
    from agentos.runtime.workspace import check_workspace
    from agentos.tools.names import quote

    file, name = AgentFile(), "agent"
    if work.agent is not None:
        path = find_agent_file(work.agent, home)
        path = path if path.is_absolute() else base / path
        file = read_agent_file(path)
        name = file.name or path.stem
    check_workspace(folder, home)
    found = settings.values(home, settings.repository_of(Path(folder)))
    model = resolve(
        work.model or file.model or found["model"].value or default_name(dict(environment)),
        dict(environment),
        url=file.url,
    )
    model.price()
    given: dict[str, Any] = {
        "system": file.system,
        "tools": file.tools,
        "max_turns": file.max_turns,
        "max_tokens": file.max_tokens,
    }
    paths: dict[str, Any] = dict(file.paths())
    spec = Spec(
        name=name.encode()[:NAME_BYTES].decode(errors="ignore"),
        model=model,
        budget_micros=micros(work.budget or file.budget or found["run.budget_usd"].value),
        **paths,
        **{key: value for key, value in given.items() if value is not None},
    )
    assert work.task is not None
    return AgentTask(text=work.task, spec=spec, workspace=quote(folder), level=_level(work, home, folder))


def _batch(work: Work, folder: str, base: Path, environment: Mapping[str, str]) -> BatchTask:
    from agentos.batch.plan import to_data
    from agentos.batch.plan_file import load
    from agentos.batch.resolved import resolve

    assert work.batch is not None
    path = base / work.batch
    plan = load(path)
    resolve(plan, folder, environment, where=str(path))
    passed = {name: environment[name] for name in plan.workspace.pass_env if name in environment}
    return BatchTask(plan=to_data(plan), folder=folder, environment=passed)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a task ended: its output, and why it failed if it did."""

    ok: bool
    output: str = ""
    message: str = ""


def failed(error: AgentOSError) -> Ended:
    """The end that an error is."""
    return Ended(ok=False, message=error.message)
