"""The tool `shell`."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from agentos.messages import AnyScope, ExecAction, Path, Recovery
from agentos.tools.failure import ToolFailure
from agentos.tools.tool import Place, action_path, within

SHOWN = 120  # bytes of a command line that go into the kernel's records


class Shell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Run a command line with `sh` in the workspace. It is confined: it can write what you may write and
    /tmp, has no network and an empty home folder. What it starts ends with it."""

    NAME: ClassVar[str] = "shell"
    RECOVERY: ClassVar[Recovery] = "repeatable"

    command: Annotated[str, Meta(min_length=1, description="The command line.")]
    timeout: Annotated[int, Meta(ge=1, le=1_800, description="Seconds after which it is ended.")] = 120
    poll: Annotated[
        bool,
        Meta(description="It only looks whether something has happened by now; repeats come ever later."),
    ] = False

    def mandate(self, place: Place) -> list[AnyScope]:
        """What the command may reach. Repositories' own data is read-only: hooks and settings there would
        run unconfined the next time the user calls git."""
        writable = [path for path in place.paths if path.rights != "read"]
        guarded = [action_path(path) for path in place.guarded]
        guarded = [path for path in guarded if any(within(path, scope) for scope in writable)]
        return [*place.paths, *(Path(path=path, rights="read") for path in guarded)]

    def action(self, place: Place) -> ExecAction:
        if "\0" in self.command:
            raise ToolFailure("a command line cannot hold a NUL byte")
        line = self.command.encode("utf-8", "backslashreplace")
        shown = line[:SHOWN].decode("utf-8", "ignore")
        return ExecAction(command=shown, mandate=self.mandate(place))

    async def perform(self, place: Place) -> str:
        assert place.shell is not None, "an exec ticket brings a shell"
        return await place.shell(self.command, float(self.timeout), self.mandate(place))
