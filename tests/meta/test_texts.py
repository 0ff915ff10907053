"""What must not stand in the project's texts."""

from __future__ import annotations

import re

from meta import project

TEXTS = (".py", ".pyi", ".rs", ".toml", ".md", ".sh", ".txt", ".in", ".yaml", ".yml", ".json", ".sql")
HOME_OF_SOMEBODY = re.compile(r"(?<![\w.])/(?:work|home/[a-z]+|root/\.(?:cargo|pyenv|rustup))/")


def test_no_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(project.ROOT)}:{number}: {line.strip()[:100]}"
        for path in project.tracked(*TEXTS)
        if path != project.Path(__file__)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if HOME_OF_SOMEBODY.search(line)
    ]
    assert found == []


def test_requirements_are_pinned_with_digests_and_name_no_place() -> None:
    for name in ("build.txt", "dev.txt"):
        text = (project.ROOT / "requirements" / name).read_text()
        assert "://" not in text and not re.search(
            r"^\s*-(?!-hash=sha256:)", text.replace("    --hash", "--hash"), re.M
        )
        for entry in re.split(r"\n(?=\S)", text.strip()):
            assert re.match(r"[\w.-]+==\S+( ; [^\\]+)? \\\n", entry), entry.splitlines()[0]
            assert "--hash=sha256:" in entry


def test_tests_skip_only_through_the_needs_marker() -> None:
    skip = re.compile(r"pytest\.(?:skip|importorskip|mark\.skip)\w*\(|mark\.skipif")
    found = [
        str(path.relative_to(project.ROOT))
        for path in project.tracked(".py")
        if project.ROOT / "tests" in path.parents
        and path.name not in {"conftest.py", project.Path(__file__).name}
        and skip.search(path.read_text())
    ]
    assert found == []
