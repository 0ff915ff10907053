"""`agentos exec`: one command, confined, through the kernel like any other effect."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import argparse

    from agentos.drivers.confinement import Exit, LaunchSpec, Level
    from agentos.home import Home

OWN_FAILURE = 125

_DESCRIPTION = """Run one command confined: no network, an empty home folder, private /tmp, /dev and /proc.

It reads the system's programs (/usr, /bin, /lib, /opt and a listed part of /etc), the runtimes in your home
folder (pyenv, cargo, nvm, uv, pipx, mise, conda), and the current folder. It writes nothing but /tmp and its
home folder, which vanish with it. --read and --write name what else it may use; they may be repeated.
Of the environment it gets PATH, LANG, TERM, TZ and where runtimes are (VIRTUAL_ENV, JAVA_HOME, …); HOME and
TMPDIR are set. Give it others as `-- env NAME=value COMMAND…`.

It ends with the command's exit code (128 + n for signal n), or with 125 for a failure of its own, 126 if the
command cannot be run, 127 if it is not found. When it ends, every process it started is dead."""

_EXAMPLES = """examples:
  agentos exec -- pytest -q                          tests of an unknown project, read-only
  agentos exec --write . -- npm run build            may change the current folder
  agentos exec --read ~/data --write out -- python3 report.py"""

_PASSED_ON = (
    *("PATH", "LANG", "LC_ALL", "TERM", "TZ", "COLORTERM", "NO_COLOR"),
    *(
        "VIRTUAL_ENV",
        "PYENV_ROOT",
        "PYENV_VERSION",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
        "CARGO_HOME",
        "JAVA_HOME",
    ),
)
"""How to print, and where runtimes are: nothing that holds secrets."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.usage = "agentos exec [--level LEVEL] [--read P]… [--write P]… [--dry-run] [--json] -- COMMAND…"
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLES
    # A bad flag must not look like an exit code of the command.
    parser.error = _usage_error  # type: ignore[method-assign]
    parser.add_argument(
        "--level",
        choices=("strict", "standard", "none"),
        help="confinement (default: strict, or what `agentos config` says)",
    )
    parser.add_argument("--read", metavar="P", action="append", default=[], help="may also read P and below")
    parser.add_argument(
        "--write", metavar="P", action="append", default=[], help="may also read and change P and below"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what the command would be given")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document: how it ended, and its output as text"
    )
    parser.add_argument(
        "command", metavar="COMMAND", nargs="+", help="the command and its arguments, after --"
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from agentos.cli import report
    from agentos.errors import AgentOSError

    try:
        return _run(arguments)
    except AgentOSError as error:
        report(error, as_json=arguments.json)
        return OWN_FAILURE


def _run(arguments: argparse.Namespace) -> int:
    from agentos.cli.exec_ticket import Ticket
    from agentos.drivers.confinement import require, run_foreground
    from agentos.home import Home

    home = Home.find()
    level = _level(arguments.level, home)
    require(level)
    spec, mandate = _plan(arguments, level, home)
    if arguments.dry_run:
        _show(spec, mandate, arguments.command, as_json=arguments.json)
        return 0
    _announce(level)
    captured = bytearray() if arguments.json else None
    with Ticket(home, arguments.command, mandate, level, os.fsdecode(spec.folder)) as ticket:
        ended = run_foreground(spec, cut=ticket.on_cancel, capture=captured)
        ticket.ended = ended
    if captured is not None:
        _print(ended, level, captured)
    elif ended.error:
        print(f"agentos exec: {ended.error}", file=sys.stderr)
    return ended.exit_code


def _plan(arguments: argparse.Namespace, level: Level, home: Home) -> tuple[LaunchSpec, list[Any]]:
    """The launch, and the mandate that the kernel is asked for. Paths are resolved first: what a link points
    to now is what is granted."""
    from agentos.drivers.confinement import LaunchSpec, hide_home
    from agentos.drivers.launch import record_path
    from agentos.errors import UsageError
    from agentos.messages import Path

    granted: dict[str, str] = {}
    folder, implicit = _folder()
    if implicit:
        granted[folder] = "read"
    for rights, names in (("read", arguments.read), ("read_write", arguments.write)):
        for name in names:
            path = os.path.realpath(os.path.expanduser(name))  # noqa: PTH111
            if not os.path.exists(path):  # noqa: PTH110
                raise UsageError(f"there is no {name}", hint="a path must exist to be granted")
            granted[path] = rights
    mandate = [Path(path=record_path(path), rights=rights) for path, rights in granted.items()]  # type: ignore[arg-type]
    spec = LaunchSpec.from_mandate(
        mandate,
        arguments.command,
        cwd=folder,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        level=level,
        paths=list(granted),
        umask=_umask(),
    )
    return hide_home(spec, home), mandate


def _folder() -> tuple[str, bool]:
    """The working folder, and whether it is granted for reading without being named: not where that would
    show the home folder or the system's own files."""
    from pathlib import Path

    from agentos.drivers.launch import is_system

    here, home = Path.cwd(), Path("~").expanduser().resolve()
    return str(here), not home.is_relative_to(here) and not is_system(str(here))


def _level(flag: Level | None, home: Home) -> Level:
    """What the flag or the settings ask for; `auto` is the strongest that this version has."""
    from agentos.settings import value

    chosen: Any = flag or value("level", home)
    return "strict" if chosen == "auto" else chosen


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _announce(level: str) -> None:
    if level == "none":
        print("agentos exec: not confined (--level none): the command can act as you", file=sys.stderr)
    elif sys.stderr.isatty():
        print(f"agentos exec: confined: {level}", file=sys.stderr)


def _show(spec: LaunchSpec, mandate: list[Any], command: list[str], *, as_json: bool) -> None:
    import json
    import shlex

    from agentos.drivers.launch import record_path

    readable = [scope.path for scope in mandate if scope.rights == "read"]
    writable = [scope.path for scope in mandate if scope.rights == "read_write"]
    names = sorted(record_path(name) for name, _ in spec.environment)
    document = {
        "command": [record_path(word) for word in command],
        "level": spec.level,
        "folder": record_path(spec.folder),
        "read": readable,
        "write": writable,
        "environment": names,
    }
    if as_json:
        print(json.dumps(document))
        return
    print(f"command      {shlex.join(document['command'])}")
    print(f"confined     {spec.level}, in {document['folder']}")
    if spec.level == "none":
        print("may          all that you may: it is not confined")
    else:
        print(f"reads        the system's programs, your runtimes{''.join(f', {path}' for path in readable)}")
        print(f"writes       its own /tmp and home{''.join(f', {path}' for path in writable)}")
        print("network      none")
    print(f"environment  {' '.join(names)}")


def _print(ended: Exit, level: str, captured: bytearray) -> None:
    import json

    document = {
        "exit_code": ended.exit_code,
        "signal": ended.signal,
        "error": ended.error,
        "level": level,
        "seconds": round(ended.seconds, 3),
        "output": captured.decode(errors="replace"),
    }
    print(json.dumps(document))


def _usage_error(message: str) -> NoReturn:
    from agentos.cli import report, wants_json
    from agentos.errors import UsageError

    report(UsageError(message, hint="see `agentos exec --help`"), as_json=wants_json(sys.argv[2:]))
    sys.exit(OWN_FAILURE)
