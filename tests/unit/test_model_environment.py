"""Which credentials an environment gives."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import msgspec
import pytest

from agentos.errors import Failed, UsageError
from agentos.models.environment import (
    Credential,
    credentials_from_environment,
    roots_from_environment,
    send_credentials,
)

LOCAL = {"ollama", "vllm", "llamacpp"}


def found(environ: dict[str, str], **urls: str) -> dict[str, tuple[str, str, str]]:
    credentials = credentials_from_environment(environ, urls=urls)
    return {c.provider: (c.base_url, c.header, c.key) for c in credentials}


def test_without_keys_there_are_local_servers_alone() -> None:
    credentials = found({"HOME": "/"})
    assert set(credentials) == LOCAL
    assert credentials["ollama"] == ("http://127.0.0.1:11434/v1", "none", "")


@pytest.mark.parametrize(
    ("environ", "provider", "expected"),
    [
        ({"ANTHROPIC_API_KEY": "k"}, "anthropic", ("https://api.anthropic.com", "x-api-key", "k")),
        (
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t", "ANTHROPIC_BASE_URL": "http://gate:8/"},
            "anthropic",
            ("http://gate:8", "bearer", "t"),
        ),
        ({"OPENAI_API_KEY": " k\n"}, "openai", ("https://api.openai.com/v1", "bearer", "k")),
        ({"OPENAI_BASE_URL": "http://a:1/v1"}, "openai", ("http://a:1/v1", "none", "")),
        ({"OLLAMA_HOST": "box:1234"}, "ollama", ("http://box:1234/v1", "none", "")),
        ({"GROQ_API_KEY": "k"}, "groq", ("https://api.groq.com/openai/v1", "bearer", "k")),
        ({"MISTRAL_API_KEY": "k"}, "mistral", ("https://api.mistral.ai/v1", "bearer", "k")),
        ({"DEEPSEEK_API_KEY": "k"}, "deepseek", ("https://api.deepseek.com/v1", "bearer", "k")),
        ({"XAI_API_KEY": "k"}, "xai", ("https://api.x.ai/v1", "bearer", "k")),
        ({"OPENROUTER_API_KEY": "k"}, "openrouter", ("https://openrouter.ai/api/v1", "bearer", "k")),
        (
            {"GEMINI_API_KEY": "k"},
            "gemini",
            ("https://generativelanguage.googleapis.com/v1beta/openai", "bearer", "k"),
        ),
        ({"VLLM_API_KEY": "k"}, "vllm", ("http://127.0.0.1:8000/v1", "bearer", "k")),
    ],
)
def test_variables_people_have_become_credentials(
    environ: dict[str, str], provider: str, expected: tuple[str, str, str]
) -> None:
    credentials = found(environ)
    assert credentials[provider] == expected
    assert set(credentials) == LOCAL | {provider}


def test_url_of_the_command_goes_before_the_variable() -> None:
    credentials = found({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://a/v1"}, openai="http://b/v1")
    assert credentials["openai"] == ("http://b/v1", "bearer", "k")


def test_unusable_base_url_names_its_variable() -> None:
    with pytest.raises(UsageError) as caught:
        credentials_from_environment({"OPENAI_BASE_URL": "ftp://a"})
    assert caught.value.where == "OPENAI_BASE_URL"


def test_key_is_not_in_the_repr() -> None:
    [credential] = [c for c in credentials_from_environment({"XAI_API_KEY": "sk-x"}) if c.provider == "xai"]
    assert "sk-x" not in repr(credential)


def test_certificate_file_is_read(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates")
    assert roots_from_environment({"SSL_CERT_FILE": str(bundle)}) == "certificates"
    assert roots_from_environment({}) is None
    with pytest.raises(UsageError, match="No such file"):
        roots_from_environment({"SSL_CERT_FILE": str(tmp_path / "missing")})


def answer(data: bytes) -> list[bytes]:
    """What `send_credentials` sends to a far side that answers `data` and leaves."""
    ours, theirs = socket.socketpair()
    received: list[bytes] = []

    def far_side() -> None:
        with theirs:
            size = int.from_bytes(theirs.recv(4, socket.MSG_WAITALL), "big")
            received.append(theirs.recv(size, socket.MSG_WAITALL))
            theirs.sendall(data)

    thread = threading.Thread(target=far_side)
    thread.start()
    credential = Credential(provider="p", wire="openai", base_url="http://a", header="bearer", key="k")
    try:
        with ours:
            send_credentials(ours, [credential], roots="pem")
    finally:
        thread.join()
    return received


def framed(message: object) -> bytes:
    data = msgspec.json.encode(message)
    return len(data).to_bytes(4, "big") + data


def test_credentials_are_sent_and_acknowledged() -> None:
    [sent] = answer(framed({"type": "accepted", "endpoints": []}))
    assert msgspec.json.decode(sent) == {
        "credentials": [
            {"provider": "p", "wire": "openai", "base_url": "http://a", "header": "bearer", "key": "k"}
        ],
        "roots": "pem",
    }


def test_refusal_is_the_users_error() -> None:
    with pytest.raises(UsageError, match="too short"):
        answer(framed({"type": "refused", "message": "too short"}))


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x09half", b"\0\0\0\x04null", b"\xff\xff\xff\xff"])
def test_broken_answer_is_a_failure(data: bytes) -> None:
    with pytest.raises(Failed, match="went away"):
        answer(data)
