"""Names of models: `provider/model`, or a bare name that a provider's prefix claims.

Providers are data (`providers.toml`). Environments are arguments: they belong to whoever submits work.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from agentos.errors import MissingMechanism, UsageError
from agentos.models.prices import FREE, Price, nearest, price

MODEL_VARIABLE = "AGENTOS_MODEL"


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a provider's models are reached, what they speak, and which variables people set for it."""

    wire: Literal["anthropic", "openai"]
    url: str
    url_variable: str
    key_variable: str | None = None
    key_header: Literal["x-api-key", "api-key", "bearer"] = "bearer"
    token_variable: str | None = None
    prefixes: tuple[str, ...] = ()
    default_model: str | None = None
    max_tokens_key: str = "max_tokens"
    charges: bool = False


class ModelReference(msgspec.Struct, frozen=True, kw_only=True):
    """A model and where to call it. `url` is the base that the wire's path is appended to."""

    provider: str
    model: str
    wire: Literal["anthropic", "openai"]
    url: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def host(self) -> str:
        """Lower-case host name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def lane(self) -> str:
        """The scarce thing that its calls queue for."""
        return f"model:{self.host}:{self.port}"

    def price(self) -> Price:
        """What a call costs. A model nobody publishes a price for is free, unless its provider charges:
        then nothing could bound what it spends, and UsageError says so."""
        known = price(self.provider, self.model)
        if known is not None:
            return known
        official = providers()[self.provider]
        if official.charges and self.host == urlsplit(official.url).hostname:
            known_ones = ", ".join(f"{self.provider}/{name}" for name in nearest(self.provider, self.model))
            raise UsageError(
                f"the price of `{self}` is not known, so no budget could hold it",
                hint=f"choose one whose price is known: {known_ones}"
                if known_ones
                else f"no price of `{self.provider}` is known: choose a model of another provider",
            )
        return FREE


@functools.cache
def providers() -> dict[str, Provider]:
    """All providers by name."""
    text = resources.files(__package__).joinpath("providers.toml").read_text()
    return msgspec.convert(tomllib.loads(text), dict[str, Provider])


def resolve(name: str, environment: Mapping[str, str], *, url: str | None = None) -> ModelReference:
    """The model that `name` means; `url` overrides its base, as does the provider's variable.

    Raises UsageError for a name that no provider claims, and for a base that is no http(s) address.
    """
    provider_name, model = _split(name)
    provider = providers()[provider_name]
    base = base_url(url or environment.get(provider.url_variable) or provider.url, provider)
    return ModelReference(provider=provider_name, model=model, wire=provider.wire, url=base)


def default_name(environment: Mapping[str, str]) -> str:
    """The model to use when nobody names one: `AGENTOS_MODEL`, else that of the first provider with a key."""
    named = environment.get(MODEL_VARIABLE)
    if named:
        return named
    for name, provider in providers().items():
        keys = (provider.key_variable, provider.token_variable)
        if provider.default_model and any(environment.get(key) for key in keys if key):
            return f"{name}/{provider.default_model}"
    raise MissingMechanism(
        "no model is named and no provider's key is set",
        hint="set ANTHROPIC_API_KEY or OPENAI_API_KEY, or name a local model: --model ollama/llama3.2",
    )


def _split(name: str) -> tuple[str, str]:
    provider, slash, model = name.partition("/")
    if slash and model and provider in providers():
        return provider, model
    for known, data in providers().items():
        if name.startswith(data.prefixes):
            return known, name
    raise UsageError(
        f"`{name}` names no model that is known",
        hint=f"write provider/model, with one of: {', '.join(providers())}",
    )


def base_url(text: str, provider: Provider) -> str:
    """`text` as the base that the wire's path is appended to. Raises UsageError."""
    base = text if "://" in text else f"http://{text}"
    parts = urlsplit(base)
    base = base.rstrip("/")
    try:
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username:
        raise UsageError(f"`{text}` is no base address of a model", where=provider.url_variable)
    # `OLLAMA_HOST=127.0.0.1:11434` names a server, not the path of its compatible interface.
    if provider.url_variable == "OLLAMA_HOST" and not parts.path.strip("/"):
        base += "/v1"
    return base
