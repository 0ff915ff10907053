"""Units from a plan: which paths of the base commit each owns. The same plan and base give the same units,
in the same order, with the same ids. Looks at the base's tree alone, never at the checkout."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

import msgspec

from agentos.batch import git, paths
from agentos.batch.globs import compile_glob
from agentos.batch.ownership import overlap, overlapping
from agentos.batch.plan import Item, Plan, Units
from agentos.batch.repository import Repository
from agentos.errors import UsageError

MAXIMUM_UNITS = 10_000
_SLUG_CHARACTERS = 40


class PlannedUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit before it runs. `paths` are what it owns (a folder ends in `/`), `allow` what it may change
    as well; `id` is its short name, unique in the plan and fit for a branch and a folder."""

    id: str
    title: str
    paths: tuple[bytes, ...]
    allow: tuple[bytes, ...] = ()
    prompt: str | None = None
    after: tuple[str, ...] = ()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A name in a tree: its mode as git writes it (`100644`, `120000`, `160000`) and its object."""

    path: bytes
    mode: str
    sha: str


def entries(repository: Repository, commit: str) -> list[Entry]:
    """Everything in a commit's tree but its folders, in git's order."""
    listed = git.run(repository.place, "ls-tree", "-r", "-z", "--full-tree", commit).out
    found = []
    for line in listed.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, _, sha = facts.decode().split(" ")
        found.append(Entry(path=path, mode=mode, sha=sha))
    return found


def slice_units(plan: Plan, tree: Sequence[Entry], *, where: str | None = None) -> list[PlannedUnit]:
    """The plan's units on the tree of its base.

    Raises: UsageError where two units own the same path, a listed path names nothing that can be, or there
    is no unit at all. `where` is what errors name: the plan's file.
    """
    units = plan.slicing
    allow = tuple(paths.parse(path, where=where) for path in units.allow)
    drafts = _listed(units, where) if units.list is not None else _matched(units, tree, where)
    if len(drafts) > MAXIMUM_UNITS:
        raise UsageError(
            f"the plan has {len(drafts):,} units; {MAXIMUM_UNITS:,} is the most",
            where=where,
            hint="put several matches into one unit with `group: 10`",
        )
    folders = _folders(entry.path for entry in tree)
    named = _with_ids([_settled(draft, folders) for draft in drafts])
    clash = overlap([(path, unit.id) for unit in named for path in unit.paths])
    if clash is not None:
        raise overlapping(*clash, where)
    for unit in named:
        _refuse_submodules(unit, tree, where)
    return [msgspec.structs.replace(unit, allow=allow) for unit in named]


def slug(text: str) -> str:
    """`text` as a short name of lower-case ASCII letters, digits and dashes."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "-".join(words)[:_SLUG_CHARACTERS].strip("-") or "unit"


class _Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A unit on the way: as listed or matched, its id maybe still to be found."""

    id: str | None = None
    title: str
    paths: tuple[bytes, ...]
    prompt: str | None = None
    after: tuple[str, ...] = ()


def _listed(units: Units, where: str | None) -> list[_Draft]:
    items = [Item(paths=(item,)) if isinstance(item, str) else item for item in units.list or ()]
    drafts: list[_Draft] = []
    plain: list[bytes] = []
    for item in items:
        owned = tuple(paths.parse(path, where=where) for path in item.paths)
        if units.group > 1 and item == Item(paths=item.paths):
            plain += owned
            continue
        title = item.title or item.id or _title(owned)
        drafts.append(_Draft(id=item.id, title=title, paths=owned, prompt=item.prompt, after=item.after))
    return drafts + _grouped(plain, units.group)


def _matched(units: Units, tree: Sequence[Entry], where: str | None) -> list[_Draft]:
    globs = (units.glob,) if isinstance(units.glob, str) else units.glob or ()
    files = [entry.path for entry in tree if entry.mode.startswith("100")]
    matches: set[bytes] = set()
    for text in globs:
        glob = paths.parse(text, where=where)
        folders = units.from_ == "dirs" or (units.from_ is None and glob.endswith(b"/"))
        if units.from_ == "files" and glob.endswith(b"/"):
            glob += b"**"
        pattern = compile_glob(glob)
        names = _folders(files) if folders else files
        matches |= {name for name in names if pattern.fullmatch(name.rstrip(b"/"))}
    if not matches:
        raise UsageError(
            f"no {'folder' if units.from_ == 'dirs' else 'file'} of the base commit matches "
            + ", ".join(f"`{glob}`" for glob in globs),
            where=where,
            hint="only committed files count; a trailing `/` means folders; `**` spans folders, `*` does not",
        )
    return _grouped(sorted(matches), units.group)


def _grouped(owned: Sequence[bytes], size: int) -> list[_Draft]:
    groups = (tuple(owned[at : at + size]) for at in range(0, len(owned), size))
    return [_Draft(title=_title(group), paths=group) for group in groups]


def _title(owned: Sequence[bytes]) -> str:
    first = paths.quote(owned[0])
    return first if len(owned) == 1 else f"{first} and {len(owned) - 1} more"


def _folders(names: Iterable[bytes]) -> set[bytes]:
    """All folders that hold something, each with its trailing `/`."""
    found: set[bytes] = set()
    for name in names:
        at = name.rfind(b"/")
        while at >= 0 and name[: at + 1] not in found:
            found.add(name[: at + 1])
            at = name.rfind(b"/", 0, at)
    return found


def _settled(draft: _Draft, folders: set[bytes]) -> _Draft:
    """A path that is a folder in the base gets its `/`, whether it was written or not."""
    owned = tuple(path + b"/" if path + b"/" in folders else path for path in draft.paths)
    return msgspec.structs.replace(draft, paths=tuple(dict.fromkeys(owned)))


def _with_ids(drafts: Sequence[_Draft]) -> list[PlannedUnit]:
    # Branches of two units must differ on file systems that ignore case, too.
    taken = {draft.id.lower() for draft in drafts if draft.id is not None}
    units = []
    for draft in drafts:
        name = draft.id
        if name is None:
            base = slug(draft.title)
            if base in taken or len(draft.title) > _SLUG_CHARACTERS or not draft.title.isascii():
                # Named after what it owns, so that another unit more in the plan does not rename it.
                digest = hashlib.sha256(b"\0".join(draft.paths)).hexdigest()
                base = f"{base}-{digest[:6]}"
            name, number = base, 2
            while name in taken:
                name, number = f"{base}-{number}", number + 1
            taken.add(name)
        units.append(
            PlannedUnit(id=name, title=draft.title, paths=draft.paths, prompt=draft.prompt, after=draft.after)
        )
    return units


def _refuse_submodules(unit: PlannedUnit, tree: Sequence[Entry], where: str | None) -> None:
    for entry in tree:
        if entry.mode == "160000":
            for path in unit.paths:
                if path != b"./" and paths.covers(entry.path, path):
                    raise UsageError(
                        f"unit `{unit.id}` owns `{paths.quote(path)}`, which is a submodule's",
                        where=where,
                        hint="run a batch in the submodule's own repository",
                    )
