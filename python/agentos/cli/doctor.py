"""`agentos doctor`: what this machine can do, tried."""

from __future__ import annotations

import json
import os
import platform
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from agentos.drivers.probe import Probe

_MEANING = {
    "strict": "namespaces of its own, Landlock and seccomp; no network",
    "standard": "Landlock and seccomp without namespaces",
    "none": "not confined: an agent can act as you; only when asked for",
}
_HINTS = {
    "landlock": "needs Linux 5.13 or newer, with `landlock` in the kernel's lsm= list",
    "seccomp": "needs a kernel built with CONFIG_SECCOMP_FILTER",
    "namespaces": (
        "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, on Ubuntu also "
        "kernel.apparmor_restrict_unprivileged_userns=0; in Docker --security-opt seccomp=unconfined"
    ),
    "overlay": "optional: makes workspaces of large repositories cheaper in a later version",
    "secret_memory": "optional: keeps keys out of the kernel's own reach in a later version",
    "bubblewrap": "optional: not used, confinement is set up directly",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb: 0, or 7 where no level of confinement is to be had."""
    from agentos.drivers.probe import agents, probe, program_version

    found = probe()
    report = {
        "levels": {level: bool(mechanism.value) for level, mechanism in found.levels.items()},
        "mechanisms": {name: mechanism.value for name, mechanism in found.mechanisms.items()},
        "default": found.default,
        "reasons": {
            name: mechanism.reason
            for name, mechanism in [*found.levels.items(), *found.mechanisms.items()]
            if mechanism.reason
        },
        "git": program_version("git"),
        "agents": agents(os.environ.get("PATH", os.defpath)),
        "models": _models(),
    }
    if arguments.json:
        print(json.dumps(report))
    else:
        print("\n".join(_lines(found, report)))
    return 0 if found.default else 7


def _models() -> list[dict[str, Any]]:
    """Providers whose key or base URL is set here; never the values of keys."""
    from agentos.models.reference import providers

    return [
        {
            "provider": name,
            "url": os.environ.get(provider.url_variable) or provider.url,
            "key": provider.key_variable if _is_set(provider.key_variable) else None,
        }
        for name, provider in providers().items()
        if _is_set(provider.key_variable) or _is_set(provider.url_variable)
    ]


def _is_set(variable: str | None) -> bool:
    return bool(variable and os.environ.get(variable))


def _lines(found: Probe, report: dict[str, Any]) -> list[str]:
    python = ".".join(map(str, sys.version_info[:3]))
    lines = [f"{platform.system()} {platform.release()} on {platform.machine()}, Python {python}", ""]
    lines.append("confinement levels")
    for level, mechanism in found.levels.items():
        default = " (default)" if level == found.default else ""
        lines += _entry(
            level + default, mechanism.value, _MEANING[level] if mechanism.value else mechanism.reason
        )
    lines += ["", "mechanisms"]
    for name, mechanism in found.mechanisms.items():
        lines += _entry(name.replace("_", " "), mechanism.value, _shown(mechanism.value) or mechanism.reason)
        if not mechanism.value:
            lines.append(f"      → {_HINTS[name]}")
    lines += ["", "programs"]
    lines += _entry("git", report["git"], report["git"] or "not found: batches need it")
    for name, file in report["agents"].items():
        lines += _entry(name, True, file)
    if not report["agents"]:
        lines.append("  - agents       none found on PATH")
    lines += ["", "models"]
    for model in report["models"]:
        lines += _entry(
            model["provider"], True, f"{model['url']}" + (f", {model['key']} is set" if model["key"] else "")
        )
    if not report["models"]:
        lines.append(
            "  - none: set ANTHROPIC_API_KEY or OPENAI_API_KEY, or name a local model (--model ollama/…)"
        )
    return lines


def _entry(name: str, works: object, detail: str | None) -> list[str]:
    return [f"  {'✓' if works else '✗'} {name:<16} {detail or ''}".rstrip()]


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {entry}" for key, entry in value.items())
    return value if isinstance(value, str) else ""
