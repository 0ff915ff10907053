"""`agentos models list | check | usage`: which models there are, what they cost, what was spent on them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from agentos.home import Home

if TYPE_CHECKING:
    import argparse

    from agentos.models.prices import Tier
    from agentos.models.reference import Provider


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    import argparse

    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    actions = parser.add_subparsers(dest="action", metavar="list|check|usage")
    for name, line in (
        ("list", "providers, and their models with prices and the date of these"),
        ("check", "try which providers can be reached and take their key; nothing is charged"),
        ("usage", "what agents spent, and how it stands with the limits that warn"),
    ):
        action = actions.add_parser(name, help=line, description=line.capitalize() + ".")
        # Suppressed: without the flag here, the one before the action stands.
        action.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document"
        )
        if name == "usage":
            action.add_argument(
                "--by", choices=("agent", "model", "day"), default="model", help="default: model"
            )
        else:
            action.add_argument("provider", metavar="PROVIDER", nargs="*", help="only these")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb. `check` is 7 when nothing that was tried can be used."""
    if arguments.action == "check":
        return _check(arguments)
    if arguments.action == "usage":
        from agentos.cli.models_usage import show

        return show(arguments.by, as_json=arguments.json)
    rows = _listed(getattr(arguments, "provider", []))
    print(json.dumps(rows) if arguments.json else "\n".join(line for row in rows for line in _lines(row)))
    return 0


def _wanted(names: list[str]) -> dict[str, Provider]:
    from agentos.errors import UsageError
    from agentos.models.reference import providers

    known = providers()
    for name in names:
        if name not in known:
            raise UsageError(f"there is no provider `{name}`", hint=f"known: {', '.join(known)}")
    return {name: known[name] for name in names or known}


def _listed(names: list[str]) -> list[dict[str, Any]]:
    from agentos.models.environment import credentials_from_environment
    from agentos.models.prices import prices

    set_up = {found.provider: found for found in credentials_from_environment(os.environ)}
    rows = []
    for name, provider in _wanted(names).items():
        credential = set_up.get(name)
        known = prices(name)
        rows.append(
            {
                "provider": name,
                "wire": provider.wire,
                "url": credential.base_url if credential else provider.url,
                "keyed": bool(credential and credential.key),
                "key_variable": provider.key_variable,
                "charges": provider.charges,
                "default_model": provider.default_model,
                "prices_from": next((price.source for price in known.values()), None),
                "models": [
                    {"model": model, **_tier(tier)} for model, price in known.items() for tier in price.tiers
                ],
            }
        )
    return rows


def _tier(tier: Tier) -> dict[str, Any]:
    """Prices in USD per million tokens."""
    from agentos.money import usd

    kinds = ("input", "cache_read", "cache_write", "cache_write_hour", "output")
    return {"up_to": tier.up_to, **{f"{kind}_usd": usd(getattr(tier, kind)) for kind in kinds}}


def _lines(row: dict[str, Any]) -> list[str]:
    key = row["key_variable"]
    state = f"{key} is set" if row["keyed"] else f"{key} is not set" if row["charges"] else "needs no key"
    lines = [f"{row['provider']}  {row['url']}  ({state})"]
    for model in row["models"]:
        bound = f", prompts up to {model['up_to']:,} tokens" if model["up_to"] else ""
        lines.append(
            f"  {model['model']:<20} {model['input_usd']:>6} in {model['cache_read_usd']:>6} cached "
            f"{model['output_usd']:>6} out{bound}"
        )
    if row["models"]:
        lines.append(f"  USD per million tokens; {row['prices_from']}")
    elif row["charges"]:
        lines.append("  no prices are known, so its models are refused: no budget could hold them")
    else:
        lines.append("  free: whatever models the server has")
    return lines


def _check(arguments: argparse.Namespace) -> int:
    from agentos.daemon.client import connect
    from agentos.models.environment import credentials_from_environment

    wanted = _wanted(arguments.provider)
    credentials = credentials_from_environment(os.environ)
    set_up = {found.provider: found for found in credentials}
    rows = []
    with connect(Home.find(), credentials) as daemon:
        for name, provider in wanted.items():
            found = set_up.get(name)
            if found is None:
                message = f"{provider.key_variable} is not set"
                answer = {"finding": "no_key", "message": message}
            else:
                params = {"provider": name, "model": "", "wire": found.wire, "url": found.base_url}
                answer = daemon.call("models.check", params)
            rows.append({"provider": name, "url": found.base_url if found else provider.url, **answer})
    if arguments.json:
        print(json.dumps(rows))
    else:
        for row in rows:
            mark = "✓" if row["finding"] == "ok" else "✗"
            said = "can be used" if row["finding"] == "ok" else f"{_words(row['finding'])}: {row['message']}"
            print(f"{mark} {row['provider']:<12} {row['url']}  {said}")
    return 0 if any(row["finding"] == "ok" for row in rows) else 7


def _words(finding: str) -> str:
    return finding.replace("_", " ")
