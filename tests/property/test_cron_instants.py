"""When a cron expression next holds, against a search that knows nothing but the zone's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentos.errors import UsageError
from agentos.kernel import next_instant

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Days with a change of clocks in them, forwards and back, by an hour and by half of one, at night and at
# midnight; and zones that have none, or odd offsets.
DAYS = {
    "Europe/Berlin": [datetime(2026, 3, 28), datetime(2026, 10, 24)],
    "America/New_York": [datetime(2026, 3, 7), datetime(2026, 10, 31)],
    "Australia/Lord_Howe": [datetime(2026, 4, 4), datetime(2026, 10, 3)],
    "America/Santiago": [datetime(2026, 4, 4), datetime(2026, 9, 5)],
    "Africa/Cairo": [datetime(2026, 4, 23), datetime(2026, 10, 29)],
    "Asia/Kathmandu": [datetime(2026, 5, 1)],
    "Asia/Tokyo": [datetime(2026, 2, 28)],
    "UTC": [datetime(2026, 12, 31)],
}
BOUNDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


@dataclass(frozen=True)
class Field:
    """A field as text, and the values that it means."""

    text: str
    values: frozenset[int]


def fields(low: int, high: int) -> st.SearchStrategy[Field]:
    """Fields of every form; mostly stars, or nothing would ever hold."""
    value = st.integers(low, high)
    step = st.integers(1, high - low + 1)
    star = st.just(Field("*", frozenset(range(low, high + 1))))
    stepped = step.map(lambda by: Field(f"*/{by}", frozenset(range(low, high + 1, by))))
    single = value.map(lambda one: Field(str(one), frozenset([one])))
    ranged = st.tuples(value, value, step).map(
        lambda given: Field(
            f"{min(given[:2])}-{max(given[:2])}/{given[2]}",
            frozenset(range(min(given[:2]), max(given[:2]) + 1, given[2])),
        )
    )
    part = st.one_of(single, ranged, stepped)
    listed = st.lists(part, min_size=1, max_size=3).map(
        lambda parts: Field(
            ",".join(one.text for one in parts), frozenset().union(*(one.values for one in parts))
        )
    )
    return st.one_of(star, stepped, listed)


def holds(expression: tuple[Field, ...], local: datetime) -> bool:
    minute, hour, day, month, weekday = expression
    by_date = local.day in day.values
    by_weekday = local.isoweekday() % 7 in weekday.values
    both = day.text.startswith("*") or weekday.text.startswith("*")
    return (
        local.minute in minute.values
        and local.hour in hour.values
        and local.month in month.values
        and ((by_date and by_weekday) if both else (by_date or by_weekday))
    )


def naive(expression: tuple[Field, ...], zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """Minute by minute: where the clock first shows a time, and the end of a gap for all that lie in it."""
    moment = after.replace(second=0, microsecond=0) + MINUTE
    while moment <= until:
        if any(holds(expression, local) for local in shown(zone, moment)):
            return moment
        moment += MINUTE
    return None


def shown(zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """The times of the calendar whose instant `moment` is."""
    local = moment.astimezone(zone).replace(tzinfo=None)
    before = (moment - MINUTE).astimezone(zone).replace(tzinfo=None)
    if moment.astimezone(zone).fold == 0:
        yield local
    skipped = before + MINUTE
    while skipped < local:
        yield skipped
        skipped += MINUTE


@settings(max_examples=400, deadline=None)
@given(
    expression=st.tuples(*(fields(low, high) for low, high in BOUNDS)),
    place=st.sampled_from([(zone, day) for zone, days in DAYS.items() for day in days]),
    offset=st.integers(0, 30 * 3600),
)
@example(
    expression=tuple(Field("*", frozenset(range(low, high + 1))) for low, high in BOUNDS),
    place=("Europe/Berlin", datetime(2026, 10, 24)),
    offset=24 * 3600 + 1800,
)
def test_it_is_what_a_search_minute_by_minute_finds(
    expression: tuple[Field, ...], place: tuple[str, datetime], offset: int
) -> None:
    zone, day = place
    after = day.replace(tzinfo=UTC) + timedelta(seconds=offset)
    until = after + timedelta(hours=40)
    text = " ".join(field.text for field in expression)
    expected = naive(expression, ZoneInfo(zone), after, until)
    after_us = (after - EPOCH) // timedelta(microseconds=1)
    try:
        found = EPOCH + timedelta(microseconds=next_instant(text, zone, after_us))
    except UsageError:
        # A day that no year has, such as 31 February.
        assert expected is None
        return
    if expected is None:
        assert found > until
    else:
        assert found == expected


@settings(max_examples=200, deadline=None)
@given(
    expression=st.tuples(*(fields(low, high) for low, high in BOUNDS[:2]), st.just(Field("*", frozenset()))),
    place=st.sampled_from([(zone, day) for zone, days in DAYS.items() for day in days]),
)
def test_a_day_has_each_of_its_times_once(expression: tuple[Field, ...], place: tuple[str, datetime]) -> None:
    """Over two days of changing clocks no time comes more often than the calendar has it."""
    minute, hour, _ = expression
    zone, day = place
    text = f"{minute.text} {hour.text} * * *"
    start = day.replace(tzinfo=ZoneInfo(zone))
    moment = ((start - EPOCH) // timedelta(microseconds=1)) - 1
    end = (day + timedelta(days=2)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    seen: list[datetime] = []
    while True:
        moment = next_instant(text, zone, moment)
        instant = EPOCH + timedelta(microseconds=moment)
        if instant >= end:
            break
        seen.append(instant)
    most = 2 * len(minute.values) * len(hour.values)
    assert seen == sorted(set(seen))
    assert len(seen) <= most
