"""Finds out that a model goes round in circles, from its calls and their results alone: no I/O, no clock.

Ask `check` before each call and tell `record` what came of it. First the model is warned, then that call is
refused, then the run ends.

INVARIANT: what is counted is calls since something changed. A call that may have changed something makes a
repetition of any *other* call news again: running the same tests after each edit is work, not a circle.

The thresholds are OpenFang's. Deliberately different:
- Two calls are the same when their arguments mean the same: decoded, with defaults filled in, in canonical
  JSON. Neither the order of keys nor a default spelled out makes another call.
- A call is a poll where its tool has an argument `poll` and the model sets it; not where some argument
  happens to contain "status" or "wait". A poll may bring the same result three times as often as well.
- Results are compared whole, not by their first 1,000 characters.
- A circle is looked for before a call is warned about: three rounds are three calls of each member, so else
  the warning would always come first. Circles are found up to ten calls long, not only of two or three.
- The breaker counts calls that brought nothing new. A limit on all calls ends long, honest work, so it is
  raised until it protects from nothing; the limit on all work is the run's turns, which the kernel holds.
- A model that does nothing but what is refused is stopped after five refusals, not after 30 paid turns.

A resumed run starts with a new guard: somebody decided that it shall go on.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from agentos.models.conversation import ToolUse
    from agentos.tools.tool import Tool

PAUSES = (5, 10, 30, 60)
"""Seconds before a poll's second, third, … repetition; the last holds for all later ones."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How often is too often.

    `warn`, `block`: the same call. `same_warn`, `same_block`: the same call with the same result (it is the
    call after that which is refused). `warnings`: how often one call is warned about before it is refused.
    `rounds`: how often a circle is gone round. `poll_factor`: how much more a poll may. `stubborn`: refusals
    in a row, and `total`: calls without news, after which the run ends. `history`: how many calls are looked
    back at.
    """

    warn: int = 3
    block: int = 5
    same_warn: int = 2
    same_block: int = 3
    warnings: int = 3
    rounds: int = 3
    poll_factor: int = 3
    stubborn: int = 5
    total: int = 30
    history: int = 30


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call as the guard sees it: canonical arguments; `changes`: it may change what other calls find."""

    name: str
    arguments: str
    poll: bool = False
    changes: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Equal for equal calls."""
        return self.name, self.arguments


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with a call: make it, make it and tell the model `reason`, refuse it, or end the
    run. `pause` is the seconds to wait before it is made."""

    kind: Literal["allow", "warn", "block", "break"]
    reason: str = ""
    pause: int = 0


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What a guard has seen so far. `fruitless` calls were refused, or brought what they had before."""

    calls: int
    different: int
    blocked: int
    fruitless: int
    circling: bool
    most_repeated: str | None
    most_repeated_count: int


def call_of(use: ToolUse, kind: type[Tool] | None) -> Call:
    """The call that a model made of the tool `kind`; None where there is no such tool."""
    if kind is None or use.malformed:
        return Call(name=use.name, arguments=canonical(use.malformed or use.input))
    arguments: dict[str, Any] = dict(use.input)
    poll = False
    try:
        tool: Any = msgspec.convert(use.input, kind)
    except msgspec.ValidationError:
        pass  # the model will be told; it may well send the same again
    else:
        arguments = msgspec.to_builtins(tool)
        # Whether a call polls is no part of what it does.
        poll = arguments.pop("poll", None) is True
    # A poll only looks.
    changes = kind.RECOVERY != "pure" and not poll
    return Call(name=use.name, arguments=canonical(arguments), poll=poll, changes=changes)


def canonical(arguments: Any) -> str:
    """JSON in which equal arguments are equal text."""
    return msgspec.json.encode(arguments, order="sorted").decode()


class LoopGuard:
    """Watches the calls of one run."""

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008
        self.broken: str | None = None
        """Why the run is to end, once it is."""
        self._limits = limits
        self._made: Counter[tuple[str, str]] = Counter()
        self._recent: deque[tuple[str, str]] = deque(maxlen=limits.history)
        self._blocked = self._fruitless = self._refusals = 0
        self._repeated: Counter[tuple[str, str]] = Counter()
        self._warned: Counter[tuple[str, str]] = Counter()
        self._results: dict[tuple[str, str], Counter[bytes]] = {}

    def check(self, call: Call) -> Verdict:
        """Whether `call` is to be made. Counts it, whatever the answer."""
        self._made[call.key] += 1
        self._repeated[call.key] += 1
        self._recent.append(call.key)
        if self.broken is None and self._fruitless >= self._limits.total:
            self._break(f"{self._fruitless} of {self._made.total() - 1} calls brought nothing new")
        verdict = self._judge(call) if self.broken is None else None
        if verdict is not None and verdict.kind != "block":
            self._refusals = 0
            return verdict
        self._blocked += 1
        self._fruitless += 1
        self._refusals += 1
        if self._refusals >= self._limits.stubborn:
            self._break(f"the model was refused {self._refusals} calls in a row and went on with them")
        if self.broken is not None or verdict is None:
            return Verdict(kind="break", reason=f"not called, the run ends: {self.broken}")
        return verdict

    def record(self, call: Call, result: str, *, failed: bool) -> str:
        """Takes what a call brought that was made; what to tell the model about it, or nothing."""
        if call.changes and not failed:
            self._forget(but=call.key)
        results = self._results.setdefault(call.key, Counter())
        digest = hashlib.sha256(result.encode("utf-8", "surrogatepass")).digest()
        results[digest] += 1
        if results[digest] > 1 and not call.poll:
            self._fruitless += 1
        if results[digest] < self._limits.same_warn * self._factor(call):
            return ""
        return f"this call has now brought the same result {results[digest]} times: try another way"

    def stats(self) -> Stats:
        """A snapshot."""
        [(key, count)] = self._made.most_common(1) or [(("", ""), 0)]
        return Stats(
            calls=self._made.total(),
            different=len(self._made),
            blocked=self._blocked,
            fruitless=self._fruitless,
            circling=bool(self._circle(1)),
            most_repeated=key[0] or None,
            most_repeated_count=count,
        )

    def _judge(self, call: Call) -> Verdict:
        limits, factor = self._limits, self._factor(call)
        count = self._repeated[call.key]
        same = max(self._results.get(call.key, Counter()).values(), default=0)
        if same >= limits.same_block * factor:
            return _refused(f"it has brought the same result {same} times")
        if count >= limits.block * factor:
            return _refused(f"it has been asked for {count} times")
        # Before the warning: three rounds of a circle are three calls of each of its members.
        if circle := self._circle(factor):
            return _refused(f"the calls go in a circle: {', '.join(circle)}")
        if count >= limits.warn * factor:
            self._warned[call.key] += 1
            if self._warned[call.key] > limits.warnings:
                return _refused("it was warned about often enough")
            reason = f"this call has now been made {count} times: try another way"
            return Verdict(kind="warn", reason=reason, pause=_pause(call, count))
        return Verdict(kind="allow", pause=_pause(call, count))

    def _circle(self, factor: int) -> list[str]:
        """The tools of the shortest circle that the last calls went round often enough; empty without one."""
        calls = list(self._recent)
        rounds = self._limits.rounds * factor
        for length in range(2, len(calls) // rounds + 1):
            circle = calls[-length:]
            if len(set(circle)) > 1 and calls[-length * rounds :] == circle * rounds:
                return [name for name, _ in circle]
        return []

    def _factor(self, call: Call) -> int:
        return self._limits.poll_factor if call.poll else 1

    def _forget(self, but: tuple[str, str]) -> None:
        """Something changed: other calls may find something new."""
        for counts in (self._repeated, self._warned, self._results):
            for key in [key for key in counts if key != but]:
                del counts[key]

    def _break(self, why: str) -> None:
        stats = self.stats()
        self.broken = (
            f"{why}; the most frequent was `{stats.most_repeated}`, {stats.most_repeated_count} times"
        )


def _refused(why: str) -> Verdict:
    hint = "Do something else first: until something has changed, this call is refused."
    return Verdict(kind="block", reason=f"not called: {why}. {hint}")


def _pause(call: Call, count: int) -> int:
    return PAUSES[min(count - 2, len(PAUSES) - 1)] if call.poll and count > 1 else 0
