"""OpenFang's capabilities as our scopes.

A capability there is a kind and, for most, a pattern of text with stars that is compared with text. Ours are
structures. A pattern is taken where a scope means exactly what it matches (of paths that are absolute and
normal, of hosts in lower case with their port); any other is refused, with the reason. INVARIANT: what is
taken never covers anything that the pattern does not match. Two stars are never taken: there a child's
pattern may match more than its parent's.
"""

from __future__ import annotations

import os.path
import posixpath
import re
from collections.abc import Callable
from typing import Any

import msgspec

from agentos.errors import UsageError
from agentos.messages import (
    ANY,
    AnyScope,
    Exec,
    Host,
    Mailbox,
    Memory,
    Model,
    Path,
    Pattern,
    Rights,
    Spawn,
    Tool,
    exactly,
)

KINDS: dict[str, type | None] = {
    "FileRead": str,
    "FileWrite": str,
    "NetConnect": str,
    "NetListen": int,
    "ToolInvoke": str,
    "ToolAll": None,
    "LlmQuery": str,
    "LlmMaxTokens": int,
    "AgentSpawn": None,
    "AgentMessage": str,
    "AgentKill": str,
    "MemoryRead": str,
    "MemoryWrite": str,
    "ShellExec": str,
    "EnvRead": str,
    "OfpDiscover": None,
    "OfpConnect": str,
    "OfpAdvertise": None,
    "EconSpend": float,
    "EconEarn": None,
    "EconTransfer": str,
}
"""What the value of each kind is."""

ABSENT = {
    "NetListen": "an agent here cannot listen",
    "LlmMaxTokens": "the length of replies is a bound of the agent, no capability",
    "AgentKill": "an agent may end what it started, and a capability to signal others is for all signals",
    "EnvRead": "an agent's environment here is empty but for what its run sets",
    "OfpDiscover": "there is no OFP here",
    "OfpConnect": "there is no OFP here",
    "OfpAdvertise": "there is no OFP here",
    "EconSpend": "nothing can be bought here; what models cost is held by the budget",
    "EconEarn": "nothing can be earned here",
    "EconTransfer": "there is no money to transfer here",
}
"""Kinds that no scope stands for, and why."""

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")


class Untranslatable(UsageError):
    """A capability that no scope here means exactly."""


class Capability(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the 21 kinds, as OpenFang stores it: `{"type": …, "value": …}`."""

    type: str
    value: str | int | float | None = None

    def __str__(self) -> str:
        return self.type if self.value is None else f"{self.type}({self.value})"


def read_capability(data: Any) -> Capability:
    """A stored capability. Raises UsageError for an unknown kind and for a value that is not of it."""
    try:
        capability = msgspec.convert(data, Capability)
        if capability.type not in KINDS:
            raise UsageError(
                f"OpenFang has no capability `{capability.type}`", hint=f"it has: {', '.join(KINDS)}"
            )
        wanted = KINDS[capability.type]
        if wanted is None and capability.value is not None:
            raise UsageError(f"`{capability.type}` takes no value")
        if wanted is not None:
            msgspec.convert(capability.value, wanted)
    except msgspec.ValidationError as error:
        raise UsageError(f"this is no capability of OpenFang: {error}") from None
    if isinstance(capability.value, int | float) and not 0 <= capability.value <= (1 << 64) - 1:
        raise UsageError(f"`{capability}` is out of range")
    return capability


def scope_of(capability: Capability, *, is_file: Callable[[str], bool] = os.path.isfile) -> AnyScope:
    """The scope that means exactly what `capability` allows. Raises Untranslatable, with the reason.

    `is_file` says whether a path is that of a file: a scope holds for all below a path, and below a file
    there is nothing.
    """
    if capability.type in ABSENT:
        raise Untranslatable(f"`{capability}` has no counterpart here: {ABSENT[capability.type]}")
    pattern = str(capability.value)
    if KINDS[capability.type] is str and capability.type != "ToolInvoke" and pattern.count("*") > 1:
        raise Untranslatable(
            f"`{capability}` has two stars: such a pattern may hand on more than it matches",
            hint="write it with one",
        )
    match capability.type:
        case "FileRead" | "FileWrite":
            rights: Rights = "read" if capability.type == "FileRead" else "write"
            return Path(path=_tree(pattern, is_file), rights=rights)
        case "NetConnect":
            return _host(pattern)
        case "ToolInvoke":
            # No pattern there: a star alone is any tool, and within a name it is a letter like others.
            return Tool(tool=ANY if pattern == "*" else exactly(pattern))
        case "ToolAll":
            return Tool(tool=ANY)
        case "LlmQuery":
            return Model(model=_name(pattern, "a model"))
        case "AgentSpawn":
            return Spawn()
        case "AgentMessage":
            return Mailbox(name=_name(pattern, "a mailbox"))
        case "MemoryRead":
            return Memory(space=_name(pattern, "a memory space"), rights="read")
        case "MemoryWrite":
            return Memory(space=_name(pattern, "a memory space"), rights="write")
    if pattern != "*":
        raise Untranslatable(
            f"`{capability}` names commands by their text: here a command is held by its confinement",
            hint='"*" lets it run any command, which then reaches nothing but what the agent may',
        )
    return Exec()


def described(scope: AnyScope) -> str:
    """A scope that `scope_of` gives, in words."""

    def named(pattern: Pattern) -> str:
        return "any" if isinstance(pattern, str) else f"`{pattern['is']}`"

    match scope:
        case Path(path=path, rights=rights):
            return f"{rights} {path} and all below it"
        case Host(host=host, port=port):
            return f"connect to host {named(host)}, port {port or 'any'}"
        case Tool(tool=tool):
            return f"call tool {named(tool)}"
        case Model(model=model):
            return f"ask model {named(model)}"
        case Mailbox(name=name):
            return f"send to mailbox {named(name)}"
        case Memory(space=space, rights=rights):
            return f"{rights} memory space {named(space)}"
        case Spawn():
            return "start child processes, with no more than it has itself"
    return "run commands, confined"


def _tree(pattern: str, is_file: Callable[[str], bool]) -> str:
    if pattern in ("*", "/*"):
        return "/"
    folder = pattern.removesuffix("/*")
    if "*" in folder:
        raise Untranslatable(
            f"`{pattern}` is no folder with all below it",
            hint="a star stands alone, or as `/*` at the end of a path",
        )
    normal = posixpath.normpath(folder) == folder and not pattern.startswith("//")
    if not normal or not folder.startswith("/") or "\0" in folder:
        raise Untranslatable(
            f"`{pattern}` is no absolute, normal path", hint="begin it with /, without `.`, `..` and `//`"
        )
    if folder == pattern and not is_file(folder):
        raise Untranslatable(
            f"`{pattern}` is no file: there it means that path alone, here all below it",
            hint=f"write `{pattern.rstrip('/')}/*` if all below it is meant",
        )
    return folder


def _host(pattern: str) -> Host:
    if pattern == "*":
        return Host(host=ANY, port=0)
    name, colon, port = pattern.rpartition(":")
    if not colon or not name or (name.startswith("[") and not name.endswith("]")):
        raise Untranslatable(
            f"`{pattern}` names no port, and is compared with `host:port`: it matches nothing",
            hint=f"write `{pattern}:443`, or `{pattern}:*`",
        )
    if name != "*" and not _HOST.fullmatch(name):
        raise Untranslatable(
            f"`{pattern}` is neither one host nor all: a capability here names one, in lower case",
            hint="name each host",
        )
    if port != "*" and not (port.isascii() and port.isdecimal() and str(int(port)) == port):
        raise Untranslatable(f"`{pattern}` names part of a port", hint="write it out, or `*`")
    number = 0 if port == "*" else int(port)
    if port != "*" and not 1 <= number <= 65_535:
        raise Untranslatable(f"`{pattern}` names no port", hint="ports are 1 to 65535")
    return Host(host=ANY if name == "*" else exactly(name.strip("[]")), port=number)


def _name(pattern: str, what: str) -> Pattern:
    if pattern == "*":
        return ANY
    if "*" in pattern or not pattern:
        raise Untranslatable(
            f"`{pattern}` is neither one name nor all: {what} is named whole here", hint="name each one"
        )
    return exactly(pattern)
