"""`agentos home [remove]`: where state is kept, how much of it, and how to be rid of it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentos.daemon.client import read
from agentos.errors import AgentOSError, Failed, NeedsPerson
from agentos.home import Home

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("action", nargs="?", choices=["remove"], help="remove all of it, after a yes")
    parser.add_argument("--dry-run", action="store_true", help="with remove: only list what would go")
    parser.add_argument("--yes", action="store_true", help="with remove: do not ask")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    home = Home.find()
    home.check()
    if arguments.action == "remove":
        return _remove(home, arguments)
    sizes = {path: _size(path) for path in _parts(home)}
    total = sum(sizes.values())
    if arguments.json:
        parts = [{"path": str(path), "bytes": size} for path, size in sizes.items()]
        print(json.dumps({"home": str(home.root), "bytes": total, "parts": parts}))
    elif not sizes:
        print(f"{home.root}  nothing there yet")
    else:
        print(f"{home.root}  {_readable(total)}")
        for path, size in sizes.items():
            print(f"  {path.name:<16} {_readable(size):>10}")
    return 0


@dataclass(frozen=True)
class Traces:
    """What AgentOS left in one repository: branches and refs under its own names."""

    repository: str
    refs: list[str]


def _remove(home: Home, arguments: argparse.Namespace) -> int:
    parts = _parts(home)
    if not parts:
        print(json.dumps({"removed": []}) if arguments.json else f"{home.root}: nothing to remove")
        return 0
    _refuse_while_alive(home)
    traces = _traces(home)
    plan = {"home": str(home.root), "refs": {trace.repository: trace.refs for trace in traces}}
    if arguments.dry_run and arguments.json:
        print(json.dumps({"would_remove": plan}))
        return 0
    # What would go is for the person who decides: stderr, so that stdout stays the result.
    print(f"{home.root}  {_readable(sum(map(_size, parts)))}", file=sys.stderr)
    for trace in traces:
        print(f"{trace.repository}:", *trace.refs, sep="\n  ", file=sys.stderr)
    if arguments.dry_run:
        return 0
    if not arguments.yes:
        _ask()
    for trace in traces:
        lines = "".join(f"delete {ref}\n" for ref in trace.refs)
        _git(trace.repository, "update-ref", "--stdin", given=lines)
        _git(trace.repository, "worktree", "prune")
    shutil.rmtree(home.root)
    print(json.dumps({"removed": plan}) if arguments.json else "removed")
    return 0


def _ask() -> None:
    if not sys.stdin.isatty():
        raise NeedsPerson(
            "a person must decide whether all of this goes", hint="say `--yes`, or look with `--dry-run`"
        )
    print("remove all of this? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NeedsPerson("nothing was removed")


def daemon_gone(home: Home, patience_seconds: float = 10) -> bool:
    """Waits until nobody holds the home's lock: an idle daemon ends by itself soon after its last client."""
    if not home.lock.exists():
        return True
    deadline = time.monotonic() + patience_seconds
    with home.lock.open("rb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.05)


def _refuse_while_alive(home: Home) -> None:
    if daemon_gone(home):
        return
    pid = home.lock.read_text(errors="replace").strip()
    raise Failed(
        f"this home's daemon is alive (process {pid})",
        where=str(home.root),
        hint="end its work first: `agentos batch stop`, or end that process",
    )


def _traces(home: Home) -> list[Traces]:
    """What this home's batches left in the repositories that are still there; other homes' refs stay."""
    if not home.database.exists():
        return []
    try:
        batches = read("batch.list", {}, home)
    except AgentOSError as error:
        # A damaged journal must not keep anybody from removing it; say what is left behind.
        print(f"agentos: branches in repositories stay: {error.message}", file=sys.stderr)
        return []
    ids = {batch["batch"] for batch in batches}
    found = []
    for repository in sorted({batch["repo"] for batch in batches if Path(batch["repo"]).is_dir()}):
        refs = _git(repository, "for-each-ref", "--format=%(refname)", "refs/heads/agentos/", "refs/agentos/")
        own = [ref for ref in refs.split() if ids & set(ref.split("/"))]
        if own:
            found.append(Traces(repository, own))
    return found


def _git(repository: str, *command: str, given: str = "") -> str:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    call = ["git", "-C", repository, "-c", "core.hooksPath=/dev/null", *command]
    done = subprocess.run(call, input=given, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise Failed(f"git {command[0]}: {done.stderr.strip()}", where=repository)
    return done.stdout


def _parts(home: Home) -> list[Path]:
    return sorted(home.root.iterdir()) if home.root.is_dir() else []


def _size(path: Path) -> int:
    """Bytes on disk of a file, or of everything under a folder."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_blocks * 512
    return sum(
        os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118 — bytes names join as they are
        for folder, _, names in os.walk(path)
        for name in names
    )


def _readable(size: int) -> str:
    number = float(size)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
