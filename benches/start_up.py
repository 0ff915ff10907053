"""`agentos --version` and `import agentos` against bare Python, warm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness import Line, line, timed

AGENTOS = str(Path(sys.executable).parent / "agentos")


def lines(*, smoke: bool) -> list[Line]:
    """Wall seconds of a fresh process."""
    rounds = 3 if smoke else 15

    def process(*command: str) -> float:
        return timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)) * 1000

    def bare() -> float:
        return process(sys.executable, "-c", "pass")

    return [
        line("import agentos", "ms", [lambda: process(sys.executable, "-c", "import agentos"), bare], rounds),
        line(
            "agentos --version",
            "ms",
            [lambda: process(AGENTOS, "--version"), bare, lambda: process("git", "--version")],
            rounds,
            peer="git --version",
        ),
    ]
