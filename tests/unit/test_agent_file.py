"""Agent files: what they may say, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agentos.errors import UsageError
from agentos.home import Home
from agentos.runtime.agent_file import AgentFile, Grants, find_agent_file, read_agent_file

MARKDOWN = """---
name: reviewer
model: anthropic/claude-sonnet-5-5
tools: [read, search]
budget: "0.50"
grants: {read: [/usr/share/dict]}
---
You review code.

---
Be kind.
"""


def test_markdown_and_toml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(MARKDOWN)
    (tmp_path / "a.toml").write_text(
        'name = "reviewer"\nmodel = "anthropic/claude-sonnet-5-5"\ntools = ["read", "search"]\n'
        'budget = "0.50"\nsystem = """You review code.\n\n---\nBe kind."""\n\n'
        '[grants]\nread = ["/usr/share/dict"]\n'
    )
    wanted = AgentFile(
        name="reviewer",
        model="anthropic/claude-sonnet-5-5",
        system="You review code.\n\n---\nBe kind.",
        tools=("read", "search"),
        budget="0.50",
        grants=Grants(read=("/usr/share/dict",)),
    )
    (tmp_path / "a.json").write_text(msgspec.json.encode(wanted).decode())
    assert read_agent_file(tmp_path / "a.md") == read_agent_file(tmp_path / "a.toml") == wanted
    assert read_agent_file(tmp_path / "a.json") == wanted
    assert wanted.paths() == {"read": ("/usr/share/dict",), "write": ()}


def test_text_without_a_head_is_the_instructions(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Just do it.\n")
    assert read_agent_file(tmp_path / "a.md") == AgentFile(system="Just do it.")


@pytest.mark.parametrize(
    ("name", "content", "line", "words"),
    [
        ("a.toml", 'name = "x"\ncolour = "red"\n', 2, "no setting `colour`"),
        ("a.md", "---\nname: x\ncolour: red\n---\nhi\n", 3, "no setting `colour`"),
        ("a.toml", 'name = "x"\nmax_turns = 0\n', 2, ">= 1"),
        ("a.toml", 'tools = ["read", "sudo"]\n', 1, "sudo"),
        ("a.toml", "name = x\n", 1, "not TOML"),
        ("a.json", '{"name":\n"x",}', 2, "not JSON"),
        ("a.json", "[1]", 1, "not an object"),
        ("a.json", "[" * 100_000, 1, "nested too deep"),
        ("a.toml", "budget_tokens = 0\n", 1, ">= 1"),
        ("a.md", "---\nname: [x\n---\nhi\n", 3, "not YAML"),
        ("a.md", "---\nsystem: a\n---\nb\n", 2, "given twice"),
        ("a.toml", "[grants]\nexec = true\n", 1, "exec"),
    ],
)
def test_mistakes_are_named_with_their_line(
    tmp_path: Path, name: str, content: str, line: int, words: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        read_agent_file(path)
    assert caught.value.where == f"{path}:{line}"
    assert words in caught.value.message


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xff")
    (tmp_path / "b.md").write_bytes(b"x" * ((1 << 20) + 1))
    for name in ("a.md", "b.md", "c.md", "."):
        with pytest.raises(UsageError):
            read_agent_file(tmp_path / name)


def test_a_bare_name_is_looked_for_in_the_home_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    (home.root / "agents").mkdir(parents=True)
    (home.root / "agents/critic.md").write_text("Be hard.")
    assert find_agent_file("critic", home) == home.root / "agents/critic.md"
    assert find_agent_file("./critic", home) == Path("./critic")
    with pytest.raises(UsageError, match="no agent `stranger`"):
        find_agent_file("stranger", home)


def test_granted_paths_are_absolute(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/usr")
    assert AgentFile(grants=Grants(read=(f"{tmp_path}/link/bin",))).paths()["read"] == ("/usr/bin",)
    with pytest.raises(UsageError, match="not absolute"):
        AgentFile(grants=Grants(write=("relative",))).paths()
