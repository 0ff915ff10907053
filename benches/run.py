"""`make bench`: every bench, one line each; `--smoke` runs a short slice, to see that they work."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import import_module
from pathlib import Path

import harness

BENCHES = (
    "start_up",
    "request",
    "capabilities",
    "scheduler",
    "turn",
    "journal",
    "recovery",
    "batch_unit",
    "memory_import",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)} (default: all)"
    )
    parser.add_argument("--smoke", action="store_true", help="a short slice; its numbers mean nothing")
    arguments = parser.parse_args()
    print(f"# {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(harness.HEADER)
    found: list[harness.Line] = []
    for name in arguments.names or BENCHES:
        for line in import_module(name).lines(smoke=arguments.smoke):
            print(line, flush=True)
            found.append(line)
    harness.save(found, Path(__file__).resolve().parent.parent / "target" / "bench.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
