"""The one place where git is run, so that nothing an agent or a configuration file says can run a command.

Every call names its git directory, work tree and index; reads no system or user configuration; runs no
hooks, file-system monitors, editors, prompts, signers or automatic maintenance; and fetches nothing. What is
left, the `.git/config` of the repository at GIT_DIR, is the private repository's own (see `private.py`) in
every call that touches files an agent may have written.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from agentos.errors import Failed, MissingMechanism

LOCK_SECONDS = 10
"""How long git waits for the lock of a ref. Nobody holds one that long: an older one was left by a kill."""

_PINNED: tuple[tuple[str, str], ...] = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.autocrlf", "false"),
    ("core.safecrlf", "false"),
    ("core.fileMode", "true"),
    ("core.symlinks", "true"),
    ("core.ignoreCase", "false"),
    ("core.precomposeUnicode", "false"),
    ("core.quotePath", "true"),
    ("core.pager", "cat"),
    ("core.editor", "true"),
    ("core.filesRefLockTimeout", f"{LOCK_SECONDS * 1000}"),
    ("core.packedRefsTimeout", f"{LOCK_SECONDS * 1000}"),
    ("advice.addEmbeddedRepo", "false"),
    ("commit.gpgSign", "false"),
    ("diff.ignoreSubmodules", "all"),
    ("fetch.recurseSubmodules", "false"),
    ("submodule.recurse", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("merge.renames", "false"),
    ("protocol.allow", "never"),
)

# Long enough for a huge repository on a slow disk; a git that hangs must not hold a batch for ever.
TIMEOUT_SECONDS = 1800.0


_kept_open: set[int] = set()


def keep_open(descriptor: int) -> None:
    """Hands `descriptor` to every git that runs from now on, so that a lock on it outlasts a kill of this
    process until the last git that it started has ended: whoever gets the lock meets none of them."""
    _kept_open.add(descriptor)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a git command ended: its exit code, and what it wrote."""

    code: int
    out: bytes
    err: bytes

    @property
    def complaint(self) -> str:
        """What git wrote to standard error, as one line fit for a message."""
        text = self.err.decode("utf-8", "replace").strip() or f"exit code {self.code}"
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a git command works: a repository, and maybe a work tree with its index and another's objects."""

    git_dir: Path
    objects: Path | None = None
    work_tree: Path | None = None
    index: Path | None = None
    shallow: Path | None = None


def run(
    place: Place,
    *arguments: str | bytes,
    stdin: bytes = b"",
    variables: Mapping[str, str] | None = None,
    accept: Sequence[int] = (0,),
) -> Result:
    """Runs `git ARGUMENTS` at `place` with everything pinned and waits for it.

    Raises: Failed where it ends with an exit code that is not in `accept`; MissingMechanism without git.
    """
    command = [os.fsencode(executable()), b"--no-pager"]
    for key, value in _PINNED:
        command += [b"-c", f"{key}={value}".encode()]
    command += [os.fsencode(argument) for argument in arguments]
    done = _wait(command, _environment(place, variables or {}), place.work_tree or place.git_dir, stdin)
    if done.code not in accept:
        words = " ".join(os.fsdecode(argument) for argument in arguments[:2])
        raise Failed(f"git {words} failed: {done.complaint}", where=str(place.work_tree or place.git_dir))
    return done


def as_the_user(folder: Path, environment: Mapping[str, str], *arguments: str) -> Result:
    """Runs `git ARGUMENTS` as the user would in `folder`: for reading their configuration and finding the
    repository, never where an agent can write. Variables that point git elsewhere are left out."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("GIT_") or name in _USERS_VARIABLES
    }
    kept |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    command = [executable(), "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
    return _wait([os.fsencode(word) for word in command], kept, folder, b"")


_USERS_VARIABLES = frozenset(
    {
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_CEILING_DIRECTORIES",
        "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    }
)


@functools.cache
def executable() -> str:
    """The path of git. Raises MissingMechanism without one."""
    found = shutil.which("git") or shutil.which("git", path=os.defpath)
    if found is None:
        raise MissingMechanism("git is not installed", hint="install git 2.31 or later")
    return found


@functools.cache
def version() -> tuple[int, int]:
    """Major and minor version of git."""
    told = subprocess.run([executable(), "version"], capture_output=True, check=False).stdout.decode()
    found = re.search(r"(\d+)\.(\d+)", told)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def require(major: int, minor: int, purpose: str) -> None:
    """Raises MissingMechanism where git is older than what `purpose` needs."""
    if version() < (major, minor):
        have = ".".join(map(str, version()))
        raise MissingMechanism(
            f"{purpose} needs git {major}.{minor} or later; this is git {have}", hint="install a newer git"
        )


def _environment(place: Place, variables: Mapping[str, str]) -> dict[str, str]:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_DIR": str(place.git_dir),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_EDITOR": "true",
        "GIT_PAGER": "cat",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": "",
    }
    named = {
        "GIT_WORK_TREE": place.work_tree,
        "GIT_INDEX_FILE": place.index,
        "GIT_OBJECT_DIRECTORY": place.objects,
        "GIT_SHALLOW_FILE": place.shallow,
    }
    environment |= {name: str(path) for name, path in named.items() if path is not None}
    return environment | dict(variables)


def _wait(command: list[bytes], environment: Mapping[str, str], folder: Path, stdin: bytes) -> Result:
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=dict(environment),
            cwd=folder,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            start_new_session=True,
            pass_fds=tuple(_kept_open),
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"git did not end within {TIMEOUT_SECONDS:.0f} seconds", where=str(folder)) from error
    except OSError as error:
        raise Failed(f"git cannot be started: {error.strerror}", where=str(folder)) from error
    return Result(code=done.returncode, out=done.stdout, err=done.stderr)
