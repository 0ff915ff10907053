"""Batches, memory and the audit, as a program reaches them: the verbs of the command line, as methods."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from agentos.errors import MissingMechanism

if TYPE_CHECKING:
    from agentos.embedding.link import Link
    from agentos.home import Home
    from agentos.memory.reading import Fact

Found = TypeVar("Found")
PathLike = str | os.PathLike[str]


class Batches:
    """`agentos batch`: many agents on one repository. What comes back is the JSON of that verb.

    A batch is named by its id or a unique prefix of it; without one, the latest of the repository that the
    working folder lies in is meant.
    """

    def __init__(self, link: Link, home: Home) -> None:
        self._link = link
        self._home = home

    async def run(
        self,
        plan: PathLike | None = None,
        *,
        units: str | None = None,
        program: str | None = None,
        verify: str | None = None,
        name: str | None = None,
        base: str | None = None,
        concurrency: int | None = None,
        budget: str | None = None,
        repository: PathLike = ".",
    ) -> dict[str, Any]:
        """Runs a plan file, or what `units` and `program` say, and returns the summary.

        Raises UsageError for a wrong plan. A cancelled call interrupts the batch; `resume` goes on with it.
        """
        flags = {"name": name, "base": base, "concurrency": concurrency, "budget": budget}
        params = await _in_thread(
            lambda: _planned(plan, units, program, verify, flags, Path(repository).absolute())
        )

        async def again() -> tuple[str, dict[str, Any]]:
            return "batch.run", params

        return dict(await self._link.call("batch.run", params, resume=again))

    async def resume(self, batch: str | None = None) -> dict[str, Any]:
        """Goes on with a batch that was interrupted or stopped; returns the summary."""
        params = await _named(batch)

        async def again() -> tuple[str, dict[str, Any]]:
            return "batch.resume", params

        return dict(await self._link.call("batch.resume", params, resume=again))

    async def stop(self, batch: str | None = None) -> dict[str, Any]:
        """Stops a batch; its work is kept. Returns its status."""
        return dict(await self._link.call("batch.stop", await _named(batch)))

    async def status(self, batch: str | None = None) -> dict[str, Any]:
        """How a batch and its units stand."""
        return dict(await self._link.call("batch.status", await _named(batch)))

    async def list(self) -> list[dict[str, Any]]:
        """The batches of this home, whatever their repository."""
        return list(await self._link.call("batch.list", {"batch": None, "repository": None}))

    async def accept(self, units: Sequence[str], batch: str | None = None) -> dict[str, Any]:
        """Marks units as reviewed and good."""
        return dict(await self._link.call("batch.accept", await _named(batch, units=list(units))))

    async def reject(self, units: Sequence[str], batch: str | None = None) -> dict[str, Any]:
        """Marks units as not wanted: they are left out of merges."""
        return dict(await self._link.call("batch.reject", await _named(batch, units=list(units))))

    async def merge(
        self, units: Sequence[str] = (), batch: str | None = None, *, into: str | None = None
    ) -> dict[str, Any]:
        """Builds one branch of all units that were not rejected; `into` also moves a branch forward."""
        wanted = {"units": list(units)} | ({"into": into} if into else {})
        return dict(await self._link.call("batch.merge", await _named(batch, **wanted)))

    async def undo(self, batch: str | None = None) -> dict[str, Any]:
        """Moves the refs of the last merge back."""
        return dict(await self._link.call("batch.undo", await _named(batch)))


class Memory:
    """`agentos memory`: what was imported from chatbots. Looks only; importing is the command's."""

    def __init__(self, home: Home) -> None:
        self._home = home

    async def search(
        self, text: str, *, limit: int = 10, provider: str | None = None, since: str | None = None
    ) -> list[dict[str, Any]]:
        """Messages and facts that match, best first; `since` is a date such as 2025-01-31."""
        from agentos.memory import reading

        return await _in_thread(
            lambda: reading.search(self._home, text, limit=limit, provider=provider, since=since)
        )

    async def facts(self) -> list[Fact]:
        """What is known about the person, with its sources, oldest first."""
        from agentos.memory import reading

        return await _in_thread(lambda: reading.facts(self._home))

    async def show(self, id: str) -> dict[str, Any]:
        """A fact, conversation or message by its id or a unique prefix. Raises UsageError without one."""
        from agentos.memory import reading

        return await _in_thread(lambda: reading.show(self._home, id))

    async def imports(self) -> list[dict[str, Any]]:
        """Every import, oldest first."""
        from agentos.memory import reading

        return await _in_thread(lambda: reading.imports(self._home))

    async def stats(self) -> dict[str, Any]:
        """Numbers of the whole archive."""
        from agentos.memory import reading

        return await _in_thread(lambda: reading.stats(self._home))


class Audit:
    """`agentos audit`: the journal of the home. A private kernel keeps none: MissingMechanism says so."""

    def __init__(self, home: Home, *, private: bool) -> None:
        self._home = home
        self._private = private

    async def entries(self, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Up to `limit` entries after sequence number `after`, oldest first."""
        from agentos.kernel import audit_entries

        return await _in_thread(lambda: audit_entries(self._database(), after, limit))

    async def verify(self) -> dict[str, Any]:
        """Checks the hash chain: `{"ok", "entries", "head", "first_bad"}`."""
        from agentos.kernel import audit_verify

        return await _in_thread(lambda: audit_verify(self._database()))

    def _database(self) -> Path:
        if self._private:
            raise MissingMechanism("a private kernel keeps no journal", hint="open a home")
        return self._home.database


async def _in_thread(work: Callable[[], Found]) -> Found:
    return await trio.to_thread.run_sync(work)


async def _named(batch: str | None, **more: Any) -> dict[str, Any]:
    """The parameters that say which batch is meant."""
    if batch is not None:
        return {"batch": batch, "repository": None, **more}

    def top() -> str:
        from agentos.batch.repository import Repository

        return str(Repository.open(Path.cwd(), os.environ).top)

    return {"batch": None, "repository": await _in_thread(top), **more}


def _planned(
    plan: PathLike | None,
    units: str | None,
    program: str | None,
    verify: str | None,
    flags: dict[str, Any],
    repository: Path,
) -> dict[str, Any]:
    """The parameters of `batch.run`: the plan, met with the repository."""
    from agentos.batch.plan import from_flags, override
    from agentos.batch.plan_file import load
    from agentos.batch.resolved import resolve
    from agentos.errors import UsageError

    if plan is not None and not (units or program):
        made = override(load(os.fspath(plan)), verify=verify, **flags)
    elif plan is None and units and program:
        made = from_flags(units=units, program=program, verify=verify, **flags)
    else:
        raise UsageError("a batch needs a plan file, or `units` and `program`, and not both")
    resolved = resolve(made, repository, os.environ, where=None if plan is None else os.fspath(plan))
    passed = {name: os.environ[name] for name in made.workspace.pass_env if name in os.environ}
    return {
        "resolved": resolved.encode().decode(),
        "key": secrets.token_hex(12),
        "detach": False,
        "environment": passed,
    }
