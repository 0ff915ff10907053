"""Money: integer micro-dollars inside, decimal USD strings at the edge."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from agentos.errors import UsageError

MICROS = 1_000_000


def usd(micros: int) -> str:
    """`1500000` as `"1.50"`: at least two decimals, as many as the amount needs."""
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    whole, rest = divmod(micros, MICROS)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"


def micros(text: str, *, where: str | None = None) -> int:
    """`"1.50"` as 1500000. Raises UsageError for anything that is not a non-negative amount of at most
    six decimals."""
    try:
        amount = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("NaN")
    scaled = amount * MICROS
    if not amount.is_finite() or amount < 0 or scaled != scaled.to_integral_value() or scaled > 2**63:
        raise UsageError(
            f"`{text}` is not an amount of USD", where=where, hint='write a decimal such as "2.50"'
        )
    return int(scaled)
