"""The session of work that nobody is attached to: it stands in for whoever added it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentos.errors import InternalError

if TYPE_CHECKING:
    from agentos.messages import Pid
    from agentos.runtime.system import Submission

Watcher = Callable[[dict[str, Any]], None]


class Standing:
    """Implements `agentos.runtime.system.Session`. Everything it starts is born under `parent`; `keys` is the
    client session whose provider keys it may use (empty: none)."""

    def __init__(
        self, submission: Submission, parent: Pid, *, keys: str, watcher: Watcher | None = None
    ) -> None:
        self.id = keys
        self.submission = submission
        self.hint: str | None = None
        self.parent: Pid | None = parent
        self._pid = parent
        self._watcher = watcher

    @property
    def pid(self) -> Pid:
        """The process that it acts as."""
        return self._pid

    async def emit(self, event: dict[str, Any]) -> None:
        """Tells the watcher, if there is one."""
        if self._watcher is not None:
            self._watcher(event)

    async def ask_keys(self) -> None:
        """There is no client to ask."""
        raise InternalError("work without a client has no keys of its own")
