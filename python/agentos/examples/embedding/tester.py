"""A test runner that has failing tests mended: an agent proposes, the runner finds out whether it is true.

    python tester.py --source src -- python -m pytest -q

The agent may read the folder and change what `--source` names, so not the tests. The runner never takes its
word: it runs the command itself, confined, as what an agent wrote is not to be trusted. What did not help is
undone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import trio

import agentos

ATTEMPTS = 3
SHOWN = 8_000  # characters of a failure, from its end


async def run_tests(command: list[str], folder: Path) -> tuple[bool, str]:
    """Whether the tests pass, and what they print. They may write nothing but their private /tmp."""
    confined = [sys.executable, "-m", "agentos", "exec", "--read", str(folder), "--", *command]
    done = await trio.run_process(
        confined,
        cwd=folder,
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
    )
    # 125 to 127: they could not be run, which no change of the sources mends.
    if done.returncode in (125, 126, 127):
        sys.exit(f"tester: {done.stdout.decode(errors='replace')}")
    return done.returncode == 0, done.stdout.decode(errors="replace")[-SHOWN:]


async def mend(command: list[str], folder: Path, source: Path, budget: str) -> bool:
    """Has the failing tests mended; whether they pass now."""
    passed, output = await run_tests(command, folder)
    if passed:
        print("the tests pass: nothing to do")
        return True
    async with agentos.open() as system:
        agent = await system.spawn(
            "mender",
            grants=[agentos.read(folder), agentos.write(source)],
            workspace=folder,
            budget=budget,
        )
        try:
            for attempt in range(1, ATTEMPTS + 1):
                result = await agent.run(f"Mend the code, not the tests. `{' '.join(command)}` says:\n{output}")
                passed, output = await run_tests(command, folder)
                said = "they pass" if passed else "they fail"
                print(f"attempt {attempt}: {result.text}\n  {', '.join(result.files) or 'no change'}: {said}")
                if passed:
                    return True
        except agentos.BudgetExceeded as error:
            print(f"tester: {error.message}", file=sys.stderr)
        if agent.result is not None:
            await trio.run_process([sys.executable, "-m", "agentos", "undo", agent.result.pid])
    print("not mended; the sources are as they were")
    return False


def main() -> int:
    """The command; 0 when the tests pass in the end."""
    parser = argparse.ArgumentParser(description="Runs tests, and has what fails mended by an agent.")
    parser.add_argument("--source", default="src", help="what the agent may change (default: src)")
    parser.add_argument("--budget", default="0.50", help="the most that it may spend, in USD")
    parser.add_argument("command", nargs="+", help="what runs the tests")
    arguments = parser.parse_args()
    folder = Path.cwd()
    try:
        mended = trio.run(mend, arguments.command, folder, folder / arguments.source, arguments.budget)
    except agentos.AgentOSError as error:
        print(f"tester: {error.message}", file=sys.stderr)
        return error.exit_code
    return 0 if mended else 1


if __name__ == "__main__":
    sys.exit(main())
