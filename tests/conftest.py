"""What every test shares: tools that may be missing, and settings of property tests."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
from collections.abc import Callable

import hypothesis
import pytest

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

# The machine is shared: wall time says nothing about an example, and CI repeats the same examples.
hypothesis.settings.register_profile("agentos", deadline=None, derandomize=IN_CI, print_blob=True)
hypothesis.settings.load_profile("agentos")


def _namespaces() -> bool:
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--net", "true"]
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True).returncode == 0


def _landlock() -> bool:
    create_ruleset, report_version = 444, 1
    return ctypes.CDLL(None).syscall(create_ruleset, None, ctypes.c_size_t(0), report_version) > 0


# What `needs(…)` may name beside executables on PATH.
MECHANISMS: dict[str, Callable[[], bool]] = {
    "root": lambda: os.geteuid() == 0,
    "namespaces": _namespaces,
    "landlock": _landlock,
}


@functools.cache
def available(tool: str) -> bool:
    """Whether `tool`, an executable's name or one of MECHANISMS, is to be had here."""
    probe = MECHANISMS.get(tool)
    return probe() if probe else shutil.which(tool) is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for tool in mark.args:
            if available(tool):
                continue
            if IN_CI:
                pytest.fail(f"needs `{tool}`, not found; with CI=true that is a failure", pytrace=False)
            pytest.skip(f"needs `{tool}`")
