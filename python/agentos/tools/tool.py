"""What a tool is: a struct of its arguments that knows which action it is and how to perform it.

A model's call is decoded into the struct, so arguments are checked by their types and the JSON Schema that
the model sees is generated from them. The runtime asks the kernel for `action()`, and calls `perform()` with
the ticket it got. Nothing here decides what is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import ClassVar, Protocol

import msgspec

from agentos.messages import AnyAction, AnyScope, Path, Recovery
from agentos.tools.failure import ToolFailure
from agentos.tools.files import locate
from agentos.tools.names import quote

Shell = Callable[[str, float, list[AnyScope]], Awaitable[str]]
"""Runs a command line in the workspace, for at most so many seconds, confined to a mandate; gives back what
it printed and how it ended."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where tools work: the workspace (absolute, free of links), the repositories' own data in it, the paths
    that a command may reach, and, with a ticket, what runs commands."""

    root: str
    guarded: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    shell: Shell | None = None

    def locate(self, path: str) -> str:
        """The absolute path that a model's `path` means; the kernel decides whether it may be touched."""
        return locate(self.root, path)

    def show(self, path: str) -> str:
        """An absolute path as a model knows it: relative to the workspace."""
        inside = path.startswith(self.root.rstrip("/") + "/")
        return quote(os.path.relpath(path, self.root)) if inside else quote(path)

    def locate_writable(self, path: str) -> str:
        """Like `locate`, for writing. A repository's own data is refused: what stands there (hooks, settings)
        runs unconfined the next time its owner calls git."""
        located = self.locate(path)
        inside = located.removeprefix(self.root.rstrip("/") + "/")
        if ".git" in inside.split("/"):
            raise ToolFailure(f"{self.show(located)} belongs to git; use files of the working tree")
        return located


class Tool(Protocol):
    """A tool's arguments, and the tool."""

    NAME: ClassVar[str]
    RECOVERY: ClassVar[Recovery]

    def action(self, place: Place) -> AnyAction:
        """The one request that this call makes."""

    async def perform(self, place: Place) -> str:
        """Do it, with the kernel's consent; what is returned goes to the model. Raises ToolFailure."""


def within(path: str, scope: Path) -> bool:
    """Whether `path` is the scope's path or lies below it."""
    return path == scope.path or path.startswith(scope.path.rstrip("/") + "/")


def action_path(path: str) -> str:
    """A path for the kernel's records. Bytes that are not UTF-8 are escaped: folders, and so what contains
    what, stay as they are."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
