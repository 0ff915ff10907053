"""A repository of many small packages, and what a batch may never change about it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.command import Command


@dataclass
class Repository:
    """A git repository with `src/NN/value.txt` for each of its packages."""

    path: Path

    @classmethod
    def make(cls, path: Path, packages: int) -> Repository:
        """A repository with `packages` packages and one commit."""
        made = cls(path)
        path.mkdir(parents=True, exist_ok=True)
        made.git("init", "-q", "-b", "main")
        made.git("config", "user.name", "Tess Ter")
        made.git("config", "user.email", "tess@example.org")
        for number in range(packages):
            made.write(f"src/{number:02}/value.txt", f"{number}\n")
        made.git("add", "-A")
        made.git("commit", "-q", "-m", "base")
        return made

    def git(self, *arguments: str) -> str:
        """Runs git in the checkout; returns what it prints."""
        done = subprocess.run(["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout

    def write(self, name: str, text: str) -> None:
        """Writes a file of the checkout."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def fingerprint(self) -> dict[str, str]:
        """Everything of the user's: files of the checkout, the index's bytes, HEAD, refs but ours."""
        found = {}
        for file in sorted(self.path.rglob("*")):
            inside = file.relative_to(self.path)
            if inside.parts[0] != ".git" and file.is_file():
                found[str(inside)] = hashlib.sha256(file.read_bytes()).hexdigest()
        found["index"] = hashlib.sha256((self.path / ".git" / "index").read_bytes()).hexdigest()
        found["HEAD"] = (self.path / ".git" / "HEAD").read_text()
        found["config"] = (self.path / ".git" / "config").read_text()
        refs = self.git("for-each-ref").splitlines()
        found["refs"] = "\n".join(line for line in refs if "agentos/" not in line)
        return found

    def branches(self, batch: str) -> dict[str, int]:
        """The batch's branches, and how many commits each has beyond the base."""
        names = self.git("for-each-ref", "--format=%(refname:short)", f"refs/heads/agentos/{batch}").split()
        return {name: int(self.git("rev-list", "--count", f"main..{name}")) for name in names}

    def salvaged(self, batch: str) -> list[str]:
        """The refs of salvaged work."""
        return self.git("for-each-ref", "--format=%(refname)", f"refs/agentos/salvage/{batch}").split()


def events(printed: str) -> list[dict[str, Any]]:
    """The JSON Lines of a streaming verb."""
    return [json.loads(line) for line in printed.splitlines()]


def run(agentos: Command, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Runs a batch to its end; returns its summary."""
    done = agentos("batch", "run", "--yes", "--json", *arguments)
    assert done.returncode == code, done.stderr + done.stdout[-2000:]
    summary = events(done.stdout)[-1]
    assert summary["event"] == "summary"
    return summary


def units(agentos: Command, batch: str) -> dict[str, dict[str, Any]]:
    """The units of a batch by title."""
    return {unit["title"]: unit for unit in agentos.json("batch", "status", batch)["units"]}


def nothing_left_over(agentos: Command) -> None:
    """No workspace, no record of a launch, no process of ours that still runs."""
    assert list((agentos.home / "workspaces").iterdir()) == []
    assert list((agentos.home / "run").iterdir()) == []
    mark = str(agentos.home)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            folder = str((process / "cwd").readlink())
        except OSError:
            continue
        assert not (words[0].endswith("agentos-runner") and words[1:2] != ["broker"] and mark in folder), (
            words
        )
        assert not folder.startswith(f"{mark}/workspaces"), words
