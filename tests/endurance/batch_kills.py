"""Batches that are killed at random moments and resumed: every unit lands exactly once, nothing is left over.

    make endurance REPO=FOLDER      on the files of FOLDER, committed into a fresh repository

One batch for each of client, daemon, and everything at once; each is killed several times on its way. What is
drawn is printed, and `--seed` draws the same again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.batches import Repository
from tests.command import Command, wait_gone
from tests.endurance.kills import VICTIMS, Stream, Victim, kill, living

from agentos.batch.paths import quote
from agentos.batch.records import attempts
from agentos.kernel import ReadOnlyKernel

FILES_EACH = 3
JITTER = 0.3  # seconds at most between the event that is drawn and the kill
EVENTS_EACH = 4  # every unit has more events than this, so that the draw lies before the batch's end
LINE = b"this unit was here\n"

# Reads all there is, as an agent would; leaves a process and a file that nobody asked for.
PROGRAM = (
    'find . -type f -print0 | xargs -0 cat | cksum > "$TMPDIR/sum"; sleep 1000 & '
    f'for f in {{paths}}; do echo {LINE.decode().strip()} >> "$f"; done'
)
VERIFY = f"for f in {{paths}}; do test $(grep -cx '{LINE.decode().strip()}' \"$f\") = 1 || exit 1; done"


class Endurance:
    """A repository of the files that lie in `folder/repository`, a home, and batches that are killed."""

    def __init__(self, folder: Path, units: int, seed: int, say: Callable[[str], None]) -> None:
        self.random = random.Random(seed)
        self.say = say
        self.folder = folder
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.repository = Repository(folder / "repository")
        self.agentos = Command(folder / "home", self.repository.path, {"TMPDIR": str(self.temporary)})
        git = self.repository.git
        git("init", "--quiet", "--initial-branch=main")
        git("config", "user.name", "Tess Ter")
        git("config", "user.email", "tess@example.org")
        git("add", "--all", "--force")
        git("commit", "--quiet", "--message=base")
        self.base = git("rev-parse", "HEAD").strip()
        self.units = self._draw_units(units)
        self._client: subprocess.Popen[str] | None = None

    def round(self, victim: Victim, kills: int) -> None:
        """One batch, killed `kills` times and resumed each time; then everything is checked."""
        before = self.repository.fingerprint()
        began = time.monotonic()
        stream = self._start("run", "--yes", self._plan())
        landed = 0
        while kills and landed < len(self.units):
            kills -= 1
            events = self.random.randint(1, EVENTS_EACH * (len(self.units) - landed))
            jitter = self.random.random() * JITTER
            in_time = stream.until(events, jitter)
            kill(self.agentos, stream.process, victim)
            landed = sum(unit["commit"] is not None for unit in self._status()["units"])
            note = "" if in_time else " (it had ended)"
            self.say(f"{victim} killed after {events} events and {jitter:.2f} s: {landed} landed{note}")
            if victim != "daemon":
                stream = self._start("resume")
            # Else the client goes on by itself: it starts another daemon.
        assert stream.summary()["landed"] == len(self.units)
        done = self.agentos("batch", "resume", "--json")
        assert done.returncode == 0, done.stderr
        self._check(json.loads(done.stdout.splitlines()[-1])["batch"])
        assert self.repository.fingerprint() == before, "the checkout, the index or branches were touched"
        seconds = time.monotonic() - began
        self.say(f"{victim}: {len(self.units)} units landed once each, nothing left over, {seconds:.0f} s")

    def end(self) -> None:
        """Ends what still runs, as it does after a failure."""
        if self._client is not None and self._client.poll() is None:
            self._client.kill()
            self._client.communicate()
        self.agentos.end()

    # --- what runs ----------------------------------------------------------------------------------------

    def _draw_units(self, count: int) -> dict[str, list[bytes]]:
        """Units of a few text files each, none in two."""
        tracked = subprocess.run(
            ["git", "ls-files", "-z"], cwd=self.repository.path, check=True, capture_output=True
        ).stdout.split(b"\0")[:-1]
        self.say(f"{len(tracked)} files, {count} units of {FILES_EACH} files each")
        self.random.shuffle(tracked)
        fit = (name for name in tracked if self._is_text(self.repository.path / os.fsdecode(name)))
        return {f"n{number:02}": [next(fit) for _ in range(FILES_EACH)] for number in range(count)}

    def _is_text(self, file: Path) -> bool:
        if file.is_symlink() or file.stat().st_size > 1 << 18:
            return False
        content = file.read_bytes()
        return content.endswith(b"\n") and b"\0" not in content

    def _start(self, *arguments: str) -> Stream:
        self._client = self.agentos.start("batch", *arguments, "--json")
        return Stream(self._client)

    def _plan(self) -> str:
        items = [{"id": id, "paths": [quote(p) for p in owned]} for id, owned in self.units.items()]
        file = self.folder / "plan.json"
        file.write_text(
            json.dumps({"units": items, "agent": {"program": PROGRAM}, "verify": {"run": VERIFY}})
        )
        return str(file)

    def _status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.agentos.json("batch", "status")
        return found

    # --- what must be true afterwards ---------------------------------------------------------------------

    def _check(self, batch: str) -> None:
        status = self._status()
        assert (status["batch"], status["state"]) == (batch, "done")
        for unit in status["units"]:
            # What is cut is no attempt, and nothing here fails by itself.
            assert (unit["state"], unit["attempts"], unit["failure"]) == ("committed", 1, None), unit
        assert self.repository.branches(batch) == {f"agentos/{batch}/u-{id}": 1 for id in self.units}
        for id, owned in self.units.items():
            self._check_branch(f"agentos/{batch}/u-{id}", owned)
        self.repository.git("fsck", "--connectivity-only", "--no-dangling")
        assert self.agentos.json("audit", "verify")["ok"]
        self._nothing_left_over(batch)

    def _check_branch(self, branch: str, owned: list[bytes]) -> None:
        assert self.repository.git("rev-parse", f"{branch}^").strip() == self.base
        changed = self._bytes("diff", "-z", "--name-only", "main", branch).split(b"\0")[:-1]
        assert sorted(changed) == sorted(owned)
        for path in owned:
            assert self._bytes("show", b"main:" + path) + LINE == self._bytes(
                "show", branch.encode() + b":" + path
            )

    def _bytes(self, *arguments: str | bytes) -> bytes:
        done = subprocess.run(["git", *arguments], cwd=self.repository.path, check=True, capture_output=True)
        return done.stdout

    def _nothing_left_over(self, batch: str) -> None:
        watched = os.pidfd_open(self.agentos.daemon)
        wait_gone(watched)
        os.close(watched)
        assert living(str(self.folder)) == []
        self._attempts_are_closed(batch)
        left = [path for name in ("workspaces", "run") for path in (self.agentos.home / name).iterdir()]
        left += [*self.temporary.iterdir(), *(self.repository.path / ".git").rglob("*.lock")]
        assert left == []
        assert not (self.agentos.home / "kernel.sock").exists()

    def _attempts_are_closed(self, batch: str) -> None:
        rows = attempts(ReadOnlyKernel.load(self.agentos.home / "kernel.db"), batch)
        assert {row.outcome for row in rows} <= {"landed", "interrupted"}
        landed = sorted(row.unit for row in rows if row.outcome == "landed")
        assert landed == sorted(f"u-{id}" for id in self.units)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("repository", type=Path, help="a folder of files; it is copied")
    parser.add_argument("--units", type=int, default=30)
    parser.add_argument("--kills", type=int, default=3, help="how often each batch is killed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="agentos-endurance-") as name:
        folder = Path(name).resolve()
        skipped = shutil.ignore_patterns(".git")
        shutil.copytree(arguments.repository, folder / "repository", symlinks=True, ignore=skipped)
        endurance = Endurance(folder, arguments.units, arguments.seed, lambda text: print(text, flush=True))
        try:
            for victim in VICTIMS:
                endurance.round(victim, arguments.kills)
        finally:
            endurance.end()


if __name__ == "__main__":
    main()
