"""`agentos models`: what can be used, what it costs, what was spent; real servers, real keys of theirs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.command import Command
from tests.integration.test_run import call, calls, run

from agentos.testing import Reply, Request, ScriptedModel, Usage

pytestmark = pytest.mark.slow


def test_list_shows_prices_with_their_date_and_what_is_set_up(agentos: Command) -> None:
    agentos.environment |= {"OPENAI_API_KEY": "sk-secret", "OLLAMA_HOST": "127.0.0.1:9"}
    rows = {row["provider"]: row for row in agentos.json("models", "list")}
    assert rows["openai"]["keyed"] and not rows["anthropic"]["keyed"]
    assert rows["ollama"]["url"] == "http://127.0.0.1:9/v1" and not rows["ollama"]["charges"]
    assert rows["openai"]["prices_from"].startswith("https://") and "2026" in rows["openai"]["prices_from"]
    [priced] = [model for model in rows["openai"]["models"] if model["model"] == "gpt-4.1"]
    assert (priced["input_usd"], priced["cache_read_usd"], priced["output_usd"]) == ("2.00", "0.50", "8.00")
    done = agentos("models", "list", "openai", "ollama")
    assert done.returncode == 0 and "gpt-4.1" in done.stdout and "OPENAI_API_KEY is set" in done.stdout
    assert "sk-secret" not in done.stdout and "anthropic" not in done.stdout
    assert agentos("models").stdout == agentos("models", "list").stdout
    unknown = agentos("models", "list", "nobody")
    assert unknown.returncode == 2 and "there is no provider `nobody`" in unknown.stderr


def test_check_tells_who_answers_who_refuses_the_key_and_who_is_not_there(agentos: Command) -> None:
    def strict(request: Request) -> Reply:
        if request.wire == "openai":
            return Reply(status=401, error="invalid api key")
        return Reply(status=400, error="model: field required")

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with ScriptedModel(strict) as server:
        agentos.environment |= server.environment() | {
            "OLLAMA_HOST": f"127.0.0.1:{port}",
        }
        done = agentos("models", "check", "anthropic", "openai", "ollama", "groq")
        bodies = [request.body for request in server.requests]
        found = agentos.json("models", "check", "anthropic", "groq")
    assert done.returncode == 0, done.stderr
    assert "✓ anthropic" in done.stdout
    assert "✗ openai" in done.stdout and "key refused" in done.stdout
    assert "✗ ollama" in done.stdout and "unreachable" in done.stdout
    assert "GROQ_API_KEY is not set" in done.stdout
    assert bodies == [{}, {}]
    assert [row["finding"] for row in found] == ["ok", "no_key"]
    assert agentos("models", "check", "groq").returncode == 7
    assert agentos.json("audit", "verify")["ok"]


@pytest.mark.needs("namespaces")
@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_usage_adds_up_what_the_wire_told(agentos: Command, wire: str, tmp_path: Path) -> None:
    model = {"anthropic": "claude-sonnet-4-5", "openai": "gpt-4.1"}[wire]
    written = {"cache_write": 1_000, "cache_write_hour": 400} if wire == "anthropic" else {}
    usage = Usage(
        input=100, output=50, cache_read=2_000, reasoning=0 if wire == "anthropic" else 40, **written
    )
    script = [calls(call("list"), usage=usage), Reply(text="done", usage=usage)]
    with ScriptedModel([*script, *script]) as server:
        first = run(agentos, server, model=model)
        second = run(agentos, server, model=model)
    assert (first.code, second.code) == (0, 0), first.stderr
    # Micro-dollars of each of four calls, by hand from the price list, rounded up.
    micros = {
        "anthropic": 100 * 3 + 600 * 3.75 + 400 * 6 + 2_000 * 0.3 + 50 * 15,
        "openai": 100 * 2 + 2_000 * 0.5 + 50 * 8,
    }[wire]
    spent = f"{4 * micros / 1e6:.4f}".rstrip("0")
    shown = agentos.json("models", "usage")
    [row] = shown["rows"]
    assert row["spent_usd"] == spent
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (4, 400, 200)
    assert row["cache_read_tokens"] == 8_000
    assert row["cache_write_tokens"] == 4 * usage.cache_write
    assert row["cache_write_hour_tokens"] == 4 * usage.cache_write_hour
    assert row["reasoning_tokens"] == 4 * usage.reasoning
    assert len(agentos.json("models", "usage", "--by", "agent")["rows"]) == 2
    [day] = agentos.json("models", "usage", "--by", "day")["rows"]
    assert day["spent_usd"] == spent
    assert [window["state"] for window in shown["windows"]] == ["ok", "ok", "ok"]

    agentos.environment |= {"AGENTOS_USAGE_HOUR": "0.001", "AGENTOS_USAGE_DAY": f"{4.5 * micros / 1e6:.6f}"}
    states = {row["window"]: row["state"] for row in agentos.json("models", "usage")["windows"]}
    assert states == {"hour": "exceeded", "day": "alert", "month": "ok"}
    text = agentos("models", "usage").stdout
    assert "(exceeded)" in text and "(alert)" in text and "reasoning" in text


def test_usage_of_an_empty_home_is_empty(agentos: Command) -> None:
    shown = agentos.json("models", "usage")
    assert shown["rows"] == [] and {window["spent_usd"] for window in shown["windows"]} == {"0.00"}
    assert not agentos.home.exists() or not (agentos.home / "kernel.db").exists()
