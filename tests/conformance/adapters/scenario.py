"""Plays steps on a real kernel, and tells what became of each.

A step is a table whose first key says what is done. What an agent wants is written as `agentos policy
explain` takes it, what it may as a scope, or as OpenFang stores a capability (`type` and `value`).

    { spawn = "a", by = "root", grants = […], budget = { usd = "1.00", tokens = 9 }, restart = "on_failure",
      supervises = { … } }
    { ask = "a", to = "read /w/x", estimate = { … }, lane = "l", digest = "…", unattended = true }
    { exit = "a", status = "failed" }     { kill = "a", by = "b" }     (also suspend, resume, cancel)
    { answer = "approve", standing = true }     the oldest open question
    { complete = "a", outcome = "ok", cost = { … }, labels = { … } }     the oldest ticket that it holds
    { later = 60 }     seconds
    { lane = "l", places = 2 }     { press = "l", seconds = 9 }     { rules = […] }
    { send = "a", to = "b", text = "…" }     { receive = "b" }     (`mailbox = 2` at a spawn: its size)

An `ask` brings `go`, `wait`, `ask`, or the stage that denied it. What went is done at once, and costs `cost`
(or its estimate), unless it is to `hold` its ticket. `now` tells what has become of each `ask` in the end.
All other steps bring `done`, or the stage that refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import trio
import trio.testing

from agentos.errors import AgentOSError, BudgetExceeded, Denied
from agentos.kernel import Kernel, Ticket, open_kernel
from agentos.messages import (
    AnyEvent,
    AnyScope,
    Cost,
    Grant,
    Labels,
    Limit,
    MailboxSpec,
    Pid,
    RequestId,
    RestartedEvent,
    Rule,
    StateEvent,
    Supervision,
    Text,
)
from agentos.money import micros, usd
from agentos.policy import action
from agentos.runtime.openfang_capability import Untranslatable, read_capability, scope_of

START_US = 1_900_000_000_000_000


def run(given: dict[str, Any]) -> dict[str, Any]:
    outcome: dict[str, Any] = trio.run(_play, given["steps"])
    return outcome


async def _play(steps: list[dict[str, Any]]) -> dict[str, Any]:
    clock = [START_US]
    with trio.fail_after(30):
        async with open_kernel(None, clock=lambda: clock[0]) as kernel, trio.open_nursery() as nursery:
            await kernel.epoch()
            scenario = Scenario(kernel, nursery, clock)
            said = [await scenario.step(step) for step in steps]
            outcome = scenario.told()
            nursery.cancel_scope.cancel()
    return {"said": said, **outcome}


class Scenario:
    """The kernel, and the processes by the names that the steps use."""

    def __init__(self, kernel: Kernel, nursery: trio.Nursery, clock: list[int]) -> None:
        self._kernel = kernel
        self._nursery = nursery
        self._clock = clock
        self._pids: dict[str, Pid] = {"root": kernel.root}
        self._tickets: dict[str, list[Ticket]] = {}
        self._ended: dict[Pid, str | None] = {}
        self._asked: list[_Asked] = []
        self._reasons: list[str] = []
        self._counter = 0
        self._answered: RequestId = 0
        kernel.watchers.append(self._watch)

    def _watch(self, event: AnyEvent) -> None:
        if isinstance(event, RestartedEvent):
            for name, pid in self._pids.items():
                if pid == event.old:
                    self._pids[name] = event.pid
        elif isinstance(event, StateEvent) and event.state.state == "exited":
            self._ended[event.pid] = event.state.status

    async def step(self, step: dict[str, Any]) -> str:
        """What came of one step."""
        self._counter += 1
        try:
            if "ask" in step or "send" in step or "receive" in step:
                return await self._ask(step)
            await self._do(step)
        except BudgetExceeded:
            return "budget"
        except Denied as denied:
            self._reasons.append(denied.name or "")
            return denied.stage or "denied"
        except Untranslatable:
            return "untranslatable"
        await self._settle()
        return "done"

    async def _do(self, step: dict[str, Any]) -> None:
        kernel = self._kernel
        [verb, *_] = step
        if verb == "spawn":
            await self._spawn(step)
        elif verb == "exit":
            await kernel.exit(self._pids[step["exit"]], step["status"])
        elif verb in ("suspend", "resume", "cancel", "kill"):
            by = self._pids[step["by"]] if "by" in step else None
            await kernel.signal(self._pids[step[verb]], verb, by=by)
        elif verb == "answer":
            open_ones = kernel.questions()
            self._answered = open_ones[0].request if open_ones else self._answered
            approve = step["answer"] == "approve"
            await kernel.answer(self._answered, approve=approve, standing=step.get("standing", False))
        elif verb == "complete":
            held = self._tickets[step["complete"]]
            ticket = held[0] if step.get("keep") else held.pop(0)
            labels = msgspec.convert(step.get("labels", {}), Labels)
            await kernel.complete(ticket, step.get("outcome", "ok"), _cost(step.get("cost", {})), labels)
        elif verb == "later":
            self._clock[0] += round(step["later"] * 1_000_000)
            await kernel.put("time", "now", {"us": self._clock[0]})
        elif verb == "rules":
            await kernel.set_rules(msgspec.convert(step["rules"], list[Rule]), f"{self._counter}")
        elif verb == "lane":
            await kernel.lane(step["lane"], step["places"])
        elif verb == "press":
            await kernel.pressure(step["press"], step["seconds"])
        else:
            raise AssertionError(f"no such step: {step}")

    async def _spawn(self, step: dict[str, Any]) -> None:
        budget = step.get("budget", {})
        limit = Limit(
            usd_micros=micros(budget["usd"]) if "usd" in budget else None,
            tokens=budget.get("tokens"),
            turns=budget.get("turns"),
        )
        supervises = step.get("supervises")
        child = await self._kernel.spawn(
            self._pids[step.get("by", "root")],
            step.get("called", step["spawn"]),
            key=f"{self._counter}",
            grants=[grant(one) for one in step.get("grants", [])],
            budget=limit,
            supervises=None if supervises is None else msgspec.convert(supervises, Supervision),
            restart=step.get("restart", "never"),
            mailbox=MailboxSpec(messages=step["mailbox"]) if "mailbox" in step else MailboxSpec(),
        )
        self._pids[step["spawn"]] = child.pid

    async def _ask(self, step: dict[str, Any]) -> str:
        asked = _Asked(step, f"{self._counter}")
        self._asked.append(asked)
        self._nursery.start_soon(self._request, asked)
        await self._settle()
        if asked.said:
            return asked.said
        pid = self._pids[asked.name]
        waits_for_person = any(question.pid == pid for question in self._kernel.questions())
        asked.said = "ask" if waits_for_person else "wait"
        return asked.said

    async def _request(self, asked: _Asked) -> None:
        try:
            await (self._requested(asked) if "ask" in asked.step else self._message(asked))
        except AgentOSError as error:
            asked.said = "budget" if isinstance(error, BudgetExceeded) else getattr(error, "stage", "") or ""
            self._reasons.append(getattr(error, "name", "") or "")

    async def _message(self, asked: _Asked) -> None:
        step, pid = asked.step, self._pids[asked.name]
        if "send" in step:
            await self._kernel.send(pid, step["to"], step.get("text", ""), key=asked.key)
            asked.said = "go"
        else:
            message = await self._kernel.receive(pid)
            content = message.content
            asked.said = content.text if isinstance(content, Text) else "blob"

    async def _requested(self, asked: _Asked) -> None:
        step = asked.step
        estimate = _cost(step.get("estimate", {}))
        ticket = await self._kernel.request(
            self._pids[step["ask"]],
            action(step["to"]),
            key=step.get("key", asked.key),
            estimate=estimate,
            lane=step.get("lane"),
            digest=step.get("digest"),
            unattended=step.get("unattended", False),
            priority=step.get("priority", "normal"),
            deadline_us=self._clock[0] + step["within"] * 1_000_000 if "within" in step else None,
        )
        asked.said = "go"
        if step.get("hold"):
            self._tickets.setdefault(step["ask"], []).append(ticket)
        else:
            cost = _cost(step["cost"]) if "cost" in step else estimate
            labels = msgspec.convert(step.get("labels", {}), Labels)
            await self._kernel.complete(ticket, step.get("outcome", "ok"), cost, labels)

    async def _settle(self) -> None:
        """Until nothing moves any more: whoever can go on has gone on, and is on disk."""
        for _ in range(3):
            await trio.testing.wait_all_tasks_blocked()
            await self._kernel.wait_durable()
        await trio.testing.wait_all_tasks_blocked()

    def told(self) -> dict[str, Any]:
        rows = {row.pid: row for row in self._kernel.processes()}
        known = [(name, rows.get(pid), pid) for name, pid in self._pids.items() if name != "root"]
        return {
            "now": [asked.said for asked in self._asked],
            "reasons": self._reasons,
            "processes": [row.name for row in rows.values() if row.name != "root"],
            "states": {
                name: row.status or row.state if row else self._ended.get(pid) or "gone"
                for name, row, pid in known
            },
            "restarts": {name: row.restarts for name, row, _ in known if row},
            "labels": {name: [row.labels.secrecy, row.labels.integrity] for name, row, _ in known if row},
            "spent": dict(_spent(known)),
            "different": len(set(self._pids.values())) == len(self._pids),
            "questions": [msgspec.to_builtins(one.action) for one in self._kernel.questions()],
        }


class _Asked:
    def __init__(self, step: dict[str, Any], key: str) -> None:
        self.step = step
        self.key = key
        self.name = next(step[verb] for verb in ("ask", "send", "receive") if verb in step)
        self.said = ""


def _spent(known: list[tuple[str, Any, Pid]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, row, _ in known:
        if row:
            yield name, {"usd": usd(row.spent.usd_micros), "tokens": row.spent.tokens}


def _cost(given: dict[str, Any]) -> Cost:
    rest = {key: value for key, value in given.items() if key != "usd"}
    return Cost(usd_micros=micros(given.get("usd", "0")), **rest)


def grant(given: dict[str, Any]) -> Grant:
    """A scope of ours by its `type` (lower case), or what a capability of OpenFang's means."""
    bounds = {key: given[key] for key in ("uses", "expires_us") if key in given}
    scope = {key: value for key, value in given.items() if key not in bounds}
    if scope["type"][0].isupper():
        return Grant(scope=scope_of(read_capability(scope)), **bounds)
    found: AnyScope = msgspec.convert(scope, AnyScope)
    return Grant(scope=found, **bounds)
