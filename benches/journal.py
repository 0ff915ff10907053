"""Appends acknowledged as durable each second, against bare SQLite with group commit and synchronous=FULL.

A Rust program measures both, and a log file of our own beside them (the peer), in turns and in one run.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from harness import STEADY, Line, calibration, interval, verdict

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target" / "release" / "examples" / "journal_bench"
MUST = 0.7


def build() -> None:
    """Makes the Rust program of the benches."""
    words = ["build", "--quiet", "--release", "--locked", "-p", "agentos-journal", "--example", PROGRAM.name]
    subprocess.run(["cargo", *words], cwd=ROOT, check=True)


def lines(*, smoke: bool) -> list[Line]:
    """Appends a second, by number of producers and by size of batch; more is better."""
    build()
    folder = ROOT / "target" / "bench"  # on a real disk: in memory a sync costs nothing
    folder.mkdir(parents=True, exist_ok=True)
    before = calibration()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = [PROGRAM, "appends", place, *(["1", "1"] if smoke else ["10", "9"])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = calibration()
    noisy = max(before, after) / min(before, after) > STEADY
    return [_line(case, noisy=noisy) for case in json.loads(done.stdout)]


def _line(case: dict[str, Any], *, noisy: bool) -> Line:
    values, floors, logs = case["values"], case["floors"], case["logs"]
    ratios = [value / floor for value, floor in zip(values, floors, strict=True)]
    found = interval(ratios)
    return Line(
        name=f"journal appends, {case['name']}",
        value=statistics.median(values),
        unit="1/s",
        floor=statistics.median(floors),
        ratio=statistics.median(ratios),
        interval=found,
        peer_name="log file of our own",
        peer=statistics.median(logs),
        peer_ratio=statistics.median(value / log for value, log in zip(values, logs, strict=True)),
        noisy=noisy,
        note=f"{statistics.median(case['commits']):.1f} a sync",
        verdict=verdict(found, at_least=MUST),
    )
