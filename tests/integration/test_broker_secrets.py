"""Where provider keys are, and where they never are."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.model_calls import KEY, PATHS, ask, credential, failure, memory_holds, run, said, session, submit

from agentos.drivers import model_events as seen
from agentos.drivers.broker import Broker
from agentos.drivers.runner import find_runner
from agentos.errors import UsageError
from agentos.models.environment import send_credentials
from agentos.testing import Framing, Reply, ScriptedModel, ToolCall


@pytest.mark.parametrize(
    "options",
    [
        {"host": "elsewhere.example"},
        {"port": 1},
        {"path": "/../v1/messages"},
        {"path": "/v1/%2e%2e/messages"},
        {"path": "//elsewhere.example/v1"},
        {"path": "http://elsewhere.example/"},
        {"path": "/v1/messages?to=elsewhere"},
        {"path": "/v1/messages HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"},
        {"headers": [("Host", "elsewhere.example")]},
        {"headers": [("Authorization", "Bearer other")]},
        {"headers": [("x-note", "a\r\nHost: elsewhere.example")]},
        {"headers": [("Transfer-Encoding", "chunked")]},
    ],
)
def test_call_that_would_leave_its_base_url_is_refused(options: dict[str, Any]) -> None:
    async def test() -> list[seen.ModelEvent]:
        async with session(credential("anthropic", server.url)) as broker:
            return await ask(broker, "anthropic", **options)

    with ScriptedModel([Reply()]) as server:
        assert failure(run(test)).kind == "refused"
        assert server.requests == []


def test_redirect_is_not_followed() -> None:
    async def test() -> list[seen.ModelEvent]:
        async with session(credential("anthropic", server.url)) as broker:
            return await ask(broker, "anthropic")

    with ScriptedModel([Reply(text="stolen")]) as thief:
        moved = Reply(status=307, headers={"Location": f"{thief.url}/v1/messages"}, raw=b"")
        with ScriptedModel([moved]) as server:
            error = failure(run(test))
        assert thief.requests == []
    assert (error.kind, error.status) == ("http", 307)
    assert "redirect" in error.message


def test_key_serves_its_own_session_alone() -> None:
    async def test() -> None:
        async with session(credential("openai", server.openai_url)) as broker:
            await submit(broker, "s2", credential("openai", server.openai_url, key="sk-of-the-second"))
            await submit(broker, "s3")
            await ask(broker, "openai", session="s2")
            assert failure(await ask(broker, "openai", session="s3")).kind == "no_credential"
            assert failure(await ask(broker, "openai", session="s4")).kind == "no_credential"

    with ScriptedModel([Reply()]) as server:
        run(test)
        assert [r.headers["authorization"] for r in server.requests] == ["Bearer sk-of-the-second"]


@pytest.mark.parametrize("wire", ["anthropic", "openai"])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(text=["it is ", KEY[:5], KEY[5:20], KEY[20:], " indeed"]),
        Reply(text=f"whole {KEY} indeed", framing=Framing(piece=1)),
        Reply(thinking=f"secret {KEY}"),
        Reply(tool_calls=[ToolCall(f"id-{KEY}", "send", {"what": KEY})]),
        Reply(status=401, error=f"wrong key {KEY}", error_type=f"bad_{KEY}"),
        Reply(text="a", stream_error=f"failed with {KEY}"),
        Reply(headers={"request-id": KEY}),
        Reply(text="no stream", thinking=KEY, streamed=False),
    ],
)
def test_key_is_never_echoed(wire: str, reply: Reply) -> None:
    async def test() -> list[seen.ModelEvent]:
        url = server.url if wire == "anthropic" else server.openai_url
        async with session(credential(wire, url)) as broker:
            return await ask(broker, wire)

    with ScriptedModel([reply]) as server:
        events: list[seen.ModelEvent] = run(test)
        assert KEY in " ".join(server.requests[0].headers.values())
    assert KEY not in repr(events)
    assert KEY not in said(events)
    if "indeed" in reply.whole_text:
        assert said(events) == reply.whole_text.replace(KEY, "*" * len(KEY))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/",
        "https://user:secret@a/",
        "https://a/?key=secret",
        "https://a#b",
        "https://ä.test/",
        "nothing",
    ],
)
def test_unusable_base_url_is_refused_without_repeating_it(url: str) -> None:
    async def test() -> None:
        async with session() as broker:
            with pytest.raises(UsageError) as caught:
                await submit(broker, "s1", credential("openai", url))
            assert "secret" not in caught.value.message and KEY not in caught.value.message
            assert failure(await ask(broker, "openai")).kind == "no_credential"

    run(test)


DAEMON = """
import socket, sys, trio
from agentos.drivers.broker import Broker

MARKER = "daemon-" + "marker"

async def main():
    client = socket.socket(fileno=int(sys.argv[1]))
    async with Broker.start() as broker:
        with await broker.open_session("s1") as channel:
            socket.send_fds(client, [b"\\n"], [channel.fileno()])
        await broker.wait_credentials("s1")
        async with broker.model_call(1, "s1", "openai", "/chat/completions", b'{"stream": true}') as events:
            async for event in events:
                pass
        print(broker.process_id, type(event).__name__, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def test_key_is_never_in_the_daemon() -> None:
    key = f"sk-{secrets.token_hex(24)}"
    ours, theirs = socket.socketpair()
    with ScriptedModel([Reply(text=f"echoed {key}")]) as server, ours:
        command = [sys.executable, "-c", DAEMON, str(theirs.fileno())]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, pass_fds=[theirs.fileno()], text=True) as daemon:
            theirs.close()
            _, [channel], _, _ = socket.recv_fds(ours, 1, 1)
            with socket.socket(fileno=channel) as client:
                send_credentials(client, [credential("openai", server.openai_url, key=key)])
            assert daemon.stdout is not None
            broker, last = daemon.stdout.readline().split()
            try:
                assert last == "Done"
                assert server.requests[0].headers["authorization"] == f"Bearer {key}"
                assert memory_holds(daemon.pid, b"daemon-" + b"marker")
                assert not memory_holds(daemon.pid, key.encode())
                for process in (str(daemon.pid), broker):
                    for name in ("environ", "cmdline"):
                        assert key.encode() not in Path(f"/proc/{process}/{name}").read_bytes()
                assert Path(f"/proc/{broker}/environ").read_bytes() == b""
            finally:
                daemon.kill()


@pytest.mark.needs("root")
def test_closed_session_leaves_no_key_in_the_broker() -> None:
    # Only root may look: the broker is closed to everybody else.
    key = f"sk-{secrets.token_hex(24)}"

    async def test() -> bool:
        async with session(credential("openai", server.openai_url, key=key)) as broker:
            await ask(broker, "openai")
            assert broker.process_id is not None
            open_one = memory_holds(broker.process_id, key.encode())
            await broker.close_session("s1")
            # The ended call's thread may be about to drop it.
            while memory_holds(broker.process_id, key.encode()):
                await trio.lowlevel.checkpoint()
            return open_one

    with ScriptedModel([Reply()]) as server:
        assert run(test)


def test_broker_is_closed_to_its_own_user() -> None:
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        runner = shutil.copy(find_runner(), folder)
        ours, theirs = socket.socketpair()
        with ours, subprocess.Popen([runner, "broker"], stdin=theirs, env={}, cwd="/", **nobody) as broker:  # type: ignore[call-overload]
            theirs.close()
            # Once it speaks it has closed itself.
            assert b'"ready"' in ours.recv(4096)
            limits = Path(f"/proc/{broker.pid}/limits").read_text()
            assert re.search(r"Max core file size +0 +0 ", limits)
            for name in ("environ", "maps", "fd/0", "mem"):
                peek = ["head", "-c", "1", f"/proc/{broker.pid}/{name}"]
                assert subprocess.run(peek, capture_output=True, **nobody).returncode != 0  # type: ignore[call-overload]
            ours.shutdown(socket.SHUT_RDWR)
            assert broker.wait(timeout=10) == 0


def test_peeking_works_on_other_processes() -> None:
    # Without this the test above would pass where /proc is closed to everybody.
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd="/", **nobody) as victim:  # type: ignore[call-overload]
        assert victim.stdin is not None
        peek = ["head", "-c", "1", f"/proc/{victim.pid}/maps"]
        assert subprocess.run(peek, capture_output=True, **nobody).returncode == 0  # type: ignore[call-overload]
        victim.stdin.close()


def test_paths_are_those_of_the_wires() -> None:
    from agentos.models import anthropic, openai

    assert {"anthropic": anthropic.PATH, "openai": openai.PATH} == PATHS


def test_session_that_never_submitted_has_no_endpoints() -> None:
    async def test() -> None:
        async with Broker.start() as broker:
            (await broker.open_session("s1")).close()
            assert broker.endpoints("s1") == ()
            assert failure(await ask(broker, "openai")).kind == "no_credential"

    run(test)
