"""What the archive holds, for those who only look. Needs no daemon; an archive that is not there is empty."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from agentos.errors import UsageError
from agentos.kernel import Archive

if TYPE_CHECKING:
    from agentos.home import Home


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where words stand: `span` counts characters of the message's text."""

    file: str | None
    conversation: str
    message: str
    span: tuple[int, int]
    time: str | None = None


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Something known about the person, with its sources. `status`: active, superseded or quarantined."""

    id: str
    type: str
    text: str
    status: str
    trust: str
    sensitivity: str
    valid_from: str | None
    valid_to: str | None
    provider: str
    scope: str
    tag: str | None
    first_seen: str | None
    last_seen: str | None
    sightings: int
    provenance: list[Source]

    @property
    def exportable(self) -> bool:
        """Whether it may leave without a review: true now, said by the person or their vendor, no secret."""
        trusted = self.trust in ("user", "vendor")
        return self.status == "active" and trusted and self.sensitivity != "secret"


def facts(home: Home) -> list[Fact]:
    """All facts, oldest first."""
    archive = Archive.existing(str(home.archive))
    return msgspec.json.decode(archive.facts(), type=list[Fact]) if archive else []


def search(home: Home, text: str, *, limit: int, provider: str | None, since: str | None) -> list[Any]:
    """Messages and facts that match, best first. Raises UsageError where `since` is no date."""
    archive = Archive.existing(str(home.archive))
    return list(json.loads(archive.search(text, limit, provider, since))) if archive else []


def imports(home: Home) -> list[Any]:
    """Every import, oldest first."""
    archive = Archive.existing(str(home.archive))
    return list(json.loads(archive.imports())) if archive else []


def stats(home: Home) -> dict[str, Any]:
    """Numbers of the whole archive."""
    archive = Archive.existing(str(home.archive))
    if archive is None:
        numbers = ("conversations", "messages", "branches", "projects", "files", "imports", "bytes")
        return dict.fromkeys(numbers, 0) | {"providers": {}, "facts": {}, "encrypted": False}
    return dict(json.loads(archive.stats()))


def show(home: Home, name: str) -> dict[str, Any]:
    """A fact, conversation or message by its id or a unique prefix. Raises UsageError where there is none."""
    archive = Archive.existing(str(home.archive))
    if archive is None:
        raise UsageError(
            f"nothing in the archive has the id `{name}`",
            hint="the archive is empty; import an export with `agentos memory import FILE`",
        )
    return dict(json.loads(archive.show(name)))
