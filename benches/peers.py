"""Other systems that benches measure against, in a Python of their own; skipped where not installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

PYTHON = Path(__file__).resolve().parent.parent / "target" / "peers" / "bin" / "python"
# They would say home what they are used for.
_QUIET = {"AGNO_TELEMETRY": "false", "LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}


def measured(module: str, program: str, *arguments: str) -> dict[str, float] | None:
    """What `program` prints, as JSON, in the peers' Python; None where `module` is not installed there."""
    if not PYTHON.exists():
        return None
    environment = os.environ | _QUIET
    there = subprocess.run([PYTHON, "-c", f"import {module}"], env=environment, capture_output=True)
    if there.returncode:
        return None
    command = [PYTHON, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
