"""OpenFang's agent manifests (agent.toml, or the same as JSON) as agents of ours.

What a manifest says is taken where it means the same here, and narrowed where it does not: a capability that
no scope here means exactly is not given, a limit for each hour, day or month holds for the whole run. Every
key is either used, or named with what becomes of it; one that OpenFang does not have is an error.
"""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any, Literal

import msgspec

from agentos.errors import UsageError
from agentos.messages import AnyScope, Exec, Tool
from agentos.messages import Path as PathScope
from agentos.money import MICROS, usd
from agentos.runtime.agent_file import AgentFile, Grants, ToolName, load
from agentos.runtime.openfang_capability import (
    Capability,
    Untranslatable,
    described,
    read_capability,
    scope_of,
)

Mode = Literal["observe", "assist", "full"]
Profile = Literal["minimal", "coding", "research", "messaging", "automation", "full", "custom"]

TOOLS: dict[str, ToolName] = {
    "file_read": "read",
    "file_write": "write",
    "apply_patch": "edit",
    "file_list": "list",
    "shell_exec": "shell",
}
"""OpenFang's tools that an agent here has, under our names."""
ALL_TOOLS: tuple[ToolName, ...] = ("read", "write", "edit", "list", "search", "shell")
WATCHING = ("file_read", "file_list", "memory_recall", "web_fetch", "web_search", "agent_list")
"""What is left in the mode `assist`."""
PROFILES: dict[Profile, tuple[str, ...]] = {
    "minimal": ("file_read", "file_list"),
    "coding": ("file_read", "file_write", "file_list", "shell_exec", "web_fetch"),
    "research": ("web_fetch", "web_search", "file_read", "file_write"),
    "messaging": ("agent_send", "agent_list", "memory_store", "memory_recall"),
    "automation": (
        *("file_read", "file_write", "file_list", "shell_exec", "web_fetch", "web_search"),
        *("agent_send", "agent_list", "memory_store", "memory_recall"),
    ),
    "full": ("*",),
    "custom": ("*",),
}
SHAPE = frozenset(("module", "capabilities", "resources", "profile", "schedule", "autonomous", "exec_policy"))
"""Keys that an agent file of ours does not have."""
ELSEWHERE = {
    "version": None,
    "author": None,
    "tags": None,
    "metadata": None,
    "generate_identity_files": None,
    "fallback_models": "a run has one model: name another with --model",
    "routing": "a run has one model",
    "pinned_model": "a run has one model: name it with --model",
    "priority": "runs of a person are equal (OpenFang never reads it)",
    "skills": "there are no skills here",
    "mcp_servers": "an agent here calls no MCP servers",
    "tools": "tools here take no settings",
    "workspace": "a run works in the folder of --workspace",
    "state_dir": "an agent's state is in the home's journal",
    "exec_policy": "commands are held by what their confinement lets them reach, not by their text",
    "cache_context": "a run keeps its instructions",
    "max_history_messages": "a run keeps its whole conversation",
}
"""Keys without a counterpart: why, or None for those that change nothing there either."""


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[model]`; `name` is another word for `model`."""

    provider: str = "default"
    model: str = "default"
    name: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    system_prompt: str | None = None
    api_key_env: str | None = None
    base_url: str | None = None


class Resources(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[resources]`; 0 is no limit for tokens and costs."""

    max_memory_bytes: int | None = None
    max_cpu_time_ms: int | None = None
    max_tool_calls_per_minute: int | None = None
    max_concurrent_tools: int | None = None
    max_network_bytes_per_hour: int | None = None
    max_llm_tokens_per_hour: int = 0
    max_cost_per_hour_usd: float = 0.0
    max_cost_per_day_usd: float = 0.0
    max_cost_per_month_usd: float = 0.0


class Declared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[capabilities]`: the nine fields that OpenFang makes capabilities of."""

    network: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    memory_read: tuple[str, ...] = ()
    memory_write: tuple[str, ...] = ()
    agent_spawn: bool = False
    agent_message: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    ofp_discover: bool = False
    ofp_connect: tuple[str, ...] = ()


class Autonomous(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[autonomous]`."""

    max_iterations: int | None = None
    max_restarts: int | None = None
    quiet_hours: str | None = None
    heartbeat_interval_secs: int | None = None
    heartbeat_channel: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts of a manifest; `mode` is kept beside it in OpenFang's own records. `capabilities` may also
    be a list of stored capabilities."""

    name: str | None = None
    description: str = ""
    module: str = "builtin:chat"
    model: ModelConfig = ModelConfig()
    resources: Resources = Resources()
    profile: Profile | None = None
    mode: Mode = "full"
    capabilities: Declared | tuple[dict[str, Any], ...] = Declared()
    tool_allowlist: tuple[str, ...] = ()
    tool_blocklist: tuple[str, ...] = ()
    autonomous: Autonomous = Autonomous()
    schedule: str | dict[str, Any] = "reactive"


class Translated(msgspec.Struct, frozen=True, kw_only=True):
    """An agent, what it holds beside its workspace, and in words what that means and what was left out."""

    agent: AgentFile
    scopes: tuple[AnyScope, ...] = ()
    given: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def read_manifest(path: FilePath) -> Translated | None:
    """The agent that the manifest in `path` describes; None where the file has another shape. Raises
    UsageError for a manifest that is wrong, or of a program that is none of ours."""
    settings, _ = load(path)
    return translated(settings, where=str(path)) if is_manifest(settings) else None


def is_manifest(settings: dict[str, Any]) -> bool:
    """Whether these settings have the shape of OpenFang's rather than of ours."""
    return bool(SHAPE & settings.keys()) or isinstance(settings.get("model"), dict)


def translated(settings: dict[str, Any], *, where: str) -> Translated:
    """A manifest's settings as an agent."""
    left_out = [f"{key}: {why}" for key, why in ELSEWHERE.items() if why and settings.get(key)]
    try:
        kept = {key: value for key, value in settings.items() if key not in ELSEWHERE}
        manifest = msgspec.convert(kept, Manifest)
    except msgspec.ValidationError as error:
        raise UsageError(f"the OpenFang manifest is wrong: {error}", where=where) from None
    if manifest.module != "builtin:chat":
        raise UsageError(
            f"the agent is a program of its own, `{manifest.module}`",
            where=where,
            hint="only agents of `builtin:chat` are read; run programs with `agentos exec`",
        )
    wanted = _capabilities(manifest, where)
    scopes, refused = _scopes(wanted)
    named = [str(one.value) for one in wanted if one.type == "ToolInvoke"]
    named += ["*" for one in wanted if one.type == "ToolAll"]
    tools, missing = _tools(manifest, named, shell=Exec() in scopes)
    agent, bounds = _agent(manifest, wanted, tools, scopes)
    # What a run may call are its tools; its paths and its shell are granted with those.
    shown = [one for one in scopes if not isinstance(one, Tool) and (one != Exec() or "shell" in tools)]
    given = [f"tools: {', '.join(tools) or 'none'}", *map(described, shown)]
    return Translated(
        agent=agent,
        scopes=tuple(one for one in shown if not isinstance(one, PathScope | Exec)),
        given=tuple(dict.fromkeys(given)),
        left_out=tuple(dict.fromkeys((*refused, *missing, *bounds, *_unused(manifest), *left_out))),
    )


def _capabilities(manifest: Manifest, where: str) -> list[Capability]:
    """What is asked for. A profile counts where no tools are named, for what is not named either."""
    if not isinstance(manifest.capabilities, Declared):
        try:
            return [read_capability(one) for one in manifest.capabilities]
        except UsageError as error:
            raise UsageError(error.message, where=f"{where}: capabilities", hint=error.hint) from None
    profile = None if manifest.capabilities.tools else manifest.profile
    implied = Declared() if profile is None else implied_by(profile)
    both = {
        name: getattr(manifest.capabilities, name) or getattr(implied, name)
        for name in Declared.__struct_fields__
    }
    listed = {
        "tools": "ToolInvoke",
        "network": "NetConnect",
        "memory_read": "MemoryRead",
        "memory_write": "MemoryWrite",
        "agent_message": "AgentMessage",
        "shell": "ShellExec",
        "ofp_connect": "OfpConnect",
    }
    flags = {"agent_spawn": "AgentSpawn", "ofp_discover": "OfpDiscover"}
    return [
        *(Capability(type=kind, value=one) for name, kind in listed.items() for one in both[name]),
        *(Capability(type=kind) for name, kind in flags.items() if both[name]),
    ]


def implied_by(profile: Profile) -> Declared:
    """The tools of a profile, and what they cannot do without."""
    tools = PROFILES[profile]

    def any_of(start: str) -> tuple[str, ...]:
        return ("*",) if any(tool == "*" or tool.startswith(start) for tool in tools) else ()

    return Declared(
        tools=tools,
        network=any_of("web_"),
        shell=any_of("shell_exec"),
        agent_spawn=bool(any_of("agent_")),
        agent_message=any_of("agent_"),
        memory_read=any_of("memory_") or ("self.*",),
        memory_write=("self.*",),
    )


def _scopes(wanted: list[Capability]) -> tuple[list[AnyScope], list[str]]:
    scopes: list[AnyScope] = []
    refused = []
    for capability in wanted:
        if capability.type == "LlmMaxTokens":
            continue
        try:
            scopes.append(scope_of(capability))
        except Untranslatable as error:
            hint = f" ({error.hint})" if error.hint else ""
            refused.append(f"{capability.type}: {error.message}{hint}")
    return scopes, refused


def _tools(manifest: Manifest, named: list[str], *, shell: bool) -> tuple[tuple[ToolName, ...], list[str]]:
    """Our tools for the named ones, and what there is to say about the others."""
    if not named:
        return (), ["tools: none is named, so it has none (name them, or a profile)"]

    def left(tool: str) -> bool:
        return (
            manifest.mode != "observe"
            and (manifest.mode != "assist" or tool in WATCHING)
            and (not manifest.tool_allowlist or tool in manifest.tool_allowlist)
            and tool not in manifest.tool_blocklist
        )

    everything = "*" in named
    tools = {ours for theirs, ours in TOOLS.items() if (everything or theirs in named) and left(theirs)}
    if everything and {"read", "list"} <= tools:
        # It has no name there; what reads and lists can search.
        tools.add("search")
    said = [
        f"tools: there is no `{tool}` here"
        for tool in named
        if tool != "*" and tool not in TOOLS and left(tool)
    ]
    said += [
        f"tools: `{tool}` is left out by mode or list" for tool in named if tool != "*" and not left(tool)
    ]
    if "shell" in tools and not shell:
        tools.remove("shell")
        said.append('tools: no `shell_exec` without `shell = ["*"]`')
    return tuple(tool for tool in ALL_TOOLS if tool in tools), said


def _agent(
    manifest: Manifest, wanted: list[Capability], tools: tuple[ToolName, ...], scopes: list[AnyScope]
) -> tuple[AgentFile, list[str]]:
    """The settings of the agent, and how its bounds differ from the manifest's."""
    model, said = _model(manifest.model)
    lengths = [int(one.value or 0) for one in wanted if one.type == "LlmMaxTokens"]
    lengths += [manifest.model.max_tokens] if manifest.model.max_tokens is not None else []
    resources = manifest.resources
    costs = (
        resources.max_cost_per_hour_usd,
        resources.max_cost_per_day_usd,
        resources.max_cost_per_month_usd,
    )
    if not all(0 <= cost < 1e12 for cost in costs) or resources.max_llm_tokens_per_hour < 0:
        raise UsageError("the OpenFang manifest is wrong: a limit is no amount", where="resources")
    limits = [int(cost * MICROS) for cost in costs if cost > 0]
    budget = usd(min(limits)) if limits else None
    tokens = resources.max_llm_tokens_per_hour or None
    if budget is not None:
        said.append(f"resources: costs are held for the whole run, {budget} USD, not anew each hour")
    if tokens is not None:
        said.append(f"resources: tokens are held for the whole run, {tokens}, not anew each hour")
    reads = {one.path for one in scopes if isinstance(one, PathScope) and one.rights == "read"}
    writes = {one.path for one in scopes if isinstance(one, PathScope) and one.rights == "write"}
    said += [
        f"FileWrite: what is written is read too here: {path} needs FileRead"
        for path in sorted(writes - reads)
    ]
    agent = {
        "name": manifest.name,
        "description": manifest.description,
        "model": model,
        "url": manifest.model.base_url,
        "system": manifest.model.system_prompt,
        "tools": tools,
        "budget": budget,
        "budget_tokens": tokens,
        "max_turns": manifest.autonomous.max_iterations,
        "max_tokens": min(lengths) if lengths else None,
        "grants": Grants(read=tuple(sorted(reads - writes)), write=tuple(sorted(reads & writes))),
    }
    try:
        return msgspec.convert(agent, AgentFile), said
    except msgspec.ValidationError as error:
        raise UsageError(f"the agent of this OpenFang manifest cannot be: {error}") from None


def _model(config: ModelConfig) -> tuple[str | None, list[str]]:
    said = []
    if config.api_key_env:
        said.append(f"model.api_key_env: the key is the provider's variable, not `{config.api_key_env}`")
    if config.temperature is not None:
        said.append("model.temperature: a model is asked with its own")
    name = config.name or config.model
    if name == "default" or not name:
        return None, said
    return (name if config.provider == "default" else f"{config.provider}/{name}"), said


def _unused(manifest: Manifest) -> list[str]:
    """Settings with a value that nothing here stands for."""
    said = []
    resources = msgspec.structs.asdict(manifest.resources)
    for name in (
        "max_memory_bytes",
        "max_cpu_time_ms",
        "max_tool_calls_per_minute",
        "max_concurrent_tools",
        "max_network_bytes_per_hour",
    ):
        if resources[name] is not None:
            said.append(f"resources.{name}: nothing here is limited so")
    for name, value in msgspec.structs.asdict(manifest.autonomous).items():
        if value is not None and name != "max_iterations":
            said.append(f"autonomous.{name}: a run is started by a person and ends")
    if manifest.schedule != "reactive":
        said.append("schedule: a run starts when it is asked to; `agentos cron` starts things at times")
    return said
