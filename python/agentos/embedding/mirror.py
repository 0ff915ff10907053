"""The classes of the trio surface again, for callers elsewhere: each method is the same, called in the host.

There is one definition of every method; what differs is how a caller waits for it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from agentos.embedding.agent import Agent
from agentos.embedding.areas import Audit, Batches, Memory
from agentos.embedding.events import Events
from agentos.embedding.host import Host
from agentos.embedding.system import System

KINDS = (System, Agent, Events, Batches, Memory, Audit)

Wait = Callable[[Host, Callable[[], Any]], Any]
"""How a caller waits for work in the host; may be a coroutine function."""


class Mirror:
    """One object of the host's, as a caller elsewhere holds it."""

    def __init__(self, host: Host, inner: Any) -> None:
        self._host = host
        self._inner = inner


class Surface:
    """The mirrored classes for callers in `module` that `wait` in their way."""

    def __init__(self, module: str, wait: Wait) -> None:
        self._module = module
        self._wait = wait
        self.kinds: dict[type, type[Mirror]] = {}
        for kind in KINDS:
            self.kinds[kind] = self._mirrored(kind)

    def wrap(self, host: Host, value: Any) -> Any:
        """`value`, or its mirror where it lives in the host."""
        kind = self.kinds.get(type(value))
        return value if kind is None else kind(host, value)

    def _mirrored(self, kind: type) -> type[Mirror]:
        members: dict[str, Any] = {"__doc__": kind.__doc__, "__module__": self._module}
        for name, member in vars(kind).items():
            if name in ("__aiter__", "__anext__"):
                members |= self._iteration(member)
            elif name.startswith("_"):
                continue
            elif isinstance(member, property):
                members[name] = self._property(name, member)
            else:
                members[name] = self._method(name, member)
        return type(kind.__name__, (Mirror,), members)

    def _property(self, name: str, member: property) -> property:
        def get(mirror: Mirror) -> Any:
            return self.wrap(mirror._host, getattr(mirror._inner, name))

        return property(functools.wraps(member.fget or get)(get), doc=member.__doc__)

    def _method(self, name: str, member: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(member):

            @functools.wraps(member)
            def at_once(mirror: Mirror, *arguments: Any, **named: Any) -> Any:
                async def work() -> Any:
                    return getattr(mirror._inner, name)(*arguments, **named)

                # The host is never held up for long: nothing in it blocks.
                return self.wrap(mirror._host, mirror._host.submit(work).future.result())

            return at_once

        def begin(mirror: Mirror, arguments: Any, named: Any) -> Any:
            return self._wait(mirror._host, lambda: getattr(mirror._inner, name)(*arguments, **named))

        if inspect.iscoroutinefunction(self._wait):

            @functools.wraps(member)
            async def awaited(mirror: Mirror, *arguments: Any, **named: Any) -> Any:
                return self.wrap(mirror._host, await begin(mirror, arguments, named))

            return awaited

        @functools.wraps(member)
        def waited(mirror: Mirror, *arguments: Any, **named: Any) -> Any:
            return self.wrap(mirror._host, begin(mirror, arguments, named))

        waited.__dict__["__wrapped__"] = _sync_signature(member)
        return waited

    def _iteration(self, member: Callable[..., Any]) -> dict[str, Any]:
        """Iteration as the surface has it."""
        if member.__name__ == "__aiter__":
            name = "__aiter__" if inspect.iscoroutinefunction(self._wait) else "__iter__"
            return {name: lambda mirror: mirror}
        if inspect.iscoroutinefunction(self._wait):
            return {"__anext__": self._method("__anext__", member)}
        following = self._method("__anext__", member)

        def following_or_end(mirror: Mirror) -> Any:
            try:
                return following(mirror)
            except StopAsyncIteration:
                raise StopIteration from None

        return {"__next__": following_or_end}


def _sync_signature(member: Callable[..., Any]) -> Callable[..., Any]:
    """Something with the signature of `member` that is no coroutine function."""

    def same() -> None: ...

    same.__dict__["__signature__"] = inspect.signature(member)
    return same
