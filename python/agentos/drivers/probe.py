"""What this machine can do, found by doing it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import msgspec

from agentos.drivers.confinement import run_foreground
from agentos.drivers.launch import LaunchSpec, Level
from agentos.drivers.runner import find_runner
from agentos.errors import AgentOSError, InternalError

AGENT_PROGRAMS = ("claude", "codex", "gemini", "aider", "opencode", "goose", "qwen", "amp", "cursor-agent")
"""Agent programs that people have, by the name of their command."""


class Mechanism(msgspec.Struct, frozen=True, kw_only=True):
    """One mechanism: `value` is what there is of it (None: nothing), `reason` why not."""

    value: Any = None
    reason: str | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Levels and mechanisms of this machine."""

    levels: dict[Level, Mechanism]
    mechanisms: dict[str, Mechanism]

    @property
    def default(self) -> Level | None:
        """The strongest level there is; never `none`."""
        return next((level for level in ("strict", "standard") if self.levels[level].value), None)


def probe() -> Probe:
    """Tries every mechanism, then a real launch at level `strict`. Blocking; some tens of milliseconds."""
    return Probe(
        levels={
            "strict": _strict(),
            "standard": Mechanism(value=False, reason="comes with a later version"),
            "none": Mechanism(value=True),
        },
        mechanisms=_tried() | {"bubblewrap": Mechanism(value=program_version("bwrap"))},
    )


def agents(path: str) -> dict[str, str]:
    """The agent programs in the folders of `path`: name to file."""
    return {name: found for name in AGENT_PROGRAMS if (found := shutil.which(name, path=path))}


def program_version(name: str) -> str | None:
    """The version number that `name --version` prints; None if it cannot be run."""
    program = shutil.which(name)
    if program is None:
        return None
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, timeout=10, text=True, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r"\d+(?:\.\d+)+", said.stdout)
    return number.group() if said.returncode == 0 and number else None


def _strict() -> Mechanism:
    try:
        spec = LaunchSpec.from_mandate([], ["sh", "-c", ":"], cwd="/", env={"PATH": "/usr/bin:/bin"})
        ended = run_foreground(spec)
    except AgentOSError as error:
        return Mechanism(value=False, reason=error.message)
    if ended.exit_code != 0:
        return Mechanism(value=False, reason=f"a confined shell ended with {ended.exit_code}: {ended.error}")
    return Mechanism(value=True)


def _tried() -> dict[str, Mechanism]:
    tried = subprocess.run([find_runner(), "probe"], capture_output=True, env={}, cwd="/", timeout=30)
    if tried.returncode != 0:
        raise InternalError(
            f"the probe ended with {tried.returncode}: {tried.stderr.decode(errors='replace')}"
        )
    answers: Mapping[str, Mapping[str, Any]] = msgspec.json.decode(tried.stdout)
    found = {name: _mechanism(answer) for name, answer in answers.items()}
    abi = found["landlock"].value
    return found | {
        "landlock": Mechanism(value={"abi": abi} if abi else None, reason=found["landlock"].reason)
    }


def _mechanism(answer: Mapping[str, Any]) -> Mechanism:
    if "Ok" in answer:
        return Mechanism(value=True if answer["Ok"] is None else answer["Ok"])
    return Mechanism(
        value=None if answer["Err"]["what"] == "landlock" else False, reason=answer["Err"]["message"]
    )
