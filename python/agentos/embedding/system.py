"""A system as a program holds it: a home's kernel, or a private one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from agentos import settings
from agentos.embedding import output as structured
from agentos.embedding.agent import Agent, OnAsk
from agentos.embedding.areas import Audit, Batches, Memory
from agentos.embedding.functions import FunctionTool, Run
from agentos.errors import UsageError
from agentos.messages import Exec, Grant
from agentos.messages import Path as PathScope
from agentos.models.reference import default_name, resolve
from agentos.money import micros
from agentos.runtime.agent import INSTRUCTIONS, Level
from agentos.runtime.agent_file import ToolName
from agentos.tools.names import quote

if TYPE_CHECKING:
    from agentos.embedding.link import Link
    from agentos.home import Home

PLAIN = (
    "Do what you are asked, with the tools that you are given. A refusal is final: do not try to get around "
    "it, say what you could not do."
)
"""The instructions of agents that have no files."""

NAME_BYTES = 100


class System:
    """Agents, batches, memory and the audit of one home. Made by `agentos.open`, and good until its block
    ends."""

    def __init__(
        self,
        link: Link,
        home: Home,
        *,
        level: Level,
        on_ask: OnAsk | None,
        run: Run,
        environment: Mapping[str, str],
        private: bool,
    ) -> None:
        self._link = link
        self._home = home
        self._level = level
        self._on_ask = on_ask
        self._run = run
        self._environment = environment
        self._batch = Batches(link, home)
        self._memory = Memory(home)
        self._audit = Audit(home, private=private)

    @property
    def home(self) -> Path:
        """The folder of its home; a temporary one where the kernel is private."""
        return self._home.root

    @property
    def batch(self) -> Batches:
        """Batches of agents on a repository."""
        return self._batch

    @property
    def memory(self) -> Memory:
        """What was imported from chatbots."""
        return self._memory

    @property
    def audit(self) -> Audit:
        """The journal, entry by entry."""
        return self._audit

    async def spawn(
        self,
        name: str,
        *,
        model: str | None = None,
        grants: Sequence[Grant] = (),
        budget: str | None = None,
        tools: Sequence[Callable[..., Any]] = (),
        output: Any = None,
        instructions: str | None = None,
        workspace: str | os.PathLike[str] = ".",
        max_turns: int = 50,
        max_tokens: int = 8_192,
    ) -> Agent:
        """Makes an agent that may do what `grants` and `tools` say, and nothing else.

        `model` is a name such as `anthropic/claude-sonnet-4-5` (default: the setting `model`, else that of
        the provider whose key is set); `budget` the most that it may spend, in USD (default: the setting
        `run.budget_usd`); `tools` functions of the program, with type hints; `output` a type that the answer
        must have. Paths that the model names begin at `workspace`, which grants nothing by itself.

        Raises UsageError for what cannot be meant, MissingMechanism where commands cannot be confined at the
        system's level.
        """
        functions = [FunctionTool(function) for function in tools]
        built_in = _built_in(grants)
        told = instructions or (INSTRUCTIONS if built_in else PLAIN)
        if output is not None:
            told = f"{told}\n\n{structured.instructions(output)}"
        found = settings.values(self._home, settings.repository_of(Path(workspace).absolute()))
        wanted = model or found["model"].value or default_name(self._environment)
        spec = {
            "name": _checked_name(name),
            "model": msgspec.to_builtins(resolve(wanted, self._environment)),
            "system": told,
            "tools": built_in,
            "budget_micros": micros(budget or found["run.budget_usd"].value, where="budget"),
            "max_turns": max_turns,
            "max_tokens": max_tokens,
            "grants": msgspec.to_builtins(list(grants)),
            "functions": [msgspec.to_builtins(function.spec) for function in functions],
        }
        params = {
            "key": secrets.token_hex(16),
            "spec": spec,
            "workspace": quote(str(Path(workspace).absolute())),
            "level": self._level,
        }

        async def again() -> tuple[str, dict[str, Any]]:
            return "agent.spawn", params

        made = await self._link.call("agent.spawn", params, resume=again)
        return Agent(
            self._link,
            made["agent"],
            name,
            tools=functions,
            output=output,
            on_ask=self._on_ask,
            run=self._run,
        )


def _built_in(grants: Sequence[Grant]) -> list[ToolName]:
    """The built-in tools that these grants make useful."""
    found: list[ToolName] = []
    for grant in grants:
        if not isinstance(grant, Grant):
            raise UsageError(f"{grant!r} is no grant", hint='agentos.read("src/**") makes one')
        match grant.scope:
            case PathScope(rights="read"):
                found += ["read", "list", "search"]
            case PathScope():
                found += ["read", "list", "search", "write", "edit"]
            case Exec():
                found.append("shell")
    return [name for name in get_args(ToolName) if name in found]


def _checked_name(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name.encode("utf-8", "replace")) > NAME_BYTES:
        raise UsageError(f"{name!r} is no name for an agent", hint=f"1 to {NAME_BYTES} bytes on one line")
    return name
