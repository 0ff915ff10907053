"""Agent files: an agent's settings as TOML or JSON, or as Markdown whose text is the instructions.

    ---
    name: reviewer
    model: anthropic/claude-sonnet-5-5
    budget: "0.50"
    tools: [read, list, search]
    ---
    You review Python code. …

An agent named without a path is looked for in the home's `agents/` folder, which is the user's own: files of
a repository count only where the user names them.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agentos.errors import UsageError
from agentos.home import Home

ToolName = Literal["read", "write", "edit", "list", "search", "shell"]
LARGEST = 1 << 20  # bytes
SUFFIXES = (".md", ".toml", ".json")
FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?\n?(.*)\Z", re.DOTALL | re.MULTILINE)


class Grants(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the agent may reach beside its workspace: paths, absolute or below `~`."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


class AgentFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an agent file says. What it leaves out is up to the run."""

    name: str | None = None
    description: str = ""
    model: str | None = None
    url: str | None = None
    system: str | None = None
    tools: tuple[ToolName, ...] | None = None
    budget: str | None = None
    budget_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_turns: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=256)] | None = None
    grants: Grants = Grants()

    def paths(self) -> dict[str, tuple[str, ...]]:
        """The granted paths as absolute ones, free of links."""
        return {
            "read": tuple(map(_absolute, self.grants.read)),
            "write": tuple(map(_absolute, self.grants.write)),
        }


def find_agent_file(name: str, home: Home) -> Path:
    """The file that `--agent NAME` means. Raises UsageError."""
    direct = Path(name)
    if direct.suffix in SUFFIXES or "/" in name:
        return direct
    folder = home.root / "agents"
    for suffix in SUFFIXES:
        candidate = folder / f"{name}{suffix}"
        if candidate.is_file():
            return candidate
    raise UsageError(f"there is no agent `{name}`", where=str(folder), hint=f"put a {name}.md there")


def load(path: Path) -> tuple[dict[str, Any], str]:
    """The settings in `path` as they stand there, and its text. Raises UsageError with file and line."""
    try:
        data = path.read_bytes()[: LARGEST + 1]
    except OSError as error:
        raise UsageError(f"the agent file cannot be read: {error.strerror}", where=str(path)) from None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError("the agent file is not UTF-8", where=f"{path}:{error.start}") from None
    if len(data) > LARGEST:
        raise UsageError("the agent file is larger than a mebibyte", where=str(path))
    form = {".toml": _toml, ".json": _json}.get(path.suffix, _markdown)
    return form(text, path), text


def read_agent_file(path: Path) -> AgentFile:
    """The agent in `path`. Raises UsageError with file and line for anything that is not as it should be."""
    settings, text = load(path)
    known = {field.encode_name for field in msgspec.structs.fields(AgentFile)}
    for key in settings:
        if key not in known:
            raise UsageError(
                f"there is no setting `{key}`",
                where=f"{path}:{_line(text, str(key))}",
                hint=f"there are: {', '.join(sorted(known))}",
            )
    try:
        return msgspec.convert(settings, AgentFile)
    except msgspec.ValidationError as error:
        named = re.search(r"\$\.(\w+)", str(error))
        line = _line(text, named.group(1)) if named else 1
        raise UsageError(f"the agent file is wrong: {error}", where=f"{path}:{line}") from None


def _toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        raise UsageError(
            f"the agent file is not TOML: {error}", where=f"{path}:{place.group(1) if place else 1}"
        ) from None


def _json(text: str, path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"the agent file is not JSON: {error.msg}", where=f"{path}:{error.lineno}") from None
    except RecursionError:
        raise UsageError("the agent file is nested too deep", where=f"{path}:1") from None
    if not isinstance(settings, dict):
        raise UsageError("the agent file is not an object of settings", where=f"{path}:1")
    return settings


def _markdown(text: str, path: Path) -> dict[str, Any]:
    import yaml

    match = FRONT_MATTER.match(text)
    if match is None:
        return {"system": text.strip()}
    try:
        settings = yaml.safe_load(match.group(1)) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 if mark is None else mark.line + 2
        raise UsageError("the agent file's head is not YAML", where=f"{path}:{line}") from None
    if not isinstance(settings, dict):
        raise UsageError("the agent file's head is not a list of settings", where=f"{path}:2")
    instructions = match.group(2).strip()
    if instructions and "system" in settings:
        raise UsageError(
            "the instructions are given twice: as `system` and as text",
            where=f"{path}:{_line(text, 'system')}",
        )
    return {**settings, "system": instructions} if instructions else settings


def _line(text: str, key: str) -> int:
    """The line on which `key` is set, counted from 1."""
    pattern = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[:=]|\s*\[{re.escape(key)}[\].]")
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if pattern.match(line)), 1)


def _absolute(path: str) -> str:
    expanded = Path(path).expanduser()
    if not expanded.is_absolute():
        raise UsageError(f"the granted path `{path}` is not absolute", hint="begin it with / or ~")
    return os.path.realpath(expanded)
