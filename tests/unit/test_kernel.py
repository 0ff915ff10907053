"""The façade of the kernel: decisions become returns and exceptions, waits can be cancelled, time acts."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest
import trio
import trio.testing

from agentos.errors import BudgetExceeded, Denied, JournalError, MissingMechanism
from agentos.kernel import Kernel, ReadOnlyKernel, audit_entries, open_kernel
from agentos.messages import (
    ANY,
    AnyEvent,
    CallAction,
    Cost,
    GroupSpec,
    Limit,
    Path,
    Priority,
    Rates,
    ReadAction,
    RestartedEvent,
    Spawn,
    Supervision,
    Tool,
)
from kernels import Clock, in_kernel

TOOL = CallAction(tool="t")
ANY_TOOL = Tool(tool=ANY)


def test_what_is_not_held_is_denied_with_its_name() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        child = await kernel.spawn(kernel.root, "c", key="c", grants=[Path(path="/w", rights="read")])
        await kernel.request(child.pid, ReadAction(path="/w/x"), key="1")
        with pytest.raises(Denied) as denied:
            await kernel.request(child.pid, ReadAction(path="/etc/passwd"), key="2")
        assert (denied.value.stage, denied.value.name) == ("capability", "read /etc/passwd")

    in_kernel(test)


def test_a_budget_that_is_used_up_refuses() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        budget = Limit(usd_micros=100)
        child = await kernel.spawn(kernel.root, "c", key="c", grants=[ANY_TOOL], budget=budget)
        ticket = await kernel.request(child.pid, TOOL, key="1", estimate=Cost(usd_micros=90))
        await kernel.complete(ticket, "ok", Cost(usd_micros=60))
        with pytest.raises(BudgetExceeded):
            await kernel.request(child.pid, TOOL, key="2", estimate=Cost(usd_micros=41))
        await kernel.request(child.pid, TOOL, key="3", estimate=Cost(usd_micros=40))

    in_kernel(test)


def test_a_request_waits_for_its_turn_and_a_cancelled_wait_leaves_the_queue() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        await kernel.lane("l", 1)
        first = await kernel.request(kernel.root, TOOL, key="1", lane="l")
        with trio.move_on_after(0) as scope:
            await kernel.request(kernel.root, TOOL, key="2", lane="l")
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            went: list[int] = []

            async def third() -> None:
                went.append((await kernel.request(kernel.root, TOOL, key="3", lane="l")).id)

            nursery.start_soon(third)
            await trio.testing.wait_all_tasks_blocked()
            assert went == []
            await kernel.complete(first, "ok")
        assert len(went) == 1

    in_kernel(test)


def test_a_request_cancelled_while_its_decision_goes_to_disk_gives_its_ticket_back(
    tmp_path: FilePath,
) -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        await kernel.lane("l", 1)
        first = await kernel.request(kernel.root, TOOL, key="1", lane="l")
        scope = trio.CancelScope()

        async def second() -> None:
            with scope:
                await kernel.request(kernel.root, TOOL, key="2", lane="l")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(second)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(kernel.complete, first, "ok")
            # The second is decided as soon as that runs, and told only once it is durable.
            await trio.lowlevel.checkpoint()
            scope.cancel()
        await kernel.request(kernel.root, TOOL, key="3", lane="l")

    in_kernel(test, tmp_path / "kernel.db")


def test_a_repeat_of_a_waiting_request_gets_the_answer_of_the_first() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        await kernel.lane("l", 1)
        first = await kernel.request(kernel.root, TOOL, key="1", lane="l")
        got: list[int] = []

        async def ask(cancelled: trio.CancelScope) -> None:
            with cancelled:
                got.append((await kernel.request(kernel.root, TOOL, key="2", lane="l")).id)

        async with trio.open_nursery() as nursery:
            scopes = [trio.CancelScope() for _ in range(3)]
            for scope in scopes:
                nursery.start_soon(ask, scope)
            await trio.testing.wait_all_tasks_blocked()
            # Who gives up takes nothing from the others.
            scopes[0].cancel()
            await trio.testing.wait_all_tasks_blocked()
            await kernel.complete(first, "ok")
        assert len(got) == 2 and len(set(got)) == 1
        await kernel.complete(got[0], "ok")

    in_kernel(test)


def test_killing_a_process_asks_its_performers_to_stop() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        parent = await kernel.spawn(kernel.root, "p", key="p", grants=[ANY_TOOL, Spawn()])
        child = await kernel.spawn(parent.pid, "c", key="c", grants=[ANY_TOOL])
        ticket = await kernel.request(child.pid, TOOL, key="1")
        await kernel.signal(parent.pid, "kill")
        await ticket.cancelled.wait()
        with pytest.raises(Denied):
            await kernel.request(child.pid, TOOL, key="2")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kernel.wait_exited, parent.pid)
            await trio.testing.wait_all_tasks_blocked()
            await kernel.complete(ticket, "cancelled")
        assert [row.name for row in kernel.processes()] == ["root"]

    in_kernel(test)


def test_a_spawn_waits_for_a_place_in_its_group() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        group = GroupSpec(weight=1, concurrency=2)
        batch = await kernel.spawn(kernel.root, "b", key="b", grants=[Spawn()], group=group)
        running = most = 0

        async def unit(number: int) -> None:
            nonlocal running, most
            child = await kernel.spawn(batch.pid, f"u{number}", key=f"u{number}", lane="exec")
            running += 1
            most = max(most, running)
            await trio.testing.wait_all_tasks_blocked()
            running -= 1
            await kernel.exit(child.pid, "done")

        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(unit, number)
        assert most == 2
        assert sum(row.name.startswith("u") and row.state == "exited" for row in kernel.processes()) == 6

    in_kernel(test)


def test_a_waiting_request_is_denied_at_its_deadline() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        await kernel.lane("l", 0)
        caught: list[Denied] = []

        async def late() -> None:
            try:
                await kernel.request(kernel.root, TOOL, key="1", lane="l", deadline_us=2_000_000)
            except Denied as denied:
                caught.append(denied)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(late)
            await trio.testing.wait_all_tasks_blocked()
            clock.now_us = 2_000_000
            await kernel.lane("other", 1)
        assert [denied.name for denied in caught] == ["deadline"]

    in_kernel(test)


def test_a_more_urgent_request_goes_first() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        await kernel.lane("l", 1)
        open_ticket = await kernel.request(kernel.root, TOOL, key="open", lane="l")
        order: list[str] = []

        async def ask(priority: Priority) -> None:
            ticket = await kernel.request(kernel.root, TOOL, key=priority, lane="l", priority=priority)
            order.append(priority)
            await kernel.complete(ticket, "ok")

        priorities: tuple[Priority, ...] = ("low", "normal", "critical", "high")
        async with trio.open_nursery() as nursery:
            for priority in priorities:
                nursery.start_soon(ask, priority)
                await trio.testing.wait_all_tasks_blocked()
            await kernel.complete(open_ticket, "ok")
        assert order == ["critical", "high", "normal", "low"]

    in_kernel(test)


def test_a_lane_that_is_pressed_or_has_given_its_rate_opens_in_time() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        went: list[str] = []

        async def ask(lane: str) -> None:
            await kernel.request(kernel.root, TOOL, key=f"late {lane}", lane=lane)
            went.append(lane)

        await kernel.lane("rated", 9, Rates(requests_per_minute=1))
        await kernel.request(kernel.root, TOOL, key="1", lane="rated")
        await kernel.lane("pressed", 9)
        await kernel.pressure("pressed", 20.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "rated")
            nursery.start_soon(ask, "pressed")
            for seconds, expected in ((19, []), (20, ["pressed"]), (59, []), (60, ["rated"])):
                clock.now_us = 1_000_000 + seconds * 1_000_000
                await kernel.lane("other", seconds)
                await trio.testing.wait_all_tasks_blocked()
                assert went == expected
                went.clear()

    in_kernel(test)


def test_no_lane_and_no_rate_are_refused() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        with pytest.raises(Denied, match="set its capacity first"):
            await kernel.pressure("nowhere", 1.0)
        with pytest.raises(Denied, match="rate of lane `l` is 0"):
            await kernel.lane("l", 1, Rates(tokens_per_minute=0))

    in_kernel(test)


def test_what_was_acknowledged_is_there_for_the_next_kernel(tmp_path: FilePath) -> None:
    database = tmp_path / "kernel.db"

    async def first(kernel: Kernel, clock: Clock) -> None:
        await kernel.put("unit", "u-1", {"state": "running"})
        digest = await kernel.blob_put(b"plan")
        await kernel.stream_append("log", b"hello ")
        await kernel.stream_append("log", b"there")
        await kernel.put("unit", "u-1", {"state": "committed", "plan": digest})

    in_kernel(first, database)
    reader = ReadOnlyKernel.load(database)
    record = reader.record("unit", "u-1")
    assert record is not None and record["state"] == "committed"
    assert reader.blob(record["plan"]) == b"plan"
    assert reader.stream("log", 6) == b"there"
    home = reader.record("home", "id")

    async def second(kernel: Kernel, clock: Clock) -> None:
        assert kernel.record("unit", "u-1") == record
        assert kernel.record("home", "id") == home

    in_kernel(second, database)


def test_output_waits_for_a_disk_that_is_far_behind(tmp_path: FilePath) -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        for _ in range(3):
            await kernel.stream_append("log", bytes(40 << 20))
            assert kernel._kernel.crowded()
            await kernel.stream_append("log", b"then")
            assert not kernel._kernel.crowded()

    in_kernel(test, tmp_path / "kernel.db")


def test_a_second_writer_is_refused(tmp_path: FilePath) -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        with pytest.raises(MissingMechanism):
            async with open_kernel(tmp_path / "kernel.db"):
                pass

    in_kernel(test, tmp_path / "kernel.db")


def test_a_damaged_journal_is_an_error_and_stays_as_it_is(tmp_path: FilePath) -> None:
    database = tmp_path / "kernel.db"
    database.write_bytes(b"this is no journal" * 400)
    before = database.read_bytes()
    with pytest.raises(JournalError):
        ReadOnlyKernel.load(database)

    async def test(kernel: Kernel, clock: Clock) -> None:
        raise AssertionError("it opened")

    with pytest.raises((JournalError, BaseExceptionGroup)):
        in_kernel(test, database)
    assert database.read_bytes() == before


def test_a_record_that_is_too_large_is_refused() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        with pytest.raises(Denied) as denied:
            await kernel.put("k", "i", {"x": "y" * 4000})
        assert denied.value.name == "record"

    in_kernel(test)


def test_public_names_differ_between_homes(tmp_path: FilePath) -> None:
    names = []
    for home in ("a", "b"):

        async def test(kernel: Kernel, clock: Clock) -> None:
            names.append(kernel.name("p", kernel.root))
            assert kernel.pid(names[-1][:8]) == kernel.root

        (tmp_path / home).mkdir()
        in_kernel(test, tmp_path / home / "kernel.db")
    assert names[0] != names[1]


def test_a_fallen_child_of_a_supervisor_lives_on_in_a_new_process(tmp_path: FilePath) -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        keeper = await kernel.spawn(
            kernel.root,
            "keeper",
            key="keeper",
            grants=[Spawn()],
            supervises=Supervision(strategy="one_for_one", restarts=1, within_us=10**9),
        )
        child = await kernel.spawn(keeper.pid, "worker", key="worker", restart="on_failure")
        told = trio.Event()
        found: list[RestartedEvent] = []

        def watch(event: AnyEvent) -> None:
            if isinstance(event, RestartedEvent):
                found.append(event)
                told.set()

        kernel.watchers.append(watch)
        await kernel.exit(child.pid, "failed")
        await told.wait()
        assert (found[0].old, found[0].name) == (child.pid, "worker")
        row = next(row for row in kernel.processes() if row.pid == found[0].pid)
        assert (row.parent, row.restarts) == (keeper.pid, 1)
        # One restart was all: the second fall takes the supervisor along.
        await kernel.exit(found[0].pid, "failed")
        await kernel.wait_exited(keeper.pid)

    in_kernel(test, tmp_path / "kernel.db")
    # What was written can be read back.
    names = [row.name for row in ReadOnlyKernel.load(tmp_path / "kernel.db").processes()]
    assert names == ["root"]


def test_a_pure_effect_passes_at_once_and_is_in_the_journal(tmp_path: FilePath) -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        child = await kernel.spawn(kernel.root, "c", key="c", grants=[ANY_TOOL])
        kernel.pass_pure(child.pid, "call", "t")
        with pytest.raises(Denied) as denied:
            kernel.pass_pure(child.pid, "read", "/etc/passwd")
        assert denied.value.stage == "capability"
        await kernel.wait_durable()

    database = tmp_path / "kernel.db"
    in_kernel(test, database)
    passed = [entry for entry in audit_entries(database) if "passed" in str(entry)]
    assert len(passed) == 1
