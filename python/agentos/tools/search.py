"""The tool `search`."""

from __future__ import annotations

import os
import sys
from typing import Annotated, ClassVar

import msgspec
import trio
from msgspec import Meta

from agentos.messages import ReadAction, Recovery
from agentos.tools.failure import ToolFailure
from agentos.tools.output import bounded
from agentos.tools.tool import Place, action_path

SECONDS = 30
MOST = 200


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Find a regular expression (Python syntax) in the lines of files; gives `path:line:text`, with paths
    relative to `path`. Binary and very large files, `.git`, `node_modules` and virtual environments are
    skipped."""

    NAME: ClassVar[str] = "search"
    RECOVERY: ClassVar[Recovery] = "pure"

    pattern: Annotated[str, Meta(min_length=1, description="The regular expression.")]
    path: Annotated[str, Meta(description="A folder or file, relative to the workspace.")] = "."
    files: Annotated[str, Meta(description="Only files whose path matches, such as `*.py`.")] = "*"
    ignore_case: bool = False

    def action(self, place: Place) -> ReadAction:
        return ReadAction(path=action_path(place.locate(self.path)))

    async def perform(self, place: Place) -> str:
        request = {
            "path": list(os.fsencode(place.locate(self.path))),
            "pattern": self.pattern,
            "files": self.files,
            "ignore_case": self.ignore_case,
            "most": MOST,
        }
        with trio.move_on_after(SECONDS) as limit:
            done = await trio.run_process(
                [sys.executable, "-I", "-X", "utf8", "-m", "agentos.tools.matching"],
                stdin=msgspec.json.encode(request),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        if limit.cancelled_caught:
            raise ToolFailure(f"no answer within {SECONDS} seconds: simplify the pattern or narrow the files")
        if done.returncode != 0:
            reason = done.stderr.decode("utf-8", "replace").strip()
            raise ToolFailure(bounded(reason, 1_000) or "the search did not finish")
        return bounded(done.stdout.decode("utf-8", "replace").rstrip("\n")) or "(nothing found)"
