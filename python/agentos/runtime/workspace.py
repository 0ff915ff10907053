"""The workspace of a run: saved before the first write, compared when the run has ended."""

from __future__ import annotations

import os
from pathlib import Path

import trio

from agentos import messages as scopes
from agentos.errors import AgentOSError, Failed, UsageError
from agentos.home import Home
from agentos.kernel import Kernel, ReadOnlyKernel
from agentos.messages import ReadAction
from agentos.runtime.agent import Record
from agentos.runtime.checkpoint import look, save_checkpoint
from agentos.runtime.manifest import Manifest, load, save
from agentos.runtime.transcript import save as save_record
from agentos.tools.names import quote
from agentos.tools.tool import action_path

LONGEST_PATH = 700  # bytes: what one journal entry has room for beside the rest


def check_folder(path: str) -> str:
    """The absolute path, free of links, of a folder. Raises UsageError."""
    try:
        root = Path(path).resolve(strict=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"the workspace cannot be opened: {reason}", where=quote(path)) from None
    if not root.is_dir():
        raise UsageError("the workspace is not a folder", where=quote(path))
    if len(os.fsencode(root)) > LONGEST_PATH:
        raise UsageError(f"the workspace's path is longer than {LONGEST_PATH} bytes", where=quote(str(root)))
    return str(root)


def check_workspace(path: str, home: Home) -> str:
    """The absolute path, free of links, of a folder that may be a workspace. Raises UsageError."""
    root = Path(check_folder(path))
    if _overlap(root, home.root.resolve()):
        raise UsageError(
            "the workspace and the home of AgentOS lie in one another",
            where=quote(str(root)),
            hint="name a project's folder with --workspace",
        )
    return str(root)


def check_granted(scope: scopes.Path, home: Home) -> None:
    """Raises UsageError for a path that no agent may get: the home of AgentOS, what holds or lies in it."""
    if _overlap(Path(scope.path), Path(action_path(str(home.root.resolve())))):
        raise UsageError("the home of AgentOS is not to be granted", where=quote(scope.path))


def _overlap(path: Path, kept: Path) -> bool:
    return path == kept or path in kept.parents or kept in path.parents


class Checkpoint:
    """The saved state that `agentos undo` goes back to."""

    def __init__(self, kernel: Kernel, home: Home, record: Record) -> None:
        self._kernel = kernel
        self._home = home
        self._record = record
        self._before: Manifest | None = None

    async def ensure(self) -> tuple[str, ...]:
        """Saves the workspace unless that is done; returns the repositories in it that no tool may write to.
        Raises what keeps it from being saved."""
        if self._before is None:
            self._before = await self._saved()
        return tuple(f"{self._record.root}/{os.fsdecode(path)}" for path in self._before.repositories)

    async def _saved(self) -> Manifest:
        if self._record.before is not None:
            return load(before_path(self._home, self._record.id), self._record.before)
        root, folder = self._record.root, self._home.checkpoints
        # In the home's own name: it is done for the person, whatever the agent may read.
        ticket = await self._kernel.request(
            self._kernel.root,
            ReadAction(path=action_path(root)),
            key=f"checkpoint {self._record.id} {self._record.starts}",
            recovery="repeatable",
        )
        try:
            previous = latest(self._kernel, self._home, root)
            manifest = await trio.to_thread.run_sync(save_checkpoint, root, folder, self._record.id, previous)
            digest = await trio.to_thread.run_sync(save, manifest, before_path(self._home, self._record.id))
        except BaseException as error:
            with trio.CancelScope(shield=True):
                await self._kernel.complete(ticket, "error")
            if isinstance(error, OSError):
                raise Failed(
                    f"the workspace cannot be saved for an undo: {error.strerror}",
                    where=str(error.filename or root),
                ) from None
            raise
        await self._kernel.complete(ticket, "ok")
        self._record.before = digest
        await save_record(self._kernel, self._record)
        return manifest

    async def compare(self) -> list[str]:
        """Notes in the record what the run has changed; returns the changed files, sorted."""
        if self._record.before is None:
            return []
        before = await self._saved()
        after = await trio.to_thread.run_sync(look, self._record.root, before)
        self._record.after = await trio.to_thread.run_sync(
            save, after, after_path(self._home, self._record.id)
        )
        changed = before.changed_files(after)
        self._record.files_changed = len(changed)
        return [os.fsdecode(path) for path in changed]


def before_path(home: Home, agent: str) -> Path:
    """Where the manifest of an agent's checkpoint lies."""
    return home.checkpoints / f"{agent}.before"


def after_path(home: Home, agent: str) -> Path:
    """Where the manifest of what an agent left lies."""
    return home.checkpoints / f"{agent}.after"


def latest(kernel: ReadOnlyKernel, home: Home, root: str) -> Manifest | None:
    """The newest readable checkpoint of `root`: what has not changed since need not be saved again."""
    found = [
        body
        for body in kernel.records("agent").values()
        if body.get("workspace") == quote(root) and body.get("before")
    ]
    for body in sorted(found, key=lambda body: str(body["created"]), reverse=True):
        try:
            return load(before_path(home, body["id"]), body["before"])
        except AgentOSError:
            continue
    return None
