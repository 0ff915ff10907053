"""What a model call costs: dated data in `prices.toml`, counted in integer micro-dollars, rounded up.

A reservation is made before a call for the most that it can cost, so everything here errs upwards: tokens
not yet counted by the provider are bounded by bytes, and no prompt is assumed to be cached.
"""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from importlib import resources

import msgspec

from agentos.models.conversation import Usage
from agentos.money import micros

SNAPSHOT = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in micro-dollars per million tokens, for calls of at most `up_to` prompt tokens (None: any).

    `cache_write_hour` is for what is written to be kept an hour; `cache_write` for what is kept minutes.
    """

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_hour: int
    up_to: int | None = None

    def cost(self, usage: Usage) -> int:
        """Micro-dollars of one call, rounded up."""
        total = (
            usage.input_tokens * self.input
            + usage.cache_read_tokens * self.cache_read
            + (usage.cache_write_tokens - usage.cache_write_hour_tokens) * self.cache_write
            + usage.cache_write_hour_tokens * self.cache_write_hour
            + usage.output_tokens * self.output
        )
        return -(-total // 1_000_000)

    def most(self, prompt_tokens: int, output_tokens: int) -> int:
        """Micro-dollars of a call of that size when every prompt token is of the dearest kind that we ask
        for: nothing is written to be kept an hour."""
        dearest = max(self.input, self.cache_write, self.cache_read)
        return -(-(prompt_tokens * dearest + output_tokens * self.output) // 1_000_000)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a model costs by size of prompt; `source` says where that is published, and when it was read."""

    tiers: tuple[Tier, ...]
    source: str

    def cost(self, usage: Usage) -> int:
        """Micro-dollars of a call that used that much."""
        return self._tier(usage.prompt_tokens).cost(usage)

    def most(self, prompt_tokens: int, output_tokens: int) -> int:
        """Micro-dollars that a call of at most that size can cost, whichever tier it falls into."""
        reached = self._tier(prompt_tokens)
        tiers = self.tiers[: self.tiers.index(reached) + 1]
        return max(tier.most(prompt_tokens, output_tokens) for tier in tiers)

    def _tier(self, prompt_tokens: int) -> Tier:
        fitting = (tier for tier in self.tiers if tier.up_to is None or prompt_tokens <= tier.up_to)
        return next(fitting, self.tiers[-1])


FREE = Price(
    tiers=(Tier(input=0, output=0, cache_read=0, cache_write=0, cache_write_hour=0),),
    source="no price is known",
)


def price(provider: str, model: str) -> Price | None:
    """What `provider` asks for `model` (or the model that it is a dated snapshot of), if it is known."""
    table = prices(provider)
    return table.get(model) or table.get(SNAPSHOT.sub("", model))


def prices(provider: str) -> dict[str, Price]:
    """All prices that are known of `provider`, by model."""
    return _table().get(provider, {})


def nearest(provider: str, model: str) -> list[str]:
    """Up to three models of `provider` whose price is known, the names most like `model` first."""
    return difflib.get_close_matches(model, prices(provider), n=3, cutoff=0.0)


@functools.cache
def _table() -> dict[str, dict[str, Price]]:
    data = tomllib.loads(resources.files(__package__).joinpath("prices.toml").read_text())
    table: dict[str, dict[str, Price]] = {}
    for provider, published in data.items():
        source = f"{published['source']}, {published['date'].isoformat()}"
        tiers: dict[str, list[Tier]] = {}
        for row in published["models"]:
            tiers.setdefault(row["model"], []).append(_row(row))
        table[provider] = {
            model: Price(tiers=tuple(entries), source=source) for model, entries in tiers.items()
        }
    return table


def _row(row: dict[str, str | int]) -> Tier:
    kinds = ("input", "cache_read", "cache_write", "cache_write_hour", "output")
    sums = {kind: micros(str(row[kind])) for kind in kinds if kind in row}
    up_to = row.get("up_to")
    cache_write = sums.get("cache_write", sums["input"])
    return Tier(
        input=sums["input"],
        output=sums["output"],
        cache_read=sums.get("cache_read", sums["input"]),
        cache_write=cache_write,
        cache_write_hour=sums.get("cache_write_hour", cache_write),
        up_to=None if up_to is None else int(up_to),
    )
