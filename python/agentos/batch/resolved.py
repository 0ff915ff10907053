"""A plan met with a repository: its base commit, its units and its surroundings. What a person approves, and
what the journal keeps as the batch's plan."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agentos.batch import paths, surroundings
from agentos.batch.plan import Plan, to_data
from agentos.batch.private import PrivateRepository
from agentos.batch.repository import Identity, Repository
from agentos.batch.slicing import Entry, PlannedUnit, entries, slice_units
from agentos.errors import UsageError

CORES_AT_MOST = 8
_TEST_FILE = re.compile(r"^(?:test_(?P<a>.+)\.py|(?P<b>.+?)[._-](?:test|spec)\.[a-z]+)$")


class ResolvedUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of the batch: the planned one under its public id, with the test files that belong to it."""

    id: str
    name: str
    title: str
    paths: tuple[bytes, ...]
    allow: tuple[bytes, ...] = ()
    tests: tuple[bytes, ...] = ()
    prompt: str = ""
    after: tuple[str, ...] = ()


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a batch needs to run, again and again, with the same result."""

    plan: dict[str, Any]
    repository: Repository
    base: str
    identity: Identity
    units: tuple[ResolvedUnit, ...]
    readable: tuple[str, ...]
    included: tuple[bytes, ...] = ()
    concurrency: int
    notes: tuple[str, ...] = ()
    path: str
    lang: str
    term: str
    home: str

    @property
    def spec(self) -> Plan:
        """The plan as written."""
        from agentos.batch.plan_file import from_data

        return from_data(self.plan)

    def unit(self, id: str) -> ResolvedUnit:
        """The unit `id`."""
        return next(unit for unit in self.units if unit.id == id)

    def encode(self) -> bytes:
        """As the journal keeps it."""
        return msgspec.json.encode(self, enc_hook=_to_text)

    @classmethod
    def decode(cls, data: bytes) -> Resolved:
        """What `encode` made. Raises msgspec.ValidationError for anything else."""
        return msgspec.json.decode(data, type=cls, dec_hook=_from_text)


def resolve(
    plan: Plan, cwd: str | os.PathLike[str], environment: Mapping[str, str], *, where: str | None = None
) -> Resolved:
    """`plan` on the repository around `cwd`, for a person with this `environment`.

    Raises: UsageError where the repository, the base or the units cannot be had.
    """
    repository = Repository.open(cwd, environment)
    repository.refuse_branches_in_the_way()
    base = repository.resolve(plan.base)
    tree = entries(repository, base)
    planned = slice_units(plan, tree, where=where)
    units = _public(planned, tree)
    bound = surroundings.runtimes(repository.top, environment.get("PATH", ""), tree)
    with tempfile.TemporaryDirectory(prefix="agentos-") as folder:
        private = PrivateRepository(repository, Path(folder) / "git", environment)
        included = surroundings.included(private, base, plan.workspace.include)
        notes = surroundings.notes(private, tree, bound, included)
    readable = [*map(str, bound), *_runtimes(environment), *_named(plan, environment)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Resolved(
        plan=to_data(plan),
        repository=repository,
        base=base,
        identity=repository.identity(environment),
        units=units,
        readable=tuple(dict.fromkeys(os.path.normpath(path) for path in readable)),
        included=tuple(included),
        concurrency=plan.limits.concurrency or min(cores, CORES_AT_MOST),
        notes=tuple(note.text for note in notes),
        path=environment.get("PATH", os.defpath),
        lang=environment.get("LC_ALL") or environment.get("LANG") or "C.UTF-8",
        term=environment.get("TERM", "dumb"),
        home=_home(environment),
    )


def _public(planned: Sequence[PlannedUnit], tree: Sequence[Entry]) -> tuple[ResolvedUnit, ...]:
    tests = _test_files(tree)
    return tuple(
        ResolvedUnit(
            id=_public_id(unit.id),
            name=unit.id,
            title=unit.title,
            paths=unit.paths,
            allow=unit.allow,
            tests=tuple(_tests_of(unit, tree, tests)),
            prompt=unit.prompt or "",
            after=tuple(_public_id(name) for name in unit.after),
        )
        for unit in planned
    )


def _public_id(name: str) -> str:
    return name if name.startswith("u-") else f"u-{name}"


def _test_files(tree: Iterable[Entry]) -> dict[str, list[bytes]]:
    """Test files by the stem of what they test: `test_orders.py`, `orders.spec.ts` → `orders`."""
    found: dict[str, list[bytes]] = {}
    for entry in tree:
        name = entry.path.rpartition(b"/")[2].decode("utf-8", "surrogateescape")
        match = _TEST_FILE.match(name)
        if match and entry.mode.startswith("100"):
            found.setdefault(match["a"] or match["b"], []).append(entry.path)
    return found


def _tests_of(unit: PlannedUnit, tree: Iterable[Entry], tests: Mapping[str, list[bytes]]) -> list[bytes]:
    """The test files inside a unit's paths, and those named after its files and folders."""
    if not tests:
        return []
    everything = [path for group in tests.values() for path in group]
    found = {path for path in everything if any(paths.covers(owned, path) for owned in unit.paths)}
    stems = {owned.rstrip(b"/").rpartition(b"/")[2].partition(b".")[0] for owned in unit.paths}
    for entry in tree:
        if any(paths.covers(owned, entry.path) for owned in unit.paths):
            stems.add(entry.path.rpartition(b"/")[2].partition(b".")[0])
    for stem in stems:
        found.update(tests.get(stem.decode("utf-8", "surrogateescape"), ()))
    return sorted(found)


def _runtimes(environment: Mapping[str, str]) -> list[str]:
    """Virtual environments and `node_modules` outside the checkout that PATH names."""
    found = []
    for entry in environment.get("PATH", "").split(os.pathsep):
        folder = Path(entry)
        if not folder.is_absolute() or not folder.is_dir():
            continue
        if (folder.parent / "pyvenv.cfg").is_file() or (
            folder.name == ".bin" and folder.parent.name == "node_modules"
        ):
            found.append(str(folder.parent))
    return found


def _named(plan: Plan, environment: Mapping[str, str]) -> list[str]:
    """The plan's `workspace.read`, `~` being the submitter's home. Raises UsageError for a relative path."""
    found = []
    for text in plan.workspace.read:
        path = os.path.normpath(re.sub(r"^~(?=/|$)", _home(environment), text))
        if not path.startswith("/"):
            raise UsageError(
                f"`workspace.read` names `{text}`, which is not absolute", hint="start it with `/` or `~/`"
            )
        found.append(path)
    return found


def _home(environment: Mapping[str, str]) -> str:
    return environment.get("HOME") or str(Path("~").expanduser())


def _to_text(value: Any) -> Any:
    if isinstance(value, Path):
        return os.fsencode(value).decode("latin-1")
    raise NotImplementedError(type(value).__name__)


def _from_text(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(os.fsdecode(value.encode("latin-1")))
    raise NotImplementedError(kind.__name__)
