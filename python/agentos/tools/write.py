"""The tool `write`."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
import trio
from msgspec import Meta

from agentos.messages import Recovery, WriteAction
from agentos.tools.files import write_bytes
from agentos.tools.tool import Place, action_path


class Write(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Write a whole file, new or replaced. Folders on the way are made. Prefer `edit` for small changes."""

    NAME: ClassVar[str] = "write"
    RECOVERY: ClassVar[Recovery] = "repeatable"

    path: Annotated[str, Meta(description="The file, relative to the workspace.")]
    content: Annotated[str, Meta(description="All of its new content.")]

    def action(self, place: Place) -> WriteAction:
        return WriteAction(path=action_path(place.locate_writable(self.path)))

    async def perform(self, place: Place) -> str:
        path = place.locate_writable(self.path)
        data = self.content.encode("utf-8", "surrogatepass")
        new = await trio.to_thread.run_sync(write_bytes, path, data)
        return f"{'created' if new else 'replaced'} {place.show(path)} ({len(data)} bytes)"
