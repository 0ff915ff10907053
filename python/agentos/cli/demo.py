"""`agentos demo`: the main job on a sample repository and sample exports, by the real commands.

Twelve program agents modernise the twelve folders of a small package. What one of them makes fails the
package's tests; another runs into code that attacks the machine. Both are stopped, and the demo checks that
they were: it never takes a command's word for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos.cli.home import daemon_gone
from agentos.errors import AgentOSError, Failed, MissingMechanism
from agentos.home import Home

if TYPE_CHECKING:
    import argparse

    from agentos.cli.demo_collector import Collector

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FAILS_ITS_TESTS = "stockroom/forecasts"
ATTACKS = "stockroom/labels"
PRECIOUS = "Written before the demo; nobody else may write here.\n"
QUESTION = "sourdough"

NEXT = """\
Next, on what is yours:

  cd your-repository
  agentos batch run --units 'src/*/' --program 'ruff check --fix {paths}' --verify 'pytest -q'
  agentos memory import ~/Downloads/your-chatgpt-or-claude-export.zip
  agentos memory search 'what you once asked'
  agentos doctor          # what this machine can confine
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "--keep", action="store_true", help="leave the demo's folder, home included, where it is"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, all else on stderr")


def run(arguments: argparse.Namespace) -> int:
    """Runs the demo. Raises Failed where something did not come out as it must."""
    from agentos.cli.demo_collector import Collector

    if shutil.which("git") is None:
        raise MissingMechanism("the demo needs git", hint="install git (Debian: apt-get install git)")
    started = time.monotonic()
    stage = Stage(quiet=arguments.json)
    try:
        stage.say(f"AgentOS demo, in {stage.folder} with a home of its own.")
        with Collector() as collector:
            shown: dict[str, Any] = {"batch": _batch(stage, collector)}
        shown["memory"] = _memory(stage)
        shown["audit"] = _audit(stage)
    finally:
        if not arguments.keep:
            stage.clear()
    seconds = round(time.monotonic() - started, 1)
    stage.say(f"\nAll as it must be, in {seconds} seconds.")
    if arguments.keep:
        stage.say(f"Kept: AGENTOS_HOME={stage.home.root}, the repository is {stage.repository}")
    stage.say("\n" + NEXT)
    if arguments.json:
        print(json.dumps(shown | {"seconds": seconds}))
    return 0


class Stage:
    """The demo's folder: its home, its repository, and how commands run there."""

    def __init__(self, *, quiet: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agentos-demo-"))
        self.home = Home(self.folder / "home")
        self.repository = self.folder / "stockroom"
        # In a folder apart: what lies above a workspace exists for its agent too, as folders of its own.
        self.outside = Path(tempfile.mkdtemp(prefix="agentos-demo-outside-")) / "precious.txt"
        self._out = sys.stderr if quiet else sys.stdout
        # What `python3` means in a unit: the interpreter below a virtual environment, which need not be
        # visible there.
        path = os.pathsep.join([f"{sys.base_prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"])
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("AGENTOS_", "GIT_"))}
        self._environment = kept | {"AGENTOS_HOME": str(self.home.root), "PATH": path}

    def say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def title(self, text: str) -> None:
        self.say(f"\n── {text}")

    def agentos(self, *words: str, expected: tuple[int, ...] = (0,)) -> str:
        """Runs `agentos WORDS…` in the repository and returns its output; any other exit code raises."""
        done = self._run(words, capture=True)
        if done.returncode not in expected:
            self._unexpected(words, done.returncode, done.stderr)
        return str(done.stdout)

    def show(self, *words: str, expected: tuple[int, ...] = (0,)) -> None:
        """Like `agentos`, but its output goes where ours goes."""
        self.say(f"$ agentos {' '.join(word if ' ' not in word else repr(word) for word in words)}")
        done = self._run(words, capture=False)
        if done.returncode not in expected:
            self._unexpected(words, done.returncode, "")

    def git(self, *words: str) -> str:
        """Runs git in the repository and returns its output; raises Failed."""
        done = subprocess.run(
            ["git", "-C", str(self.repository), *words], env=self._environment, capture_output=True, text=True
        )
        if done.returncode:
            raise Failed(f"git {words[0]}: {done.stderr.strip()}", where=str(self.repository))
        return done.stdout

    def clear(self) -> None:
        """Removes the folders, the home's after its daemon has gone by itself."""
        shutil.rmtree(self.outside.parent, ignore_errors=True)
        if daemon_gone(self.home):
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.say(f"the demo's daemon is still there; remove {self.folder} later")

    def _run(self, words: tuple[str, ...], *, capture: bool) -> subprocess.CompletedProcess[str]:
        self._out.flush()
        return subprocess.run(
            [sys.executable, "-m", "agentos", *words],
            cwd=self.repository,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else self._out,
            stderr=subprocess.PIPE if capture else None,
            text=True,
        )

    def _unexpected(self, words: tuple[str, ...], code: int, errors: str) -> None:
        message = f"`agentos {' '.join(words)}` ended with {code}"
        kind: type[AgentOSError] = MissingMechanism if code == MissingMechanism.exit_code else Failed
        raise kind(
            f"{message}\n{errors.strip()}".strip(),
            where="agentos demo",
            hint="see what `agentos doctor` says",
        )


def _batch(stage: Stage, collector: Collector) -> dict[str, Any]:
    stage.title("twelve agents modernise a package, each in a workspace of its own")
    plan = _prepare(stage, collector)
    before = stage.git("rev-parse", "HEAD")
    stage.show("batch", "run", str(plan), "--yes", expected=(3,))
    status = json.loads(stage.agentos("batch", "status", "--json"))
    units = {unit["paths"][0].rstrip("/"): unit for unit in status["units"]}
    landed = [path for path, unit in units.items() if unit["state"] == "committed"]
    _check(len(units) == 12 and len(landed) == 10, f"10 of 12 units land, {len(landed)} of {len(units)} did")

    stage.title("what failed its tests was not taken")
    _show_failure(stage, units[FAILS_ITS_TESTS], "verify", ("FAIL", "AssertionError"))

    stage.title("what attacked was stopped; its own errors say so")
    log = _show_failure(stage, units[ATTACKS], "exit", ("codemod_rules:",))
    _check(
        "could not overwrite" in log and "could not reach" in log, "the attacker says what it could not do"
    )
    _check(stage.outside.read_text() == PRECIOUS, "the file outside is as it was")
    _check(collector.visits() == 1, "nobody but the demo itself reached the listener")
    stage.say(f"  {stage.outside.name}: unchanged")
    stage.say(f"  listener on {collector.address}: one visit, the demo's own, to show that it listens")

    stage.title("the work is on branches; checkout, index and main are untouched")
    untouched = stage.git("rev-parse", "HEAD") == before and not stage.git("status", "--porcelain")
    _check(untouched, "the checkout is as it was")
    stage.show("batch", "merge")
    merged = f"agentos/{status['batch']}/merged"
    stage.say(stage.git("diff", "--shortstat", "main", merged).rstrip())
    return {"batch": status["batch"], "units": len(units), "landed": len(landed), "level": status["level"]}


def _prepare(stage: Stage, collector: Collector) -> Path:
    """Makes the repository, the file outside and the plan; returns the plan's path."""
    shutil.copytree(EXAMPLES / "stockroom", stage.repository, ignore=shutil.ignore_patterns("__pycache__"))
    stage.outside.write_text(PRECIOUS)
    stage.git("init", "--quiet", "--initial-branch=main")
    stage.git("config", "user.name", "Sam Sample")
    stage.git("config", "user.email", "sam@example.org")
    stage.git("add", "--all")
    stage.git("commit", "--quiet", "--no-verify", "--message=The books of a small shop")
    plan = stage.folder / "plan.yaml"
    environment = {"DEMO_OUTSIDE_FILE": str(stage.outside), "DEMO_COLLECTOR": collector.address}
    text = (EXAMPLES / "stockroom" / "plan.yaml").read_text()
    # JSON is YAML, whatever the folder is called.
    plan.write_text(f"{text}workspace: {json.dumps({'env': environment})}\n")
    collector.visit()
    return plan


def _show_failure(stage: Stage, unit: dict[str, Any], kind: str, telling: tuple[str, ...]) -> str:
    failure = unit["failure"] or {}
    _check(failure.get("kind") == kind, f"{unit['paths'][0]} fails with `{kind}`, it has {failure}")
    log = stage.agentos("batch", "logs", unit["id"])
    stage.say(f"$ agentos batch logs {unit['id']}")
    for line in log.splitlines():
        if line.startswith(telling):
            stage.say(f"  {line}")
    return log


def _memory(stage: Stage) -> dict[str, Any]:
    stage.title("two chatbots' exports become one memory")
    for name in ("chatgpt", "claude"):
        stage.show("memory", "import", str(EXAMPLES / "exports" / name))
    stage.show("memory", "search", QUESTION)
    found = json.loads(stage.agentos("memory", "search", QUESTION, "--json"))
    providers = sorted({hit["provider"] for hit in found})
    _check(len(providers) == 2, f"both chatbots know about {QUESTION}, found in {providers}")
    return {"hits": len(found), "providers": providers}


def _audit(stage: Stage) -> dict[str, Any]:
    stage.title("the journal of all this verifies")
    stage.show("audit", "verify")
    verified: dict[str, Any] = json.loads(stage.agentos("audit", "verify", "--json"))
    _check(verified["ok"] is True and verified["entries"] > 0, "the journal verifies")
    return verified


def _check(holds: bool, claim: str) -> None:
    if not holds:
        raise Failed(
            f"the demo did not come out as it must: {claim}", hint="run it with --keep and look into its home"
        )
