"""The broker's life: it dies with its daemon, is replaced when it dies, and forgets what was closed."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from tests.model_calls import ask, credential, failure, run, said, session, submit

from agentos import __version__
from agentos.drivers import model_events as seen
from agentos.drivers.broker import Broker
from agentos.drivers.broker_link import frame
from agentos.drivers.runner import find_runner
from agentos.errors import MissingMechanism
from agentos.testing import Framing, Reply, ScriptedModel

STALLED = Reply(text="first words", framing=Framing(cut_after=-200, stall=True))


def test_killed_broker_loses_its_calls_and_is_replaced() -> None:
    async def test() -> None:
        asked: list[frozenset[str]] = []
        again = trio.Event()

        def on_restart(sessions: frozenset[str]) -> None:
            asked.append(sessions)
            again.set()

        async with session(credential("openai", server.openai_url)) as broker:
            broker.on_restart = on_restart
            before = broker.process_id
            assert before is not None
            call = broker.model_call(1, "s1", "openai", "/chat/completions", b'{"stream": true}')
            async with call as events:
                reported: list[seen.ModelEvent] = []
                async for event in events:
                    if isinstance(event, seen.Text):
                        os.kill(before, signal.SIGKILL)
                    reported.append(event)
            assert failure(reported).kind == "broker_lost"
            await again.wait()
            assert asked == [frozenset({"s1"})]
            assert broker.process_id != before
            # Its keys died with it.
            assert failure(await ask(broker, "openai")).kind == "no_credential"
            await submit(broker, "s1", credential("openai", server.openai_url))
            await broker.wait_credentials("s1")
            assert said(await ask(broker, "openai")) == "back"

    with ScriptedModel([STALLED, Reply(text="back")]) as server:
        run(test)


def test_closing_a_session_cuts_its_calls_and_drops_its_keys() -> None:
    async def test() -> None:
        async with session(credential("openai", server.openai_url)) as broker:
            call = broker.model_call(1, "s1", "openai", "/chat/completions", b'{"stream": true}')
            async with call as events:
                async for event in events:
                    if isinstance(event, seen.Text):
                        await broker.close_session("s1")
            assert event == seen.Done()
            assert await trio.to_thread.run_sync(lambda: server.gone.acquire(timeout=10))
            assert broker.endpoints("s1") == ()
            assert failure(await ask(broker, "openai")).kind == "no_credential"

    with ScriptedModel([STALLED, Reply(text="not for a closed session")]) as server:
        run(test)
        assert len(server.requests) == 1


def test_endpoints_are_told_without_keys() -> None:
    async def test() -> None:
        async with session(credential("anthropic", "https://models.example.test:8443/a")) as broker:
            [endpoint] = await broker.wait_credentials("s1")
            assert (endpoint.provider, endpoint.wire) == ("anthropic", "anthropic")
            assert (endpoint.host, endpoint.port) == ("models.example.test", 8443)
            assert endpoint.base_url == "https://models.example.test:8443/a"

    run(test)


DAEMON = """
import trio
from agentos.drivers.broker import Broker
from agentos.drivers.broker_link import frame

async def main():
    async with Broker.start() as broker:
        print(broker.process_id, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def test_broker_dies_with_its_daemon() -> None:
    with subprocess.Popen([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        broker = os.pidfd_open(int(daemon.stdout.readline()))
        daemon.kill()
        gone, _, _ = select.select([broker], [], [], 10)
        os.close(broker)
    assert gone


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        ([], {}, "standard input is not a Unix socket"),
        (["extra"], {}, "it takes no arguments"),
        ([], {"OPENAI_API_KEY": "sk"}, "its environment is not empty"),
    ],
)
def test_broker_is_not_for_hands(arguments: list[str], environment: dict[str, str], reason: str) -> None:
    command = [find_runner(), "broker", *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, env=environment, capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert "sk" not in done.stderr.split()


def script(folder: Path, says: bytes) -> Path:
    """An executable that says `says` to its daemon in place of a broker."""
    program = folder / "agentos-runner"
    (folder / "says").write_bytes(says)
    program.write_text(f"#!/bin/sh\n/bin/cat '{folder}/says' >&0\nread -r wait\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (b"", "did not come up"),
        (b"\0\0\0\x04null", "did not come up"),
        (b"\xff\xff\xff\xff", "did not come up"),
        (frame(b'{"type":"ready","version":"0.0.1"}'), "is AgentOS 0.0.1, its daemon"),
    ],
)
def test_broker_that_does_not_come_up_is_a_missing_mechanism(
    tmp_path: Path, says: bytes, message: str
) -> None:
    runner = script(tmp_path, says) if says else Path("/bin/true")

    async def test() -> None:
        with pytest.raises(MissingMechanism, match=message):
            async with Broker.start(runner=runner):
                pass

    run(test)


def test_broker_that_talks_nonsense_is_replaced(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ready = frame(b'{"type":"ready","version":"%s"}' % __version__.encode())
    runner = script(tmp_path, ready + frame(b'{"type":"sabotage"}'))

    async def test() -> None:
        async with Broker.start(runner=runner) as broker:
            shutil.copy(find_runner(), tmp_path / "good")
            (tmp_path / "good").rename(runner)
            while "does not speak as agreed" not in capfd.readouterr().err:
                await trio.lowlevel.checkpoint()
            await submit(broker, "s1", credential("openai", server.openai_url))
            assert said(await ask(broker, "openai")) == "from the good one"

    with ScriptedModel([Reply(text="from the good one")]) as server:
        run(test)


@pytest.mark.slow
def test_stopped_broker_does_not_hold_a_cancelled_call() -> None:
    async def test() -> None:
        async with session(credential("openai", server.openai_url)) as broker:
            assert broker.process_id is not None
            os.kill(broker.process_id, signal.SIGSTOP)
            with trio.move_on_after(0.1) as scope:
                await ask(broker, "openai")
            assert scope.cancelled_caught

    with ScriptedModel([Reply()]) as server:
        run(test)


def test_daemon_goes_on_while_no_broker_can_be_started(tmp_path: Path) -> None:
    runner = tmp_path / "agentos-runner"
    shutil.copy(find_runner(), runner)

    async def test() -> None:
        async with Broker.start(runner=runner) as broker:
            await submit(broker, "s1", credential("openai", server.openai_url))
            assert broker.process_id is not None
            runner.unlink()
            os.kill(broker.process_id, signal.SIGKILL)
            while broker.process_id is not None:
                await trio.lowlevel.checkpoint()
            assert failure(await ask(broker, "openai")).kind == "broker_lost"
            shutil.copy(find_runner(), runner)
            await submit(broker, "s1", credential("openai", server.openai_url))
            assert said(await ask(broker, "openai")) == "again"

    with ScriptedModel([Reply(text="again")]) as server:
        run(test)
