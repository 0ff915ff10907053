"""Runs an agent's command lines, confined to the mandate of their ticket."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agentos.drivers.confinement import LaunchSpec, Level, run
from agentos.errors import UsageError
from agentos.home import Home
from agentos.kernel import Ticket
from agentos.messages import AnyScope, Path
from agentos.runtime.system import Submission
from agentos.tools.failure import ToolFailure
from agentos.tools.output import Tail
from agentos.tools.tool import Shell


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What every command of a run has in common."""

    home: Home
    submission: Submission
    level: Level
    root: str

    def launch(self, mandate: list[AnyScope], argv: list[str]) -> LaunchSpec:
        """The launch that `mandate` allows, in the workspace."""
        person = self.submission
        environment = {"PATH": person.path, "LANG": person.lang, "TERM": "dumb", "PAGER": "cat"}
        return LaunchSpec.from_mandate(
            mandate, argv, cwd=self.root, env=environment, level=self.level, home=person.home
        )


def shell_for(surroundings: Surroundings, ticket: Ticket) -> Shell:
    """The shell that `ticket` allows: it is stopped when the kernel takes the ticket back."""

    async def shell(command: str, timeout: float, mandate: list[AnyScope]) -> str:
        said = Tail()

        async def take(data: bytes) -> None:
            said.add(data)

        try:
            ended = await run(
                surroundings.launch(mandate, ["/bin/sh", "-c", command]),
                home=surroundings.home,
                ticket=f"t{ticket.id}",
                output=take,
                cancel=ticket.cancelled,
                timeout=timeout,
            )
        except UsageError as error:
            raise ToolFailure(f"the command could not be confined: {error.message}") from None
        text = said.text()
        if text and not text.endswith("\n"):
            text += "\n"
        if ended.timed_out:
            return f"{text}[ended after {timeout:.0f} seconds, with everything it had started]"
        if ended.cancelled:
            return f"{text}[stopped]"
        if ended.error is not None:
            return f"{text}[could not be started: {ended.error}]"
        if ended.signal is not None:
            return f"{text}[ended by signal {ended.signal}]"
        return f"{text}[exit code {ended.code}]"

    return shell


async def require_level(surroundings: Surroundings, paths: Sequence[Path]) -> None:
    """Raises MissingMechanism where commands could not be confined as asked for, before anything starts, and
    UsageError where none could be run with these `paths`."""
    await run(surroundings.launch(list(paths), ["/bin/true"]))
