"""`agentos demo`, as a person runs it; what it claims it checks itself, so its exit code is the verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentos.cli.demo_collector import Collector


@pytest.mark.slow
@pytest.mark.needs("git", "namespaces")
def test_the_demo_comes_out_as_it_must_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "AGENTOS_HOME": str(tmp_path / "not-this-one")}
    command = [sys.executable, "-m", "agentos", "demo", "--json"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["batch"]["units"], shown["batch"]["landed"]) == (12, 10)
    assert shown["memory"]["providers"] == ["chatgpt", "claude"]
    assert shown["audit"]["ok"] is True
    assert shown["seconds"] < 60
    assert list(tmp_path.iterdir()) == []


def test_the_collector_counts_its_visitors() -> None:
    with Collector() as collector:
        assert collector.visits() == 0
        collector.visit()
        collector.visit()
        assert collector.visits() == 2
