"""How the benches measure on a shared machine: interleaved, as ratios, with the machine's noise beside them.

Each round runs subject and floor as A B B A and gives one ratio; the median of the rounds is the result, with
a bootstrap interval of 95 %. A fixed loop before and after tells how steady the machine was: if that moved by
more than 15 %, the case is tried again, and in the end it is marked noisy, never silently kept.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ATTEMPTS = 3
STEADY = 1.15


@dataclass(frozen=True)
class Line:
    """One line of the scoreboard. `floor` is the least the machine needs, `peer` the nearest alternative.

    `ratio` is value to floor and `peer_ratio` value to peer, each the median over rounds. `verdict` says
    whether the figure that must be reached is: the whole interval has to.
    """

    name: str
    value: float
    unit: str
    floor: float
    ratio: float
    interval: tuple[float, float]
    peer_name: str = "-"
    peer: float | None = None
    peer_ratio: float | None = None
    noisy: bool = False
    note: str = ""
    verdict: str = "-"

    def __str__(self) -> str:
        peer_ratio = f"{self.peer_ratio:.2f}" if self.peer_ratio else "-"
        peer = f"{shown(self.peer):>10} {peer_ratio:>8}"
        low, high = self.interval
        end = f"  {self.peer_name}{'  NOISY' if self.noisy else ''}{'  ' + self.note if self.note else ''}"
        return (
            f"{self.name:<34} {shown(self.value):>10} {self.unit:<8} {shown(self.floor):>10}"
            f" {self.ratio:>8.2f} [{low:.2f}, {high:.2f}] {peer}  {self.verdict:<7}{end}"
        )


HEADER = (
    f"{'name':<34} {'value':>10} {'unit':<8} {'floor':>10} {'ratio':>8} {'95 %':<12}"
    f" {'peer':>10} {'ratio':>8}  verdict"
)


def shown(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def calibration() -> float:
    """Seconds that a fixed loop takes: what the machine gives right now."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        sum(number * number for number in range(100_000))
        best = min(best, time.perf_counter() - started)
    return best


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """The bootstrap interval of 95 % of the median."""
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(1000))
    return medians[25], medians[974]


def verdict(
    ratios: tuple[float, float], *, at_least: float | None = None, at_most: float | None = None
) -> str:
    """Whether an interval of ratios reaches what it must: `met`, `missed`, or `-` where nothing is asked."""
    if at_least is None and at_most is None:
        return "-"
    low, high = ratios
    met = (at_least is None or low >= at_least) and (at_most is None or high <= at_most)
    return "met" if met else "missed"


@dataclass(frozen=True)
class Comparison:
    """Medians of each side, the median of their ratios, and how steady the machine was."""

    values: list[float]
    ratios: list[float]
    interval: tuple[float, float]
    noisy: bool


def compare(sides: Sequence[Callable[[], float]], rounds: int) -> Comparison:
    """Runs `sides` (subject, floor, peer …) in turn and back, `rounds` times; each returns its measure."""
    for attempt in range(ATTEMPTS):
        before = calibration()
        table = [_round(sides) for _ in range(rounds)]
        after = calibration()
        noisy = max(before, after) / min(before, after) > STEADY
        if not noisy or attempt == ATTEMPTS - 1:
            break
    per_side = [[row[at] for row in table] for at in range(len(sides))]
    ratios = [[row[0] / row[at] for row in table] for at in range(len(sides))]
    return Comparison(
        [statistics.median(values) for values in per_side],
        [statistics.median(values) for values in ratios],
        interval(ratios[1]),
        noisy,
    )


def _round(sides: Sequence[Callable[[], float]]) -> list[float]:
    there = [side() for side in sides]
    back = [side() for side in reversed(sides)]
    return [(first + second) / 2 for first, second in zip(there, reversed(back), strict=True)]


def line(
    name: str,
    unit: str,
    sides: Sequence[Callable[[], float]],
    rounds: int,
    peer: str = "-",
    note: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
) -> Line:
    """Compares, and makes the scoreboard's line; `sides` is subject, floor and, where there is one, peer.

    `at_least` and `at_most` bound the ratio of subject to floor that must be reached.
    """
    found = compare(sides, rounds)
    with_peer = len(sides) > 2
    return Line(
        name=name,
        value=found.values[0],
        unit=unit,
        floor=found.values[1],
        ratio=found.ratios[1],
        interval=found.interval,
        peer_name=peer,
        peer=found.values[2] if with_peer else None,
        peer_ratio=found.ratios[2] if with_peer else None,
        noisy=found.noisy,
        note=note,
        verdict=verdict(found.interval, at_least=at_least, at_most=at_most),
    )


def timed(call: Callable[[], object]) -> float:
    """Seconds of wall time that `call` takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def save(lines: Sequence[Line], path: Path) -> None:
    """Writes the scoreboard as JSON, for whoever compares runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(entry) for entry in lines], indent=1) + "\n")
