"""What a failed model call means for a person."""

from __future__ import annotations

from agentos.drivers.model_events import Error
from agentos.errors import AgentOSError, BudgetExceeded, Failed, MissingMechanism
from agentos.models.reference import ModelReference, providers


def explained(error: Error, model: ModelReference) -> AgentOSError:
    """What a failed call means for a person, and what to do about it."""
    where = model.url
    match error.kind:
        case "network" | "tls":
            return MissingMechanism(
                f"the model `{model}` cannot be reached: {error.message}",
                where=where,
                hint=f"is a server there? {providers()[model.provider].url_variable} says where to look",
            )
        case "no_model":
            return MissingMechanism(
                f"the model `{model}` is not there: {error.message}",
                where=where,
                hint=f"is the address right? {providers()[model.provider].url_variable} says where to look",
            )
        case "no_credential":
            variable = providers()[model.provider].key_variable
            return MissingMechanism(
                f"no key for `{model.provider}`: {error.message}",
                where=where,
                hint=f"set {variable}" if variable else "name the server in its variable",
            )
        case "auth":
            return Failed(
                f"the provider refused the key: {error.message}",
                where=where,
                hint=f"check {providers()[model.provider].key_variable}",
            )
        case "quota":
            return BudgetExceeded(
                f"the account at the provider has nothing left: {error.message}",
                where=where,
                hint="waiting does not help; look at the provider's billing page",
            )
        case "rate_limit" | "overloaded":
            return Failed(
                f"the provider is too busy: {error.message}", where=where, hint="resume the run later"
            )
        case _:
            return Failed(f"the call of `{model}` failed: {error.message}", where=where)
