"""Documentation that stays short, early and true."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from agentos.cli import VERBS
from meta import project

README = project.ROOT / "README.md"
ARCHITECTURE = project.ROOT / "docs" / "architecture.md"
PAGES = [README, project.ROOT / "CONTRIBUTING.md", *sorted((project.ROOT / "docs").rglob("*.md"))]


def test_the_readme_shows_a_working_example_by_line_25() -> None:
    head = README.read_text().splitlines()[:25]
    fences = [number for number, line in enumerate(head) if line.startswith("```")]
    assert len(fences) >= 2, "a whole block"
    block = "\n".join(head[fences[0] : fences[1]])
    assert "make demo" in block and "agentos batch run" in block


def test_the_readme_names_verbs_and_targets_that_exist() -> None:
    text = README.read_text()
    verbs = set(re.findall(r"`?agentos ([a-z]+)\b", text)) - {"on"}
    assert verbs <= set(VERBS), verbs - set(VERBS)
    makefile = (project.ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)\b(?= {2,}#|`)", text):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_ci_runs_the_readme_s_test_command() -> None:
    assert "make test" in README.read_text()
    assert (project.ROOT / ".ci" / "run").read_text().rstrip().endswith("exec make test")


def test_the_architecture_fits_a_sitting() -> None:
    assert len(ARCHITECTURE.read_text().splitlines()) <= 200


def test_links_between_pages_lead_somewhere() -> None:
    dead = [
        f"{page.relative_to(project.ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert dead == []


def test_paths_that_the_map_names_exist() -> None:
    for page in (README, ARCHITECTURE):
        for cell in re.findall(r"^\| (`[^|]+) \|", page.read_text(), re.M):
            for path in re.findall(r"`([\w./_-]+/[\w./_-]*)`", cell):
                assert (project.ROOT / path).exists(), f"{page.name}: {path}"


def test_decisions_are_numbered_without_gaps_and_fit_a_page() -> None:
    pages = sorted((project.ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert all(len(page.read_text().splitlines()) <= 60 for page in pages)


@pytest.mark.parametrize(
    "verb", [[], *([verb] for verb in VERBS)], ids=lambda verb: verb[0] if verb else "agentos"
)
def test_every_verb_explains_itself(verb: list[str]) -> None:
    command = [sys.executable, "-m", "agentos", *verb, "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: agentos" in done.stdout and done.stderr == ""
