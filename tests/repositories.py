"""Git repositories for tests, made as a person would make them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Nothing of the person who runs the tests: no configuration, no identity but the repository's own.
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


class Checkout:
    """A repository with a checkout at `top`."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def git(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.top, env=ENVIRONMENT, capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr.decode(errors="replace")
        return done.stdout.decode(errors="surrogateescape").rstrip("\n")

    def write(self, files: Mapping[str | bytes, str | bytes]) -> None:
        for name, content in files.items():
            path = self.top / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str = "change", files: Mapping[str | bytes, str | bytes] | None = None) -> str:
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


def make(top: Path, files: Mapping[str | bytes, str | bytes] | None = None, *options: str) -> Checkout:
    """A new repository at `top`, with one commit of `files` if there are any."""
    top.mkdir(parents=True, exist_ok=True)
    made = Checkout(top)
    made.git("init", "--quiet", "--initial-branch=main", *options)
    made.git("config", "user.name", "Ada Person")
    made.git("config", "user.email", "ada@example.org")
    if files is not None:
        made.commit("base", files)
    return made
