"""`agentos run`: give an agent a task in a folder; it works there, after a checkpoint."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos.home import Home

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agentos.models.reference import ModelReference
    from agentos.runtime.openfang_manifest import Translated
    from agentos.settings import Value


NAME_BYTES = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("task", metavar="TASK", help="what to do, in words; `-` reads it from stdin")
    parser.add_argument(
        "--agent",
        metavar="FILE|NAME",
        help="an agent file (.md, .toml, .json), an OpenFang manifest, or one of the home's",
    )
    parser.add_argument("--model", metavar="M", help="provider/model, or a name such as claude-sonnet-5-5")
    parser.add_argument("--workspace", metavar="DIR", default=".", help="the folder to work in (default: .)")
    parser.add_argument("--budget", metavar="USD", help="the most it may spend (default: 1.00)")
    parser.add_argument(
        "--level",
        choices=("strict", "standard", "none"),
        help="how its commands are confined (default: strict)",
    )
    parser.add_argument("--detach", action="store_true", help="leave it running; print its process id")
    parser.add_argument("--json", action="store_true", help="JSON Lines on stdout, a summary last")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    import secrets

    from agentos import settings
    from agentos.errors import UsageError
    from agentos.tools.names import quote

    home = Home.find()
    task = sys.stdin.read() if arguments.task == "-" else arguments.task
    if not task.strip():
        raise UsageError("the task is empty", hint='say what to do: agentos run "fix the failing test"')
    workspace = Path(arguments.workspace).absolute()
    found = settings.values(home, settings.repository_of(workspace))
    level = arguments.level or found["level"].value
    spec, model = _spec(arguments, home, found)
    params = {
        "key": secrets.token_hex(16),
        # What is not text in the arguments' encoding could not travel.
        "task": task.encode("utf-8", "replace").decode(),
        "spec": spec,
        "workspace": quote(str(workspace)),
        # The strongest that there is.
        "level": "strict" if level == "auto" else level,
        "detach": arguments.detach,
        "unattended": not (arguments.detach or sys.stdin.isatty()),
    }
    # The key makes a repeat the same run: another daemon goes on with it.
    return watch(
        home,
        {model.provider: model.url},
        "run",
        params,
        lambda first: ("run", params),
        as_json=arguments.json,
    )


def _spec(
    arguments: argparse.Namespace, home: Home, found: dict[str, Value]
) -> tuple[dict[str, Any], ModelReference]:
    """The agent that flags, agent file and settings make, in this order of strength."""
    import msgspec

    from agentos.models.reference import default_name, resolve
    from agentos.money import micros
    from agentos.runtime.agent_file import AgentFile, find_agent_file, read_agent_file
    from agentos.runtime.openfang_manifest import Translated, read_manifest

    found_agent = Translated(agent=AgentFile())
    name = "agent"
    if arguments.agent:
        path = find_agent_file(arguments.agent, home)
        manifest = read_manifest(path)
        found_agent = manifest or Translated(agent=read_agent_file(path))
        name = found_agent.agent.name or path.stem
        if manifest is not None:
            _tell(manifest, path)
    agent = found_agent.agent
    wanted = arguments.model or agent.model or found["model"].value or default_name(os.environ)
    model = resolve(wanted, os.environ, url=agent.url)
    budget = arguments.budget or agent.budget or found["run.budget_usd"].value
    given = {
        "system": agent.system,
        "tools": agent.tools,
        "max_turns": agent.max_turns,
        "max_tokens": agent.max_tokens,
    }
    return {
        "name": name.encode()[:NAME_BYTES].decode(errors="ignore"),
        "model": msgspec.to_builtins(model),
        "budget_micros": micros(budget, where="--budget" if arguments.budget else None),
        "budget_tokens": agent.budget_tokens,
        **agent.paths(),
        "scopes": msgspec.to_builtins(found_agent.scopes),
        **{key: value for key, value in given.items() if value is not None},
    }, model


def _tell(manifest: Translated, path: Path) -> None:
    """Says what an OpenFang manifest means here, and what is left out."""
    from agentos.printable import printable_line

    lines = [f"{path.name} is an OpenFang manifest. What it means here:"]
    lines += [f"  {line}" for line in manifest.given]
    if manifest.left_out:
        lines += [
            "What has no counterpart here, or a narrower one:",
            *(f"  {one}" for one in manifest.left_out),
        ]
    print("\n".join(map(printable_line, lines)), file=sys.stderr)


def resume(home: Home, pid: str, *, as_json: bool) -> int:
    """Goes on with the run of `pid`, which did not come to its end."""
    from agentos.daemon.client import read

    shown = read("run.show", {"pid": pid}, home)
    params = {"pid": shown["agent"], "unattended": not sys.stdin.isatty()}
    urls = {shown["model"].partition("/")[0]: shown["url"]}
    return watch(home, urls, "run.resume", params, lambda first: ("run.resume", params), as_json=as_json)


def watch(
    home: Home,
    urls: dict[str, str],
    verb: str,
    params: dict[str, Any],
    again: Callable[[dict[str, Any] | None], tuple[str, dict[str, Any]]],
    *,
    as_json: bool,
) -> int:
    """Calls a verb that streams a run, shows what happens, and returns the exit code."""
    from agentos.cli import report
    from agentos.cli.run_output import exit_code, printer
    from agentos.daemon.client import connect, read
    from agentos.errors import AgentOSError, Interrupted, from_dict
    from agentos.models.environment import credentials_from_environment

    show = printer(as_json=as_json)
    pid: str | None = params.get("pid")
    credentials = credentials_from_environment(os.environ, urls=urls)
    try:
        with connect(home, credentials) as daemon:
            for event in daemon.stream(verb, params, again):
                pid = event.get("pid", pid)
                show(event)
            summary: dict[str, Any] = daemon.result
    except (Interrupted, KeyboardInterrupt) as interruption:
        if pid is None:
            raise
        hint = getattr(interruption, "hint", None) or f"go on with: agentos resume {pid}"
        code = report(Interrupted("interrupted", hint=hint), as_json=False)
        # A person who did not wait for the daemon may be right that it does not answer.
        with suppress(AgentOSError):
            show(read("run.show", {"pid": pid}, home))
        return code
    if summary.get("detached"):
        show(summary if as_json else {**summary, "event": "detached"})
        return 0
    if summary.get("error"):
        report(from_dict(summary["error"]), as_json=False)
    return exit_code(summary)
