"""Money, prices and the names of models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agentos.errors import MissingMechanism, UsageError
from agentos.models.conversation import Usage
from agentos.models.prices import FREE, Price, Tier, price
from agentos.models.reference import default_name, providers, resolve


def test_cost_counts_each_kind_of_token_and_rounds_up() -> None:
    tier = Tier(
        input=3_000_000,
        output=15_000_000,
        cache_read=300_000,
        cache_write=3_750_000,
        cache_write_hour=6_000_000,
    )
    usage = Usage(input_tokens=10, cache_read_tokens=1, cache_write_tokens=4, output_tokens=2)
    assert tier.cost(usage) == 76  # 30 + 0.3 + 15 + 30
    parts = Usage(cache_write_tokens=4, cache_write_hour_tokens=3, output_tokens=2, reasoning_tokens=2)
    assert tier.cost(parts) == 52  # 3.75 + 18 + 30: reasoning is part of the output
    assert parts.total_tokens == 6


@given(
    some.integers(0, 400_000), some.integers(0, 200_000), some.integers(0, 200_000), some.integers(0, 64_000)
)
def test_no_call_within_its_bounds_costs_more_than_the_most(
    fresh: int, read: int, written: int, output: int
) -> None:
    usage = Usage(
        input_tokens=fresh, cache_read_tokens=read, cache_write_tokens=written, output_tokens=output
    )
    for name in ("claude-haiku-5-5", "claude-opus-5"):
        known = price("anthropic", name)
        assert known is not None
        assert known.cost(usage) <= known.most(usage.prompt_tokens, output)


def test_a_larger_prompt_falls_into_the_next_tier() -> None:
    cheap, dear = (
        Tier(input=n, output=n, cache_read=n, cache_write=n, cache_write_hour=n)
        for n in (1_000_000, 9_000_000)
    )
    two = Price(
        tiers=(
            Tier(input=1_000_000, output=0, cache_read=0, cache_write=0, cache_write_hour=0, up_to=10),
            dear,
        ),
        source="",
    )
    assert two.cost(Usage(input_tokens=10)) == 10
    assert two.cost(Usage(input_tokens=11)) == 99
    assert Price(tiers=(cheap,), source="").cost(Usage(input_tokens=11)) == 11


def test_a_dated_snapshot_costs_what_its_model_costs() -> None:
    assert price("openai", "gpt-4o-2024-08-06") == price("openai", "gpt-4o")
    assert price("anthropic", "claude-sonnet-4-5-20250929") == price("anthropic", "claude-sonnet-4-5")
    assert price("openai", "gpt-4o-audio") is None


def test_every_default_model_has_a_price() -> None:
    for name, provider in providers().items():
        if provider.default_model:
            assert price(name, provider.default_model) is not None


def test_names_resolve_by_provider_and_by_prefix() -> None:
    assert str(resolve("claude-x", {})) == "anthropic/claude-x"
    assert str(resolve("gpt-9", {})) == "openai/gpt-9"
    nested = resolve("openrouter/meta/llama", {})
    assert (nested.provider, nested.model, nested.port) == ("openrouter", "meta/llama", 443)
    with pytest.raises(UsageError, match="names no model"):
        resolve("llama3", {})


def test_variables_move_a_provider() -> None:
    moved = resolve("openai/m", {"OPENAI_BASE_URL": "http://[::1]:8000/v1/"})
    assert (moved.url, moved.host, moved.port) == ("http://[::1]:8000/v1", "::1", 8000)
    assert resolve("ollama/m", {"OLLAMA_HOST": "10.0.0.1:9"}).url == "http://10.0.0.1:9/v1"
    for broken in ("ftp://x", "http://", "http://h:99999", "http://u:p@h", "http://h/?q"):
        with pytest.raises(UsageError):
            resolve("openai/m", {"OPENAI_BASE_URL": broken})


def test_an_unknown_price_is_free_only_where_nobody_charges() -> None:
    assert resolve("ollama/m", {}).price() == FREE
    assert resolve("openai/my-own", {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}).price() == FREE
    with pytest.raises(UsageError, match="price") as refused:
        resolve("openai/gpt-4.1-my-own", {}).price()
    named = (refused.value.hint or "").partition(": ")[2].split(", ")
    assert len(named) == 3
    assert all(resolve(name, {}).price() != FREE for name in named)


def test_the_default_model_needs_a_key_or_a_name() -> None:
    assert default_name({"AGENTOS_MODEL": "ollama/m", "OPENAI_API_KEY": "k"}) == "ollama/m"
    assert default_name({"OPENAI_API_KEY": "k"}).startswith("openai/")
    with pytest.raises(MissingMechanism):
        default_name({})
