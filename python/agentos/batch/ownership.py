"""Which unit owns which path: what can be said of a plan's units without a repository."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentos.batch import paths
from agentos.batch.plan import Item, Units
from agentos.errors import UsageError

Where = Callable[[str], str | None]


def check_units(units: Units, key: str, where: Where) -> None:
    """Checks `units`; `where` tells where a key of the plan stands, `key` is the key of an explicit list.

    Raises: UsageError for a path that leaves the repository, for two units that own the same path or have
    the same id, and for an `after` that cannot be.
    """
    for number, path in enumerate(units.allow):
        paths.parse(path, where=where(f"units.allow[{number}]"))
    if units.from_ == "list" or units.list is not None:
        _check_list(units, key, where)
        return
    if units.glob is None:
        raise UsageError(
            "`units` needs a `glob` or a `list`",
            where=where("units"),
            hint='units: {from: files, glob: "src/**/*.py"}',
        )
    single = isinstance(units.glob, str)
    for number, glob in enumerate((units.glob,) if isinstance(units.glob, str) else units.glob):
        paths.parse(glob, where=where("units.glob" if single else f"units.glob[{number}]"))


def overlap(owned: Sequence[tuple[bytes, str]]) -> tuple[bytes, str, str] | None:
    """The first path that two owners share, with both owners: one path covers the other."""
    # Compared part by part, a folder comes right before everything in it.
    ordered = sorted(owned, key=lambda pair: [] if pair[0] == b"./" else pair[0].rstrip(b"/").split(b"/"))
    open_folders: list[tuple[bytes, str]] = []
    for path, owner in ordered:
        while open_folders and not paths.covers(open_folders[-1][0], path):
            open_folders.pop()
        for _, other in open_folders:
            if other != owner:
                return path, other, owner
        open_folders.append((path, owner))
    return None


def overlapping(path: bytes, first: str, second: str, where: str | None) -> UsageError:
    """The error for two units that own the same path."""
    return UsageError(
        f"units `{first}` and `{second}` both own `{paths.quote(path)}`",
        where=where,
        hint="give each path to one unit, or put what all may change under `units.allow`",
    )


def _check_list(units: Units, key: str, where: Where) -> None:
    if not units.list:
        raise UsageError("`units` lists no unit", where=where(key))
    if units.glob is not None or units.from_ not in (None, "list"):
        raise UsageError(
            "`units` has a `list`, so it takes no `glob` and no other `from`", where=where("units")
        )
    places: dict[tuple[bytes, str], str] = {}
    ids: set[str] = set()
    for number, item in enumerate(units.list):
        place = f"{key}[{number}]"
        if isinstance(item, str):
            # With `group`, entries that are mere paths share a unit.
            owner = f"unit {number + 1}" if units.group == 1 else "group"
            places.setdefault((paths.parse(item, where=where(place)), owner), place)
            continue
        if item.id is not None and item.id.lower() in ids:
            raise UsageError(f"two units are called `{item.id}`", where=where(f"{place}.id"))
        if item.id is not None:
            ids.add(item.id.lower())
        for at, path in enumerate(item.paths):
            inner = f"{place}.paths[{at}]"
            places.setdefault((paths.parse(path, where=where(inner)), _name(item, number)), inner)
    clash = overlap(list(places))
    if clash is not None:
        raise overlapping(*clash, where(places[clash[0], clash[2]]))
    _check_order(units.list, key, where)


def _name(item: Item, number: int) -> str:
    return item.id or f"unit {number + 1}" + (f" ({item.title})" if item.title else "")


def _check_order(items: Sequence[Item | str], key: str, where: Where) -> None:
    ids = {item.id for item in items if isinstance(item, Item) and item.id is not None}
    before: dict[str, set[str]] = {}
    for number, item in enumerate(items):
        if isinstance(item, str):
            continue
        for at, name in enumerate(item.after):
            if name not in ids or name == item.id:
                raise UsageError(
                    f"`after` names `{name}`, which is no other unit's id",
                    where=where(f"{key}[{number}].after[{at}]"),
                )
        if item.id is not None:
            before[item.id] = set(item.after)
    while before:
        free = [name for name, names in before.items() if not names & before.keys()]
        if not free:
            circle = ", ".join(sorted(before))
            raise UsageError(f"units wait for each other in a circle: {circle}", where=where(key))
        for name in free:
            del before[name]
