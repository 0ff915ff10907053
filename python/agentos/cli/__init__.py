"""The `agentos` command: finds the verb, imports its module, runs it."""

from __future__ import annotations


def main() -> int:
    return 0
