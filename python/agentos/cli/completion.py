"""`agentos completion bash | zsh | fish`: a script for the shell, made from the verbs' own parsers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_USE = {
    "bash": "put this into ~/.bashrc:  source <(agentos completion bash)",
    "zsh": "put this into ~/.zshrc, after compinit:  source <(agentos completion zsh)",
    "fish": "run once:  agentos completion fish > ~/.config/fish/completions/agentos.fish",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("shell", choices=sorted(_USE), help="which shell")
    parser.epilog = "\n".join(f"{shell}: {line}" for shell, line in _USE.items())


def run(arguments: argparse.Namespace) -> int:
    """Prints the script."""
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell](), end="")
    return 0


def words() -> dict[str, list[str]]:
    """For each verb, what may follow it: its flags, and its own verbs where it has some."""
    import argparse

    from agentos.cli import VERBS

    found = {}
    for verb, (module, _) in VERBS.items():
        parser = argparse.ArgumentParser(prog=verb)
        parser.set_defaults(verb=verb)
        try:
            import_module(f"agentos.cli.{module}").configure(parser)
        except ModuleNotFoundError as error:
            if error.name != f"agentos.cli.{module}":
                raise
            continue
        found[verb] = sorted(_options(parser, {argparse._SubParsersAction}))
    return found


def _options(parser: argparse.ArgumentParser, groups: set[type]) -> set[str]:
    found: set[str] = set()
    for action in parser._actions:
        found |= {option for option in action.option_strings if option.startswith("--")}
        if type(action) in groups and isinstance(action.choices, dict):
            found |= set(action.choices)
            for child in action.choices.values():
                found |= {word for word in _options(child, groups) if word.startswith("--")}
        elif isinstance(action.choices, list | tuple) and not action.option_strings:
            found |= {str(choice) for choice in action.choices}
    return found


def _bash() -> str:
    cases = "\n".join(f'        {verb}) words="{" ".join(found)}" ;;' for verb, found in words().items())
    return f"""\
# bash completion of agentos
_agentos() {{
    local words="" word="${{COMP_WORDS[COMP_CWORD]}}"
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{" ".join(words())} --help --version"
    else
        case "${{COMP_WORDS[1]}}" in
{cases}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _agentos agentos
"""


def _zsh() -> str:
    from agentos.cli import VERBS

    verbs = "\n".join(f"        '{verb}:{VERBS[verb][1].replace(chr(39), '')}'" for verb in words())
    cases = "\n".join(
        f"        {verb}) compadd -- {' '.join(found)}; _files ;;" for verb, found in words().items()
    )
    return f"""\
#compdef agentos
_agentos() {{
    local -a verbs
    verbs=(
{verbs}
    )
    if (( CURRENT == 2 )); then
        _describe 'verb' verbs
        return
    fi
    case "$words[2]" in
{cases}
    esac
}}
compdef _agentos agentos
"""


def _fish() -> str:
    from agentos.cli import VERBS

    lines = ["# fish completion of agentos"]
    for verb, found in words().items():
        line = VERBS[verb][1].replace("'", "")
        lines.append(f"complete -c agentos -n __fish_use_subcommand -f -a {verb} -d '{line}'")
        for word in found:
            what = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            lines.append(f"complete -c agentos -n '__fish_seen_subcommand_from {verb}' {what}")
    return "\n".join(lines) + "\n"
