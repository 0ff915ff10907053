"""Model calls through a real broker process to a real HTTP server: replies, framings, failures, cutting."""

from __future__ import annotations

import socket

import pytest
import trio
from tests.model_calls import KEY, ask, credential, failure, patience, run, said, session

from agentos.drivers import model_events as seen
from agentos.testing import Framing, Reply, ScriptedModel, ToolCall, Usage

WIRES = ["anthropic", "openai"]


def base(server: ScriptedModel, wire: str) -> str:
    return server.url if wire == "anthropic" else server.openai_url


def call_one(reply: Reply, wire: str, **options: object) -> tuple[list[seen.ModelEvent], ScriptedModel]:
    async def test() -> list[seen.ModelEvent]:
        async with session(credential(wire, base(server, wire))) as broker:
            return await ask(broker, wire, **options)

    with ScriptedModel([reply]) as server:
        return run(test), server


FULL = Reply(
    text="Grüße, two words",
    thinking="hm",
    tool_calls=[ToolCall("t1", "read", {"path": "ä.py"}), ToolCall("t2", "list")],
    usage=Usage(input=7, output=9, cache_read=2),
)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "framing",
    [
        Framing(),
        Framing(chunk=1, piece=3, newline="\r\n", comments=True),
        Framing(body="length", piece=11, newline="\r"),
        Framing(body="close"),
    ],
)
def test_reply_arrives_whole_whatever_its_framing(wire: str, framing: Framing) -> None:
    events, server = call_one(Reply(**{**vars(FULL), "framing": framing}), wire)
    assert isinstance(events[0], seen.Started)
    assert said(events) == "Grüße, two words"
    starts = [event for event in events if isinstance(event, seen.ToolCallStart)]
    assert [(start.index, start.id, start.name) for start in starts] == [(0, "t1", "read"), (1, "t2", "list")]
    arguments = ["", ""]
    for event in events:
        if isinstance(event, seen.ToolCallDelta):
            arguments[event.index] += event.json
    assert arguments == ['{"path": "\\u00e4.py"}', "{}"]
    usage = [event for event in events if isinstance(event, seen.Usage)][-1]
    assert usage == seen.Usage(input=7, output=9, cache_read=2)
    assert isinstance(events[-2], seen.Stop) and events[-2].reason == "tool_use"
    assert events[-1] == seen.Done()
    assert any(isinstance(event, seen.ThinkingEnd) for event in events) == (wire == "anthropic")
    assert "hm" in [event.delta for event in events if isinstance(event, seen.Thinking)]
    [request] = server.requests
    sent = {"anthropic": ("x-api-key", KEY), "openai": ("authorization", f"Bearer {KEY}")}[wire]
    assert request.headers[sent[0]] == sent[1]
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("wire", WIRES)
def test_server_that_ignores_streaming_is_understood(wire: str) -> None:
    events, _ = call_one(Reply(**{**vars(FULL), "streamed": False}), wire)
    assert said(events) == "Grüße, two words"
    assert isinstance(events[-2], seen.Stop) and events[-2].reason == "tool_use"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid"),
        (401, "auth"),
        (404, "invalid"),
        (500, "http"),
        (503, "overloaded"),
        (529, "overloaded"),
    ],
)
def test_error_status_is_its_kind_with_the_providers_words(wire: str, status: int, kind: str) -> None:
    events, _ = call_one(Reply(status=status, error="what is wrong"), wire)
    error = failure(events)
    assert (error.kind, error.status, error.message) == (kind, status, "what is wrong")


@pytest.mark.parametrize("wire", WIRES)
def test_rate_limit_says_when_to_come_back(wire: str) -> None:
    events, _ = call_one(Reply(status=429, error="slow down", retry_after="2.5"), wire)
    error = failure(events)
    assert (error.kind, error.status, error.retry_after_ms) == ("rate_limit", 429, 2500)


def test_exhausted_quota_is_not_a_rate_limit() -> None:
    events, _ = call_one(Reply(status=429, error="no credit", error_type="insufficient_quota"), "openai")
    assert failure(events).kind == "quota"


@pytest.mark.parametrize("wire", WIRES)
def test_error_in_the_stream_keeps_what_came_before(wire: str) -> None:
    reply = Reply(text="half", stream_error="too busy", error_type="overloaded_error")
    events, _ = call_one(reply, wire)
    assert said(events) == "half"
    assert (failure(events).kind, failure(events).message) == ("overloaded", "too busy")


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "framing",
    [
        Framing(cut_after=-60),
        Framing(cut_after=-60, reset=True),
        Framing(body="length", cut_after=-60),
        Framing(body="close", cut_after=-60),
    ],
)
def test_stream_that_is_cut_is_never_a_success(wire: str, framing: Framing) -> None:
    events, _ = call_one(Reply(text="some words that get lost", framing=framing), wire)
    assert failure(events).kind == "broken_stream"


def test_stream_without_its_terminator_is_broken() -> None:
    events, _ = call_one(Reply(text="almost", terminated=False), "anthropic")
    assert failure(events).kind == "broken_stream"


def test_silent_server_times_out() -> None:
    stalled = Reply(text="never", framing=Framing(cut_after=0, stall=True))
    events, _ = call_one(stalled, "openai", timeouts=patience(idle_ms=150))
    assert failure(events).kind == "timeout"


@pytest.mark.slow
def test_drip_ends_at_the_total_limit() -> None:
    drip = Reply(text="a b c d e f", framing=Framing(piece=1, pause=0.02))
    events, _ = call_one(drip, "openai", timeouts=patience(total_ms=400))
    assert failure(events).kind == "timeout"


def test_unreachable_server_is_a_network_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def test() -> list[seen.ModelEvent]:
        async with session(credential("openai", f"http://127.0.0.1:{port}/v1")) as broker:
            return await ask(broker, "openai")

    error = failure(run(test))
    assert error.kind == "network"
    assert error.message == f"cannot connect to 127.0.0.1:{port}: connection refused"


def test_unknown_host_is_a_network_error() -> None:
    async def test() -> list[seen.ModelEvent]:
        async with session(credential("openai", "http://no-such-host.invalid/v1")) as broker:
            return await ask(broker, "openai")

    error = failure(run(test))
    assert error.kind == "network"
    assert "no-such-host.invalid" in error.message


def test_connection_is_used_again() -> None:
    async def test() -> list[str]:
        async with session(credential("openai", server.openai_url)) as broker:
            return [said(await ask(broker, "openai", ticket=ticket)) for ticket in (1, 2, 3)]

    with ScriptedModel([Reply(text="one"), Reply(text="two"), Reply(text="three")]) as server:
        assert run(test) == ["one", "two", "three"]
        assert server.connections == 1


def test_many_calls_at_once_keep_their_events_apart() -> None:
    async def test() -> dict[int, str]:
        texts: dict[int, str] = {}

        async def one(ticket: int) -> None:
            body = b'{"model": "%d", "stream": true}' % ticket
            texts[ticket] = said(await ask(broker, "openai", ticket=ticket, body=body))

        async with session(credential("openai", server.openai_url)) as broker, trio.open_nursery() as nursery:
            for ticket in range(40):
                nursery.start_soon(one, ticket)
        return texts

    with ScriptedModel(lambda request: Reply(text=f"for {request.body['model']}")) as server:
        assert run(test) == {ticket: f"for {ticket}" for ticket in range(40)}


def test_cancelling_cuts_the_connection() -> None:
    async def test() -> None:
        async with session(credential("openai", server.openai_url)) as broker:
            with trio.CancelScope() as scope:
                call = broker.model_call(1, "s1", "openai", "/chat/completions", b'{"stream": true}')
                async with call as events:
                    async for event in events:
                        if isinstance(event, seen.Text):
                            scope.cancel()
            assert scope.cancelled_caught
            # The server sees its peer go without sending another byte.
            assert await trio.to_thread.run_sync(lambda: server.gone.acquire(timeout=10))

    stalled = Reply(text="first words", framing=Framing(cut_after=-200, stall=True))
    with ScriptedModel([stalled]) as server:
        run(test)


def test_ticket_can_be_tried_again_after_its_end() -> None:
    async def test() -> str:
        async with session(credential("openai", server.openai_url)) as broker:
            assert failure(await ask(broker, "openai", ticket=5)).kind == "rate_limit"
            return said(await ask(broker, "openai", ticket=5))

    with ScriptedModel([Reply(status=429, error="later"), Reply(text="now")]) as server:
        assert run(test) == "now"
