"""`import agentos` and `agentos --version` stay cheap: what they load, what they cost beside bare Python."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest

HEAVY = {"trio", "msgspec", "asyncio", "ssl", "sqlite3", "yaml", "cryptography", "argparse", "subprocess"}
ROUNDS = 15


def _loaded_by(code: str) -> set[str]:
    script = f"import sys; before = set(sys.modules); {code}; print(*(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = _loaded_by("import agentos")
    assert {name.split(".")[0] for name in loaded} & HEAVY == set()
    assert "agentos._kernel" not in loaded


def test_asking_for_the_version_loads_nothing_heavy() -> None:
    code = "; ".join(
        [
            "import agentos.cli",
            "sys.argv, sys.stdout = ['agentos', '--version'], sys.stderr",
            "agentos.cli.main()",
            "sys.stdout = sys.__stdout__",
        ]
    )
    assert {name.split(".")[0] for name in _loaded_by(code)} & (HEAVY - {"argparse"}) == set()


def _seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


@pytest.mark.slow
def test_importing_costs_little_more_than_bare_python() -> None:
    # Interleaved, and the median of ratios: a busy machine slows both.
    ratios = [_seconds("import agentos") / _seconds("pass") for _ in range(ROUNDS)]
    assert statistics.median(ratios) < 1.5, ratios
