"""The façade of mailboxes: messages pass once, full ones hold back, a circle of waits is an error."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest
import trio
import trio.testing

from agentos.errors import BudgetExceeded, Denied
from agentos.kernel import Kernel, open_kernel
from agentos.messages import (
    ANY,
    Blob,
    CallAction,
    Content,
    Labels,
    Limit,
    Mailbox,
    MailboxSpec,
    Message,
    Pid,
    Spawn,
    Text,
    Tool,
)
from kernels import Clock, in_kernel

NO_LIMIT = Limit()
GRANTS = [Mailbox(name=ANY), Tool(tool=ANY), Spawn()]


async def member(
    kernel: Kernel, name: str, parent: Pid | None = None, *, messages: int = 64, budget: Limit = NO_LIMIT
) -> Pid:
    child = await kernel.spawn(
        kernel.root if parent is None else parent,
        name,
        key=name,
        grants=GRANTS,
        budget=budget,
        mailbox=MailboxSpec(messages=messages),
    )
    return child.pid


def test_a_message_is_answered_and_its_labels_go_along() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        a, b = await member(kernel, "a"), await member(kernel, "b")
        ticket = await kernel.request(a, CallAction(tool="t"), key="learn")
        await kernel.complete(ticket, "ok", labels=Labels(secrecy="private"))
        asked = await kernel.send(a, "b", "what is it?", key="1")
        message = await kernel.receive(b)
        assert message == Message(
            id=asked,
            pid=a,
            sender="a",
            content=Text(text="what is it?"),
            reply_to=None,
            labels=Labels(secrecy="private"),
        )
        assert [row.labels.secrecy for row in kernel.processes() if row.pid == b] == ["private"]
        await kernel.send(b, "a", "this", key="1", reply_to=message.id)
        assert (await kernel.receive(a, b)).reply_to == asked

    in_kernel(test)


@pytest.mark.parametrize("body", ["x" * 1_025, "\x01" * 171, b"bytes", "ü" * 513])
def test_what_no_entry_holds_goes_into_a_blob(body: str | bytes) -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        a, b = await member(kernel, "a"), await member(kernel, "b")
        await kernel.send(a, "b", body, key="1")
        content: Content = (await kernel.receive(b)).content
        assert isinstance(content, Blob)
        data = body.encode() if isinstance(body, str) else body
        assert (kernel.blob(content.digest), content.size) == (data, len(data))

    in_kernel(test)


def test_the_longest_text_stays_in_its_entry() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        a, b = await member(kernel, "a"), await member(kernel, "b")
        text = '"' * 100 + "ü" * 412
        await kernel.send(a, "b", text, key="1")
        assert (await kernel.receive(b)).content == Text(text=text)

    in_kernel(test)


def test_a_full_mailbox_holds_its_senders_back() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        a, b = await member(kernel, "a"), await member(kernel, "b", messages=1)
        await kernel.send(a, "b", "1", key="1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: kernel.send(a, "b", "2", key="2"))
            await trio.testing.wait_all_tasks_blocked()
            [row] = [row for row in kernel.processes() if row.pid == a]
            assert (row.state, row.waiting_on) == ("waiting", "the mailbox of `b`")
            assert (await kernel.receive(b)).content == Text(text="1")
        assert (await kernel.receive(b)).content == Text(text="2")

    in_kernel(test)


def test_nobody_sends_to_who_has_exited() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        a, b = await member(kernel, "a"), await member(kernel, "b")
        await kernel.exit(b, "done")
        with pytest.raises(Denied) as denied:
            await kernel.send(a, "b", "?", key="1", to=b)
        assert denied.value.name == "exited"

    in_kernel(test)


def test_a_receive_that_nothing_comes_for_ends_at_its_deadline() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        b = await member(kernel, "b")
        with pytest.raises(Denied) as denied:
            await kernel.receive(b, deadline_us=clock.now_us)
        assert denied.value.name == "deadline"

    in_kernel(test)


def test_two_that_wait_for_each_other_are_told_at_once() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        a, b = await member(kernel, "a"), await member(kernel, "b")
        got: list[Message] = []

        async def older() -> None:
            got.append(await kernel.receive(a, b))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(older)
            await trio.testing.wait_all_tasks_blocked()
            [row] = [row for row in kernel.processes() if row.pid == a]
            assert (row.state, row.waiting_on) == ("waiting", "a message from `b`")
            with pytest.raises(Denied, match="`b` waits for a message from `a`") as denied:
                await kernel.receive(b, a)
            assert denied.value.name == "deadlock"
            await kernel.send(b, "a", "never mind", key="1")
        assert [message.content for message in got] == [Text(text="never mind")]

    in_kernel(test)


def test_a_parent_waits_for_the_end_of_its_child() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        parent = await member(kernel, "parent")
        child = await member(kernel, "child", parent)
        ends: list[str] = []

        async def wait() -> None:
            ends.append(await kernel.wait(parent, child))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await kernel.exit(child, "failed")
        assert [*ends, await kernel.wait(parent, child)] == ["failed", "failed"]
        with pytest.raises(Denied) as denied:
            await kernel.wait(child, parent)
        assert denied.value.name in {"child", "stale"}

    in_kernel(test)


def test_calls_without_end_use_up_the_turns_of_their_task() -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        task = await member(kernel, "task", budget=Limit(turns=6))
        pids = [await member(kernel, name, task) for name in ("a", "b")]
        sent = 0
        with pytest.raises(BudgetExceeded):
            while True:
                me, other = pids[sent % 2], "ba"[sent % 2]
                await kernel.send(me, other, "and you?", key=str(sent))
                await kernel.receive(pids[1 - sent % 2])
                sent += 1
        assert sent == 6

    in_kernel(test)


def test_a_cancelled_receive_leaves_the_message_to_the_next(tmp_path: FilePath) -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        a, b = await member(kernel, "a"), await member(kernel, "b")
        with trio.move_on_after(0.01):
            await kernel.receive(b)
        await kernel.send(a, "b", "1", key="1")
        assert (await kernel.receive(b)).content == Text(text="1")

    in_kernel(test, tmp_path / "kernel.db")


def test_a_receive_cancelled_while_its_message_goes_to_disk_still_has_it(tmp_path: FilePath) -> None:
    async def test(kernel: Kernel, clock: Clock) -> None:
        a, b = await member(kernel, "a"), await member(kernel, "b")
        got: list[Message] = []

        async def receive(scope: trio.CancelScope) -> None:
            with scope:
                got.append(await kernel.receive(b))

        scope = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, scope)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(lambda: kernel.send(a, "b", "1", key="1"))
            # The send is decided as soon as its task runs, and durable only later.
            await trio.lowlevel.checkpoint()
            scope.cancel()
        assert [message.content for message in got] == [Text(text="1")]

    in_kernel(test, tmp_path / "kernel.db")


def test_messages_outlive_their_daemon_and_pass_once(tmp_path: FilePath) -> None:
    database = tmp_path / "kernel.db"
    pids: list[Pid] = []

    async def first(kernel: Kernel, clock: Clock) -> None:
        pids.extend([await member(kernel, "a"), await member(kernel, "b")])
        for text in ("1", "2"):
            await kernel.send(pids[0], "b", text, key=text)
        assert (await kernel.receive(pids[1])).content == Text(text="1")

    async def second(kernel: Kernel, clock: Clock) -> None:
        assert (await kernel.receive(pids[1])).content == Text(text="2")
        with pytest.raises(Denied) as denied:
            await kernel.receive(pids[1], deadline_us=clock.now_us)
        assert denied.value.name == "deadline"

    in_kernel(first, database)
    in_kernel(second, database)


def test_a_receive_ends_though_all_around_it_is_cancelled(tmp_path: FilePath) -> None:
    async def main() -> None:
        with trio.fail_after(20), trio.CancelScope() as outer:
            async with open_kernel(tmp_path / "kernel.db") as kernel:
                await kernel.epoch()
                b = await member(kernel, "b")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(kernel.receive, b)
                    await trio.testing.wait_all_tasks_blocked()
                    outer.cancel()
        assert outer.cancelled_caught

    trio.run(main)
