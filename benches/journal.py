"""Appends acknowledged as durable each second, against bare SQLite; a Rust program measures both."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from harness import Line

ROOT = Path(__file__).resolve().parent.parent
BUILD = [
    "cargo",
    "run",
    "--quiet",
    "--release",
    "--locked",
    "-p",
    "agentos-journal",
    "--example",
    "journal_bench",
]


def lines(*, smoke: bool) -> list[Line]:
    """Appends a second, by number of producers; more is better, so a ratio above one wins."""
    folder = ROOT / "target" / "bench"  # on a real disk: in memory a sync costs nothing
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = [*BUILD, "--", place, "0.2" if smoke else "2"]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [
        Line(
            name=f"journal appends, {case['producers']} producers",
            value=case["value"],
            unit="1/s",
            floor=case["floor"],
            ratio=case["ratio"],
            interval=(case["ratio"], case["ratio"]),
            peer_name="SQLite, one loop",
            peer=case["ceiling"],
            peer_ratio=case["value"] / case["ceiling"],
        )
        for case in json.loads(done.stdout)["cases"]
    ]
