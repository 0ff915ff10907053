"""A client's keys on their way past a real daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command import Command
from tests.model_calls import credential, memory_holds

from agentos.daemon.client import connect
from agentos.errors import UsageError
from agentos.home import Home

ACT = ("kill", "p-none")


def command(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


def children(process: int) -> list[int]:
    # A thread that forked has the child on its own list.
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(pid) for children in lists for pid in children.read_text().split()]


@pytest.mark.needs("root")
def test_keys_go_past_the_daemon_into_the_broker(agentos: Command) -> None:
    # Root alone may read the memory of processes that are not its children, and of the broker at all.
    agentos(*ACT)
    key = "sk-" + "0123456789abcdef" * 3
    model = credential("anthropic", "http://127.0.0.1:9", key=key)
    with connect(Home(agentos.home), [model]) as daemon:
        [broker] = [
            pid for pid in children(daemon.pid) if b"broker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        assert memory_holds(broker, key.encode())
        assert not memory_holds(daemon.pid, key.encode())
        assert memory_holds(daemon.pid, str(agentos.home).encode())


def test_refused_key_is_the_clients_error(agentos: Command) -> None:
    agentos(*ACT)
    with pytest.raises(UsageError, match="holds a space"):
        connect(Home(agentos.home), [credential("anthropic", "http://127.0.0.1:9", key="two words")])
