"""A client's keys on their way past a real daemon."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.command import Command
from tests.model_calls import credential, memory_holds
from tests.tls_authority import Authority

from agentos.daemon.client import connect
from agentos.errors import UsageError
from agentos.home import Home
from agentos.testing import Reply, ScriptedModel

ACT = ("kill", "p-none")


@pytest.mark.needs("root")
def test_keys_go_past_the_daemon_into_the_broker(agentos: Command) -> None:
    # Root alone may read the memory of processes that are not its children, and of the broker at all.
    agentos(*ACT)
    key = "sk-" + "0123456789abcdef" * 3
    model = credential("anthropic", "http://127.0.0.1:9", key=key)
    with connect(Home(agentos.home), [model]) as daemon:
        for _ in range(2):
            broker = agentos.broker
            assert memory_holds(broker, key.encode())
            assert not memory_holds(daemon.pid, key.encode())
            assert memory_holds(daemon.pid, str(agentos.home).encode())
            os.kill(broker, signal.SIGKILL)
            # The new broker's keys are asked for while a call is under way, whatever the call is.
            while not (agentos.brokers and agentos.brokers != [broker]):
                daemon.call("process.list")
            while not memory_holds(agentos.broker, key.encode()):
                daemon.call("process.list")


def test_refused_key_is_the_clients_error(agentos: Command) -> None:
    agentos(*ACT)
    with pytest.raises(UsageError, match="holds a space"):
        connect(Home(agentos.home), [credential("anthropic", "http://127.0.0.1:9", key="two words")])


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", None])
def test_a_private_servers_authority_comes_from_the_submitter(
    agentos: Command, tmp_path: Path, variable: str | None
) -> None:
    authority = Authority(tmp_path)
    agentos(*ACT)
    with ScriptedModel([Reply(text="sealed")], tls=authority.server("IP:127.0.0.1")) as server:
        agentos.environment |= server.environment()
        if variable:
            agentos.environment[variable] = str(authority.certificate)
        done = agentos("run", "x", "--model", "openai/my-own")
    if variable:
        assert (done.returncode, done.stdout) == (0, "sealed\n"), done.stderr
    else:
        assert done.returncode == 7 and "SSL_CERT_FILE" in done.stderr


def test_an_authority_that_cannot_be_read_is_named_before_anything_starts(agentos: Command) -> None:
    agentos.environment |= {"SSL_CERT_FILE": "/nowhere.pem", "OPENAI_BASE_URL": "https://127.0.0.1:9/v1"}
    done = agentos("run", "x", "--model", "openai/my-own")
    assert done.returncode == 2, done.stderr
    assert "/nowhere.pem" in done.stderr and "SSL_CERT_FILE" in done.stderr
    assert agentos.json("ps", "--all") == [] or all(row["name"] != "agent" for row in agentos.json("ps"))
