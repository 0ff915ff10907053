"""Reads OpenFang's manifests as agents of ours, and names processes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import trio
from tests.conformance.adapters.texts import text

from agentos.errors import AgentOSError, UsageError
from agentos.kernel import open_kernel
from agentos.runtime.openfang_manifest import PROFILES, WATCHING, implied_by, read_manifest, translated


def run(given: dict[str, Any]) -> dict[str, Any]:
    if "profile" in given:
        implied = _plain(implied_by(given["profile"]))
        return {**implied, "tools": list(PROFILES[given["profile"]])}
    if "assist" in given:
        return {"assist": sorted(WATCHING)}
    if "named" in given:
        named: dict[str, Any] = trio.run(_named, text(given["named"]))
        return named
    if "file" in given:
        return _file(given["file"], given["text"])
    try:
        return _shown(translated(given["manifest"], where="agent.toml"))
    except UsageError as error:
        return {"refused": error.message}


def _plain(struct: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(struct))
    return plain


def _shown(found: Any) -> dict[str, Any]:
    agent = _plain(found.agent)
    return {
        **{key: "none" if value is None else value for key, value in agent.items()},
        "read": agent["grants"]["read"],
        "write": agent["grants"]["write"],
        "means": list(found.given[1:]),
        "left_out": sorted({line.partition(": ")[0] for line in found.left_out}),
    }


def _file(name: str, content: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(content)
        try:
            found = read_manifest(path)
        except UsageError as error:
            return {"refused": error.message, "where": Path(error.where or "").name}
        return {"manifest": found is not None, **({} if found is None else _shown(found))}


async def _named(name: str) -> dict[str, Any]:
    """What becomes of processes of this name, two of them."""
    async with open_kernel(None) as kernel:
        await kernel.epoch()
        try:
            pids = [(await kernel.spawn(kernel.root, name, key=key)).pid for key in ("a", "b")]
        except AgentOSError:
            return {"taken": False}
        names = [kernel.name("p", pid) for pid in pids]
        rows = [row.name for row in kernel.processes() if row.pid in pids]
        return {
            "taken": True,
            "kept": rows == [name, name],
            "different": len({*pids}) == len({*names}) == 2,
            "start": {public[:2] for public in names} == {"p-"},
            "found": [kernel.pid(public) for public in names] == pids,
        }
