"""The tool `read`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, ClassVar

import msgspec
import trio
from msgspec import Meta

from agentos.messages import ReadAction, Recovery
from agentos.tools.failure import ToolFailure
from agentos.tools.files import read_bytes
from agentos.tools.output import bounded
from agentos.tools.tool import Place, action_path

LONGEST_LINE = 2_000


class Read(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read a text file. Each line comes with its number and a tab before it, which are not part of it."""

    NAME: ClassVar[str] = "read"
    RECOVERY: ClassVar[Recovery] = "pure"

    path: Annotated[str, Meta(description="The file, relative to the workspace.")]
    first: Annotated[int, Meta(ge=1, description="The first line to read.")] = 1
    count: Annotated[int, Meta(ge=1, le=5_000, description="How many lines to read at most.")] = 1_000

    def action(self, place: Place) -> ReadAction:
        return ReadAction(path=action_path(place.locate(self.path)))

    async def perform(self, place: Place) -> str:
        path = place.locate(self.path)
        data = await trio.to_thread.run_sync(read_bytes, path)
        if b"\0" in data[:8_192]:
            raise ToolFailure(f"{place.show(path)} is not text; it has {len(data)} bytes")
        lines = data.decode("utf-8", "replace").split("\n")
        if lines[-1] == "":
            lines.pop()
        if self.first > max(1, len(lines)):
            raise ToolFailure(f"{place.show(path)} has only {len(lines)} lines")
        if not lines:
            return f"({place.show(path)} is empty)"
        last = min(len(lines), self.first + self.count - 1)
        wanted = islice(lines, self.first - 1, last)
        text = "\n".join(
            f"{number}\t{bounded(line, LONGEST_LINE)}" for number, line in enumerate(wanted, self.first)
        )
        more = f"\n({len(lines) - last} more lines)" if last < len(lines) else ""
        return bounded(text) + more
