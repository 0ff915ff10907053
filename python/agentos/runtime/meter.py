"""What a model call has used so far, against what is reserved for it."""

from __future__ import annotations

from agentos.drivers.model_events import Usage as WireUsage
from agentos.messages import Cost
from agentos.models.conversation import Usage
from agentos.models.prices import Price

# Characters. No token is longer on average: a reply of more has outrun its `max_tokens`.
LONGEST_TOKEN = 16


class Meter:
    """One call: its reservation, and the provider's count."""

    def __init__(self, price: Price, prompt_tokens: int, max_tokens: int) -> None:
        self._price = price
        self.max_tokens = max_tokens
        self._prompt_tokens = prompt_tokens
        self._reserved = self._cost(prompt_tokens, max_tokens)
        self.usage = Usage()
        self.began = False

    def _cost(self, prompt_tokens: int, output_tokens: int) -> Cost:
        return Cost(
            usd_micros=self._price.most(prompt_tokens, output_tokens),
            tokens=prompt_tokens + output_tokens,
            turns=1,
        )

    @property
    def lost(self) -> Cost:
        """What a call is charged that broke off: nobody knows what the provider counted, so all that was
        reserved; but it was no turn."""
        return Cost(usd_micros=self._reserved.usd_micros, tokens=self._reserved.tokens)

    def count(self, usage: WireUsage) -> None:
        """Take the provider's own count, which are totals."""
        self.usage = Usage(
            input_tokens=usage.input,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            cache_write_hour_tokens=usage.cache_write_hour,
            output_tokens=usage.output,
            reasoning_tokens=usage.reasoning,
        )

    def actual(self) -> Cost:
        """What the provider counted; a provider that never counts is charged what was reserved."""
        if not self.usage.total_tokens:
            return self._reserved
        return Cost(
            usd_micros=self._price.cost(self.usage),
            tokens=self.usage.total_tokens,
            turns=1,
        )

    def missing(self, characters: int) -> Cost:
        """How much more the call could still come to cost than is reserved."""
        output = max(self.max_tokens, self.usage.output_tokens, characters // LONGEST_TOKEN)
        most = self._cost(max(self._prompt_tokens, self.usage.prompt_tokens), output)
        # A gateway may write caches that we did not ask for, at a price that was not reserved.
        counted = self._price.cost(self.usage)
        return Cost(
            usd_micros=max(0, max(most.usd_micros, counted) - self._reserved.usd_micros),
            tokens=max(0, most.tokens - self._reserved.tokens),
        )

    def extended(self, more: Cost) -> None:
        """The kernel has reserved that much more."""
        self._reserved = Cost(
            usd_micros=self._reserved.usd_micros + more.usd_micros,
            tokens=self._reserved.tokens + more.tokens,
            turns=self._reserved.turns,
        )
