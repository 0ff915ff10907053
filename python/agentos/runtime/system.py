"""What the daemon gives to those who work in it: the kernel, the broker, and who is attached to what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from agentos.home import Home

if TYPE_CHECKING:
    import trio

    from agentos.drivers.broker import Broker
    from agentos.kernel import Kernel, ReadOnlyKernel
    from agentos.messages import Pid


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """Where a command was given: what belongs to the submission, not to the daemon."""

    cwd: str
    path: str
    """The person's `PATH`."""
    home: str
    lang: str = "C.UTF-8"
    term: str = "dumb"
    version: str
    """The client's version of AgentOS."""


@dataclass(frozen=True)
class View:
    """What a reading verb needs."""

    home: Home
    kernel: ReadOnlyKernel
    alive: bool = True
    """Whether a daemon lives. Without one nothing is under way, whatever a killed one wrote last."""


class Session(Protocol):
    """One client's connection."""

    id: str
    submission: Submission
    hint: str | None
    """What the client is told to do after an interruption."""
    parent: Pid | None
    """The process under which its work is born; None: the home's root."""

    @property
    def pid(self) -> Pid:
        """The kernel process of the person at the keyboard; it holds everything."""

    async def emit(self, event: dict[str, Any]) -> None:
        """Sends one event of the running call to the client."""

    async def ask_keys(self) -> None:
        """Asks the client to send its provider keys to the broker."""


@dataclass(eq=False)
class Work:
    """Something that goes on while a client is attached to it, or once it was detached."""

    id: str
    scope: trio.CancelScope
    done: trio.Event
    detached: bool = False
    attached: int = 0
    interrupted: bool = False

    def interrupt(self) -> None:
        """Cuts it; what it did is kept and can be resumed."""
        self.interrupted = True
        self.scope.cancel()


async def _nothing() -> None:
    pass


@dataclass
class System:
    """The daemon, for verbs that act."""

    home: Home
    kernel: Kernel
    broker: Broker
    nursery: trio.Nursery
    works: dict[str, Work] = field(default_factory=dict)
    areas: dict[str, object] = field(default_factory=dict)
    """What an area keeps for as long as the daemon lives, under its name."""
    enforce: Callable[[], Awaitable[None]] = _nothing
    """Puts the home's policy in force as it stands; awaited before work that no verb starts."""
    idle: Callable[[], None] = lambda: None
    """Called when a work has ended: the daemon may have nothing left to do."""

    _keys: dict[str, set[str]] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)

    def hold_keys(self, session: str, work: str) -> None:
        """The keys of `session` serve the detached `work` until it ends, though the client goes."""
        self._keys.setdefault(session, set()).add(work)

    async def close_session(self, session: str) -> None:
        """The client of `session` has gone: its keys go with it, unless detached work still uses them."""
        if session in self._keys:
            self._gone.add(session)
        else:
            await self.broker.close_session(session)

    async def release_keys(self, work: str) -> None:
        """`work` has ended and needs no keys any more."""
        for session, works in list(self._keys.items()):
            works.discard(work)
            if not works:
                del self._keys[session]
                if session in self._gone:
                    self._gone.discard(session)
                    await self.broker.close_session(session)

    @property
    def view(self) -> View:
        """This system, for reading verbs."""
        return View(self.home, self.kernel)

    def start(self, id: str, task: Callable[[Work], Awaitable[None]], *, detached: bool = False) -> Work:
        """Runs `task` as the work `id`, or returns the one that already runs under this id.

        An interruption reaches `task` as cancellation; it cleans up under a shield and returns.
        """
        import trio

        running = self.works.get(id)
        if running is not None:
            running.detached = running.detached or detached
            return running
        work = Work(id, trio.CancelScope(), trio.Event(), detached)
        self.works[id] = work

        async def run() -> None:
            try:
                with work.scope:
                    await task(work)
            finally:
                self.works.pop(id, None)
                work.done.set()
                self.idle()

        self.nursery.start_soon(run, name=f"work {id}")
        return work

    @asynccontextmanager
    async def attach(self, work: Work) -> AsyncIterator[Work]:
        """Keeps `work` going while the block runs. When the last one leaves a work that nobody detached, it
        is interrupted, and the block ends once it has come to rest."""
        import trio

        work.attached += 1
        try:
            yield work
        finally:
            work.attached -= 1
            if work.attached == 0 and not work.detached and not work.done.is_set():
                work.interrupt()
                with trio.CancelScope(shield=True):
                    await work.done.wait()


Reading = Callable[[View, dict[str, Any]], Any]
"""A verb that only looks. What may be long it gives as an iterator of events."""
Acting = Callable[[System, Session, dict[str, Any]], Awaitable[Any]]
