"""What one batch unit costs, against `git worktree add` plus a process spawn a unit, two at a time."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import Line, line, timed

FILES = 2000


def lines(*, smoke: bool) -> list[Line]:
    """Milliseconds a unit: made, run, checked, committed; against made and run alone."""
    units, files, rounds = (4, 100, 1) if smoke else (24, FILES, 3)
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as folder:
        root = Path(folder)
        repository = _repository(root / "repository", units, files)
        serial = itertools.count()

        def batch() -> float:
            home = root / f"home-{next(serial)}"
            environment = os.environ | {"AGENTOS_HOME": str(home)}
            words = [
                "batch",
                "run",
                "--units",
                "unit-*/",
                "--program",
                "echo done >> {paths}/result",
                "--verify",
                "true",
            ]
            command = [sys.executable, "-m", "agentos", *words, "--concurrency", "2", "--yes", "--json"]

            def run() -> None:
                done = subprocess.run(
                    command, cwd=repository, env=environment, capture_output=True, text=True
                )
                summary = json.loads(done.stdout.splitlines()[-1])
                if summary.get("landed") != units:
                    raise RuntimeError(f"{summary} {done.stderr}")

            return timed(run) / units * 1000

        def worktrees() -> float:
            place = root / f"worktrees-{next(serial)}"
            seconds = timed(lambda: _worktrees(repository, place, units))
            _git(repository, "worktree", "prune", "--expire=now")
            return seconds / units * 1000

        found = line("batch unit", "ms", [batch, worktrees], rounds, note=f"{units} units, {files} files")
    return [found]


def _repository(path: Path, units: int, files: int) -> Path:
    for unit in range(units):
        folder = path / f"unit-{unit}"
        folder.mkdir(parents=True)
        for number in range(files // units):
            (folder / f"file-{number}.txt").write_text(f"{unit} {number}\n" * 20)
    _git(path, "init", "--quiet", "--initial-branch=main")
    for words in (
        ["config", "user.name", "Bench"],
        ["config", "user.email", "bench@example.org"],
        ["add", "--all"],
    ):
        _git(path, *words)
    _git(path, "commit", "--quiet", "--message=base")
    return path


def _worktrees(repository: Path, place: Path, units: int) -> None:
    def one(number: int) -> None:
        folder = place / str(number)
        _git(repository, "worktree", "add", "--quiet", "--detach", str(folder))
        subprocess.run(["/bin/sh", "-c", f"echo done >> unit-{number}/result"], cwd=folder, check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(units)))


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, stdout=subprocess.DEVNULL)
