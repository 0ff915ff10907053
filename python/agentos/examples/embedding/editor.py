"""An editor's command: an agent changes one file as you say, and nothing is written before you have seen it.

    python editor.py notes.md "number the headings"

The agent may read the file. To change it, it has one tool, a function of this program: `propose` shows the
difference and asks. A no goes back to the agent with your reason, and it may propose something else.
"""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
from pathlib import Path

import agentos

INSTRUCTIONS = (
    "You edit one file. Read it, then call `propose` with its whole new text. When the person says no, mind "
    "the reason and propose again, or give up. At the end say in one sentence what was done."
)


class Editing:
    """The file, and what became of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = path.read_text(encoding="utf-8")
        self.applied = False

    def propose(self, text: str) -> str:
        """Proposes `text` as the new content of the file; the person decides."""
        if self.path.read_text(encoding="utf-8") != self.before:
            return "the file was changed by somebody else: read it again"
        difference = "".join(
            difflib.unified_diff(
                self.before.splitlines(keepends=True),
                text.splitlines(keepends=True),
                f"{self.path.name} (now)",
                f"{self.path.name} (proposed)",
            )
        )
        if not difference:
            return "that is what the file says already"
        print(difference)
        print("Apply it? [y/N, or why not] ", end="", flush=True)
        answer = sys.stdin.readline().strip()
        if answer.lower() not in ("y", "yes"):
            return f"the person said no: {answer or 'without a reason'}"
        replace(self.path, text)
        self.before, self.applied = text, True
        return "applied"


def replace(path: Path, text: str) -> None:
    """Puts `text` into the file in one step, with the mode that it had."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, path.stat().st_mode & 0o777)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def main() -> int:
    """The command; 0 when something was applied."""
    if len(sys.argv) != 3:
        print(f"usage: {sys.argv[0]} FILE INSTRUCTION", file=sys.stderr)
        return 2
    editing = Editing(Path(sys.argv[1]).resolve())
    try:
        with agentos.blocking.open() as system:
            agent = system.spawn(
                "editor",
                grants=[agentos.read(editing.path)],
                tools=[editing.propose],
                instructions=INSTRUCTIONS,
                workspace=editing.path.parent,
                budget="0.20",
            )
            result = agent.run(f"The file is {editing.path.name}. {sys.argv[2]}")
    except agentos.AgentOSError as error:
        print(f"editor: {error.message}", file=sys.stderr)
        return error.exit_code
    print(f"{result.text} ({result.spent_usd} USD)")
    return 0 if editing.applied else 1


if __name__ == "__main__":
    sys.exit(main())
