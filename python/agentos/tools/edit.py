"""The tool `edit`."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
import trio
from msgspec import Meta

from agentos.messages import Recovery, WriteAction
from agentos.tools.failure import ToolFailure
from agentos.tools.files import read_bytes, write_bytes
from agentos.tools.tool import Place, action_path


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replace an exact piece of text in a file. `old` must occur once, unless `all` is set."""

    NAME: ClassVar[str] = "edit"
    RECOVERY: ClassVar[Recovery] = "repeatable"

    path: Annotated[str, Meta(description="The file, relative to the workspace.")]
    old: Annotated[str, Meta(min_length=1, description="The text to replace, exactly as in the file.")]
    new: Annotated[str, Meta(description="The text to put there.")]
    all: Annotated[bool, Meta(description="Replace every occurrence.")] = False

    def action(self, place: Place) -> WriteAction:
        return WriteAction(path=action_path(place.locate_writable(self.path)))

    async def perform(self, place: Place) -> str:
        path = place.locate_writable(self.path)
        count = await trio.to_thread.run_sync(self._replace, path, place.show(path))
        return f"replaced {count} occurrence{'s' if count > 1 else ''} in {place.show(path)}"

    def _replace(self, path: str, shown: str) -> int:
        # Surrogates carry bytes that are not UTF-8 through unharmed.
        text = read_bytes(path).decode("utf-8", "surrogateescape")
        old, new = self.old, self.new
        if old not in text and "\r\n" in text:
            # Models write bare newlines, whatever the file has.
            old, new = (piece.replace("\r\n", "\n").replace("\n", "\r\n") for piece in (old, new))
        count = text.count(old)
        if count == 0:
            raise ToolFailure(f"`old` does not occur in {shown}: read the file and copy it exactly")
        if count > 1 and not self.all:
            raise ToolFailure(f"`old` occurs {count} times in {shown}: give more of it, or set `all`")
        write_bytes(path, text.replace(old, new).encode("utf-8", "surrogateescape"))
        return count
