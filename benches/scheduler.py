"""A scheduling decision among N that could go, against a bare stride heap of the same size."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from harness import Line, line

ROOT = Path(__file__).resolve().parent.parent
SIZES = (10, 1_000, 100_000, 1_000_000)


def lines(*, smoke: bool) -> list[Line]:
    """Decisions a second; more is better. The p99 of a single one stands in the note."""
    count, rounds, sizes = (1_000, 2, SIZES[:2]) if smoke else (1_000_000, 9, SIZES)
    with _Scheduler() as scheduler:
        found = [_line("lane", scheduler, size, count, rounds) for size in sizes]
        found += [_line("kernel", scheduler, size, max(1, count // 20), rounds) for size in sizes[:3]]
    return found


def _line(kind: str, scheduler: _Scheduler, size: int, count: int, rounds: int) -> Line:
    slowest: list[int] = []

    def subject() -> float:
        nanoseconds, p99 = scheduler.measure(kind, size, count)
        slowest.append(p99)
        return 1e9 / nanoseconds

    def floor() -> float:
        return 1e9 / scheduler.measure("heap", size, count)[0]

    name = {"lane": "scheduling decision", "kernel": "complete → go → queued"}[kind]
    found = line(f"{name}, {size:,} runnable", "1/s", [subject, floor], rounds)
    p99 = sorted(slowest)[len(slowest) // 2] / 1e3
    return Line(**{**vars(found), "note": f"p99 {p99:.2g} µs"})


class _Scheduler:
    """The bench of the kernel's crate, asked line by line."""

    def __enter__(self) -> _Scheduler:
        command = ["cargo", "build", "--release", "--locked", "--package", "agentos-kernel"]
        command += ["--example", "scheduler_bench", "--message-format", "json"]
        built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        artifacts = (json.loads(text) for text in built.stdout.splitlines())
        program = next(found for artifact in artifacts if (found := artifact.get("executable")))
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def measure(self, kind: str, size: int, count: int) -> tuple[int, int]:
        """Nanoseconds of a decision, and the 99th percentile."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{kind} {size} {count}\n")
        nanoseconds, p99 = self._process.stdout.readline().split()
        return max(1, int(nanoseconds)), int(p99)
