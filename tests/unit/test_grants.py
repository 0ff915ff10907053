"""Grants mean what they say, and refuse what they cannot hold to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import agentos
from agentos.messages import Host, exactly
from agentos.messages import Path as PathScope


@pytest.mark.parametrize("path", ["src", "src/", "src/**", "./src/../src/**", "link", "link/**"])
def test_a_path_is_itself_and_everything_below(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "link").symlink_to("src")
    monkeypatch.chdir(tmp_path)
    assert agentos.read(path).scope == PathScope(path=str(tmp_path / "src"), rights="read")
    assert agentos.write(path).scope == PathScope(path=str(tmp_path / "src"), rights="read_write")


def test_the_working_folder_and_the_root_have_patterns_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert agentos.read("**") == agentos.read(".") == agentos.read(tmp_path)
    assert agentos.read("/**").scope == PathScope(path="/", rights="read")
    assert agentos.read("~/x").scope == PathScope(path=str(Path("~/x").expanduser()), rights="read")


@pytest.mark.parametrize("path", ["src/*", "src/**/*.py", "*.py", "a?", "a[bc]", "{a,b}", "**/x", "src/*/**"])
def test_other_patterns_are_refused(path: str) -> None:
    with pytest.raises(agentos.UsageError, match="looks like a pattern"):
        agentos.read(path)


def test_a_path_object_is_taken_by_its_letters(tmp_path: Path) -> None:
    odd = tmp_path / "[id].tsx"
    assert agentos.read(odd).scope == PathScope(path=str(odd), rights="read")


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(agentos.UsageError, match="is no path"):
        agentos.write(path)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("example.org:443", "example.org", 443),
        ("Example.ORG", "example.org", 0),
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:80", "::1", 80),
    ],
)
def test_an_address_is_a_host_and_a_port(address: str, host: str, port: int) -> None:
    assert agentos.connect(address).scope == Host(host=exactly(host), port=port)


@pytest.mark.parametrize(
    "address", ["https://example.org", "example.org/x", "*.example.org", ":80", "a:70000", ""]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(agentos.UsageError, match="is no host"):
        agentos.connect(address)


def test_grants_are_bounded_by_uses_and_time() -> None:
    once = agentos.limited(agentos.tool("deploy"), uses=1, until=datetime(2030, 1, 1, tzinfo=UTC))
    assert (once.uses, once.expires_us) == (1, 1_893_456_000_000_000)
    assert agentos.limited(once, uses=2).expires_us == once.expires_us
    with pytest.raises(agentos.UsageError, match="no time zone"):
        agentos.limited(once, until=datetime(2030, 1, 1))
    with pytest.raises(agentos.UsageError):
        agentos.limited(once, uses=0)
