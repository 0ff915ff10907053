"""The tool `list`."""

from __future__ import annotations

import fnmatch
import os
from typing import Annotated, ClassVar

import msgspec
import trio
from msgspec import Meta

from agentos.messages import ReadAction, Recovery
from agentos.tools.files import failing, opened_folder
from agentos.tools.names import quote
from agentos.tools.output import bounded
from agentos.tools.tool import Place, action_path

MOST = 1_000


class List(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List a folder, or with `pattern` all files below it whose path matches. Folders end in `/`."""

    NAME: ClassVar[str] = "list"
    RECOVERY: ClassVar[Recovery] = "pure"

    path: Annotated[str, Meta(description="The folder, relative to the workspace.")] = "."
    pattern: Annotated[str, Meta(description="Such as `*.py` or `src/*/test_*`; `*` matches `/` too.")] = ""

    def action(self, place: Place) -> ReadAction:
        return ReadAction(path=action_path(place.locate(self.path)))

    async def perform(self, place: Place) -> str:
        path = place.locate(self.path)
        gather = self._below if self.pattern else self._inside
        names = await trio.to_thread.run_sync(gather, path, abandon_on_cancel=True)
        if not names:
            return "(nothing matches)" if self.pattern else "(empty)"
        more = f"\n(and {len(names) - MOST} more)" if len(names) > MOST else ""
        return bounded("\n".join(names[:MOST])) + more

    def _inside(self, path: str) -> list[str]:
        with opened_folder(path) as folder, failing(path):
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
            try:
                with os.scandir(descriptor) as entries:
                    return sorted(
                        quote(entry.name) + ("/" if entry.is_dir(follow_symlinks=False) else "")
                        for entry in entries
                    )
            finally:
                os.close(descriptor)

    def _below(self, path: str) -> list[str]:
        found = []
        with opened_folder(path) as folder, failing(path):
            for base, folders, files, _ in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
                folders[:] = sorted(name for name in folders if name != ".git")
                for name in files:
                    inner = os.path.normpath(f"{base}/{name}")
                    # The slash lets `**/name` match at the top as well.
                    if any(fnmatch.fnmatchcase(text, self.pattern) for text in (inner, f"/{inner}")):
                        found.append(quote(inner))
        return sorted(found)
