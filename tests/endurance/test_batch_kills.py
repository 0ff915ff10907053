"""A short slice of `make endurance`, on a generated repository."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.endurance.batch_kills import Endurance
from tests.endurance.kills import VICTIMS, Victim

pytestmark = [pytest.mark.slow, pytest.mark.needs("git", "namespaces", "landlock")]


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_batch_is_resumed_and_every_unit_lands_once(tmp_path: Path, victim: Victim) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # shown where the test fails
    for number in range(60):
        file = tmp_path / "repository" / f"part-{number % 7}" / f"file {number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n" * 50)
    endurance = Endurance(tmp_path, units=8, seed=seed, say=print)
    try:
        endurance.round(victim, kills=2)
    finally:
        endurance.end()
