"""Gives OpenFang's capabilities, as scopes, to a process of a real kernel, and asks for things."""

from __future__ import annotations

from typing import Any

import trio

from agentos.errors import AgentOSError, Denied, UsageError
from agentos.kernel import Kernel, open_kernel
from agentos.messages import AnyScope, Pid, SendAction, Spawn
from agentos.policy import action
from agentos.runtime.openfang_capability import KINDS, described, read_capability, scope_of

FILES = ("/data/file.txt", "/etc/hosts")
"""What is a file, for capabilities that name one."""


def run(given: dict[str, Any]) -> dict[str, Any]:
    if "kinds" in given:
        return {"kinds": sorted(KINDS)}
    if "read" in given:
        try:
            return {"read": str(read_capability(given["read"]))}
        except UsageError as error:
            return {"refused": error.message}
    outcome: dict[str, Any] = trio.run(_played, given)
    return outcome


def scopes(capabilities: list[dict[str, Any]]) -> tuple[list[AnyScope], list[str]]:
    """What is taken of capabilities, and why the others are not."""
    taken: list[AnyScope] = []
    reasons = []
    for one in capabilities:
        try:
            taken.append(scope_of(read_capability(one), is_file=FILES.__contains__))
        except UsageError as error:
            reasons.append(error.message)
    return taken, reasons


async def _played(given: dict[str, Any]) -> dict[str, Any]:
    taken, reasons = scopes(given["parent"] if "parent" in given else given["held"])
    async with open_kernel(None) as kernel:
        await kernel.epoch()
        agent = await kernel.spawn(kernel.root, "agent", key="a", grants=[*taken, Spawn()])
        asking = agent.pid
        if "child" in given:
            wanted, more = scopes(given["child"])
            reasons += more
            try:
                asking = (await kernel.spawn(agent.pid, "child", key="c", grants=wanted)).pid
            except Denied as denied:
                return {"said": ["no child"], "reason": denied.message}
        for name in {words[5:] for words in given["asks"] if words.startswith("send ")}:
            await kernel.spawn(kernel.root, name, key=f"box {name}")
        said = [await _asked(kernel, asking, number, words) for number, words in enumerate(given["asks"])]
    return {
        "said": said,
        "taken": len(taken),
        "means": [described(one) for one in taken],
        "reason": reasons[0].rpartition(": ")[2] if reasons else "",
    }


async def _asked(kernel: Kernel, pid: Pid, number: int, words: str) -> str:
    try:
        wanted = action(words)
        if isinstance(wanted, SendAction):
            await kernel.send(pid, wanted.mailbox, "", key=str(number))
            return "go"
        ticket = await kernel.request(pid, wanted, key=str(number))
    except Denied as denied:
        return denied.stage or "denied"
    except AgentOSError as error:
        return str(error.message)
    await kernel.complete(ticket, "ok")
    return "go"
