"""The broker over TLS: what it trusts, and how it says that it does not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio
from tests.model_calls import ask, credential, failure, run, said, session
from tests.tls_authority import Authority

from agentos.drivers import model_events as seen
from agentos.testing import Reply, ScriptedModel

pytestmark = pytest.mark.needs("openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def call(server: ScriptedModel, roots: str | None, times: int = 1) -> list[list[seen.ModelEvent]]:
    async def test() -> list[list[seen.ModelEvent]]:
        async with session(credential("openai", server.openai_url), roots=roots) as broker:
            return [await ask(broker, "openai", ticket=ticket) for ticket in range(times)]

    replies: list[list[seen.ModelEvent]] = run(test)
    return replies


def test_trusted_server_is_called_and_its_connection_kept(authority: Authority) -> None:
    tls = authority.server("IP:127.0.0.1")
    with ScriptedModel([Reply(text="sealed"), Reply(text="again")], tls=tls) as server:
        first, second = call(server, authority.pem, times=2)
        assert (said(first), said(second)) == ("sealed", "again")
        assert server.connections == 1


def test_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    with ScriptedModel([Reply()], tls=authority.server("IP:127.0.0.1")) as server:
        error = failure(call(server, stranger.pem)[0])
        assert server.requests == []
    assert error.kind == "tls"
    assert "not trusted" in error.message and "SSL_CERT_FILE" in error.message


def test_system_does_not_trust_a_private_authority(authority: Authority) -> None:
    with ScriptedModel([Reply()], tls=authority.server("IP:127.0.0.1")) as server:
        error = failure(call(server, None)[0])
        assert server.requests == []
    assert error.kind == "tls"
    assert "SSL_CERT_FILE" in error.message


def test_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with ScriptedModel([Reply()], tls=authority.server("DNS:example.test")) as server:
        error = failure(call(server, authority.pem)[0])
        assert server.requests == []
    assert error.kind == "tls"
    assert "for another name" in error.message


def test_server_without_tls_is_refused() -> None:
    def answer() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async def test() -> list[seen.ModelEvent]:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        async with session(credential("openai", url)) as broker, trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, answer)
            return await ask(broker, "openai")
        raise AssertionError("unreachable")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = failure(run(test))
    assert error.kind == "tls"
    assert "does not speak TLS" in error.message


def test_bundle_without_certificates_is_refused() -> None:
    from agentos.errors import UsageError

    with ScriptedModel([Reply()]) as server, pytest.raises(BaseException) as caught:
        call(server, "no certificate")
    matched, _ = caught.value.split(UsageError) if isinstance(caught.value, BaseExceptionGroup) else (1, 0)
    assert matched
