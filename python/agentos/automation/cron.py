"""Jobs that run at their times: what they are, when they are due, and what becomes of what was missed.

Nothing here acts: each function is given a state and a time and says what follows (`clock.py` acts on it).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from agentos.automation.task import Ended
from agentos.automation.work import Work, bounded, check_name
from agentos.errors import UsageError
from agentos.kernel import next_instant

SECOND_US = 1_000_000
DOCUMENT_JOBS = 50
HOME_JOBS = 500
EVERY_SECONDS = (60, 86_400)
AHEAD_US = 366 * 86_400 * SECOND_US
"""How far in the future an `at` may lie."""
LATE_US = 60 * SECOND_US
"""What is this late was missed: the policy for catching up decides."""
CAUGHT_UP = 24
"""With `catch_up = "all"`, so many runs at most; the oldest."""
ERRORS = 5
"""So many failures in a row disable a job."""
TIMEOUT_SECONDS = 600
MESSAGE_CHARACTERS = 200

CatchUp = Literal["skip", "once", "all"]


class Job(Work, frozen=True, kw_only=True):
    """A job as its document says it: work, and one of `cron` (five fields), `every` (a duration) or `at` (a
    time, RFC 3339)."""

    name: str
    cron: str | None = None
    every: str | None = None
    at: str | None = None
    zone: str = "UTC"
    catch_up: CatchUp = "once"

    @property
    def when(self) -> str:
        """Its times in a few words."""
        if self.cron is not None:
            return f"{self.cron} ({self.zone})"
        return f"every {self.every}" if self.every is not None else f"at {self.at}"

    def check_times(self, now_us: int) -> None:
        """Raises UsageError where its times are not to be had."""
        check_name(self.name)
        given = [key for key in ("cron", "every", "at") if getattr(self, key) is not None]
        if len(given) != 1:
            raise UsageError(f"it has {len(given)} kinds of times", hint="give one of: cron, every, at")
        if self.every is not None:
            bounded("every", self.every, *EVERY_SECONDS)
        if self.zone != "UTC" and self.cron is None:
            raise UsageError("a `zone` belongs to `cron`", hint="`at` has its offset in itself")
        first = next_us(self, now_us)
        if first is None:
            raise UsageError(f"`at` is {self.at}, which has passed")
        if first > now_us + AHEAD_US and self.at is not None:
            raise UsageError(f"`at` is {self.at}, more than a year ahead")


class Jobs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document of jobs. Its name is that of its file where it gives none."""

    jobs: tuple[Job, ...]
    name: str | None = None


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job: for which time it is (UTC microseconds), and since when it goes on."""

    id: str
    planned_us: int
    started_us: int
    by_hand: bool = False


class Last(msgspec.Struct, frozen=True, kw_only=True):
    """How the last run ended; `output` is a blob."""

    planned_us: int
    ended_us: int
    ok: bool
    message: str = ""
    output: str | None = None


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job's durable state: the record of kind `cron`, one journal entry. `definition` is the blob with the
    job and its task.

    INVARIANT: `firing` is written, and `next_us` moved on, in one entry and before the work starts: so no
    time is run twice and none is lost.
    """

    id: str
    document: str
    file: str
    definition: str
    kind: str
    when: str
    state: Literal["active", "disabled", "done", "removed"] = "active"
    next_us: int | None = None
    firing: Firing | None = None
    pending: tuple[int, ...] = ()
    runs: int = 0
    errors: int = 0
    skipped: int = 0
    last: Last | None = None


def next_us(job: Job, after_us: int, anchor_us: int | None = None) -> int | None:
    """When the job is due first after `after_us`; `anchor_us` is a time at which it was, for `every`."""
    if job.cron is not None:
        return next_instant(job.cron, job.zone, after_us)
    if job.every is not None:
        step = bounded("every", job.every, *EVERY_SECONDS) * SECOND_US
        anchor = after_us if anchor_us is None else anchor_us
        return anchor + ((after_us - anchor) // step + 1) * step
    assert job.at is not None
    at = _moment(job.at)
    return at if at > after_us else None


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"`{text}` is no time", hint="write for example 2027-01-31T09:00:00Z") from None
    if moment.tzinfo is None:
        raise UsageError(f"`{text}` has no offset from UTC", hint=f"write {text}Z, or {text}+01:00")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def due(state: State, job: Job, now_us: int, id: str) -> State:
    """The state once its time has come: with a `firing` called `id` where one is to start now."""
    if state.state != "active" or state.next_us is None or state.next_us > now_us:
        return state
    first = state.next_us
    missed = _missed(job, first, now_us)
    following = next_us(job, now_us, first)
    moved = msgspec.structs.replace(state, next_us=following)
    if state.firing is not None or not missed:
        # The last run goes on, or the time was missed and is not to be caught up.
        return _resting(msgspec.structs.replace(moved, skipped=state.skipped + max(1, len(missed))))
    firing = Firing(id=id, planned_us=missed[0], started_us=now_us)
    return msgspec.structs.replace(moved, firing=firing, pending=tuple(missed[1:]))


def _missed(job: Job, first: int, now_us: int) -> list[int]:
    """The times from `first` to now that are to be run."""
    if job.catch_up == "skip" and now_us - first > LATE_US:
        return []
    if job.catch_up != "all":
        return [first]
    found, following = [first], next_us(job, first, first)
    while following is not None and following <= now_us and len(found) < CAUGHT_UP:
        found.append(following)
        following = next_us(job, following, first)
    return found


def ended(state: State, ended: Ended, now_us: int, id: str, output: str | None = None) -> State:
    """The state once its firing has ended, its output kept as a blob; the next of what it missed, if any,
    begins as `id`."""
    assert state.firing is not None
    last = Last(
        planned_us=state.firing.planned_us,
        ended_us=now_us,
        ok=ended.ok,
        message=ended.message[:MESSAGE_CHARACTERS],
        output=output,
    )
    errors = 0 if ended.ok else state.errors + 1
    after = msgspec.structs.replace(state, firing=None, runs=state.runs + 1, errors=errors, last=last)
    if errors >= ERRORS and state.state == "active":
        return msgspec.structs.replace(after, state="disabled", next_us=None, pending=())
    if state.pending and state.state == "active":
        firing = Firing(id=id, planned_us=state.pending[0], started_us=now_us)
        return msgspec.structs.replace(after, firing=firing, pending=state.pending[1:])
    return _resting(after)


def _resting(state: State) -> State:
    """A job that has no time left is done."""
    over = state.state == "active" and state.next_us is None and state.firing is None
    return msgspec.structs.replace(state, state="done") if over else state


def instant(us: int | None) -> str | None:
    """UTC microseconds as people read them."""
    if us is None:
        return None
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def row(state: State) -> dict[str, Any]:
    """A job as `cron list --json` shows it."""
    last = state.last
    return {
        "id": state.id,
        "file": state.file,
        "kind": state.kind,
        "when": state.when,
        "state": "running" if state.firing is not None else state.state,
        "next": instant(state.next_us),
        "runs": state.runs,
        "errors": state.errors,
        "skipped": state.skipped,
        "last": None
        if last is None
        else {
            "planned": instant(last.planned_us),
            "ended": instant(last.ended_us),
            "ok": last.ok,
            "message": last.message,
        },
    }
