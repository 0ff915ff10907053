"""The `agentos` command: finds the verb, imports its module alone, runs it.

A verb's module has `configure(parser)` and `run(arguments) -> exit code`. Errors of the exception tree become
a message, `--json` output and the contract's exit code here, and nowhere else.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from agentos import __version__

if TYPE_CHECKING:
    import argparse

    from agentos.errors import AgentOSError

VERBS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "the main job on a sample repository and sample exports"),
    "doctor": ("doctor", "what this machine can do"),
    "run": ("run", "give an agent a task in a folder"),
    "exec": ("exec", "run one command confined"),
    "ps": ("process", "the processes of this home"),
    "show": ("process", "one process"),
    "logs": ("logs", "what an agent said and did"),
    "suspend": ("process", "hold a process"),
    "resume": ("process", "let a process go on"),
    "cancel": ("process", "end a process cleanly"),
    "kill": ("process", "end a process at once"),
    "inbox": ("inbox", "what waits for a person's answer"),
    "approve": ("inbox", "say yes to a question"),
    "deny": ("inbox", "say no to a question"),
    "undo": ("undo", "restore what a run changed"),
    "batch": ("batch", "many agents in parallel on a repository"),
    "cron": ("cron", "jobs at their times"),
    "trigger": ("trigger", "work on events"),
    "workflow": ("workflow", "work of several steps"),
    "memory": ("memory", "import, search and export chatbot memories"),
    "models": ("models", "models, their prices, and what was spent on them"),
    "policy": ("policy", "the rules of the gate: check, test, explain"),
    "audit": ("audit", "the journal: show, verify, export it, and sign for what it says"),
    "config": ("config", "settings and where they come from"),
    "home": ("home", "where state is kept, and how to remove it"),
    "completion": ("completion", "shell completion"),
}
"""Verb → its module under `agentos.cli`, and its line in the help."""


def main() -> int:
    """Runs the command line `sys.argv`; returns the exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["--version"], ["-V"]):
        print(f"agentos {__version__}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if arguments else 2
    return _run(arguments[0], arguments[1:])


def wants_json(arguments: list[str]) -> bool:
    """Whether an error in these arguments is to be shown as JSON, too: what follows `--` is not ours."""
    return "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)


def _run(verb: str, arguments: list[str]) -> int:
    from agentos.errors import AgentOSError, UsageError

    as_json = wants_json(arguments)
    try:
        if verb not in VERBS:
            raise UsageError(f"there is no verb `{verb}`", hint=f"{_nearest(verb)}see `agentos --help`")
        module = import_module(f"agentos.cli.{VERBS[verb][0]}")
        parsed = _parser(verb, module.configure).parse_args(arguments)
        parsed.verb = verb
        return int(module.run(parsed))
    except AgentOSError as error:
        return report(error, as_json=as_json)
    except KeyboardInterrupt:
        print("agentos: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody to tell. Keep the exit from flushing into it.
        sys.stdout = None
        return 1
    except Exception as error:
        return _bug(error)


def report(error: AgentOSError, *, as_json: bool) -> int:
    """Shows `error` as the contract says; returns its exit code."""
    from agentos.printable import printable, printable_line

    if as_json:
        import json

        from agentos.errors import to_dict

        shown = to_dict(error)
        keys = ("code", "message", "where", "hint")
        print(json.dumps({"error": {key: shown[key] for key in keys}}), flush=True)
    # Names of files and members are in it, and those may be anybody's.
    place = f"{printable_line(error.where)}: " if error.where else ""
    print(f"agentos: {place}{printable(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"  → {printable(error.hint)}", file=sys.stderr)
    return error.exit_code


def _bug(error: Exception) -> int:
    import traceback

    traceback.print_exc(file=sys.stderr)
    print(
        f"agentos: this is a bug of AgentOS ({type(error).__name__}); please report the lines above",
        file=sys.stderr,
    )
    return 1


def _parser(verb: str, configure: object) -> argparse.ArgumentParser:
    import argparse

    from agentos.errors import UsageError

    class Parser(argparse.ArgumentParser):
        """Wrong arguments are an error like any other, with its JSON and its hint."""

        def error(self, message: str) -> NoReturn:
            raise UsageError(message, hint=f"see `{self.prog} --help`")

    parser = Parser(
        prog=f"agentos {verb}",
        description=VERBS[verb][1].capitalize() + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(verb=verb)
    assert callable(configure)
    configure(parser)
    return parser


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {line}" for verb, (_, line) in VERBS.items())
    return (
        f"agentos {__version__}: run many agents in parallel, contained; keep your chatbots' memories\n\n"
        f"usage: agentos VERB …\n\n{verbs}\n\n"
        "`agentos VERB --help` explains one. `agentos demo` shows it all."
    )


def _nearest(verb: str) -> str:
    import difflib

    found = difflib.get_close_matches(verb, VERBS, n=1)
    return f"did you mean `{found[0]}`? " if found else ""


def exit_with_main() -> NoReturn:
    """Entry point for `python -m agentos`."""
    sys.exit(main())
