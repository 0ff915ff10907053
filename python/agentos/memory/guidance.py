"""What a person is told after an import: what this export lacks, how to get it, what to do next."""

from __future__ import annotations

from typing import Any

PROMPTS: dict[str, str] = {
    "chatgpt": """\
I am taking my data with me. Write down everything you have saved in your memory about me, and my custom
instructions, all inside one code block.

- One entry a line, written as: [YYYY-MM-DD] - entry. Write [unknown] where you have no date.
- Put them under these headings, oldest first: ## Instructions, ## Identity, ## Career, ## Projects,
  ## Preferences, ## Other.
- Keep my own words wherever you have them. Leave nothing out, merge nothing, summarise nothing.

After the block, say whether that was all; if not, go on when I write "continue".""",
    "claude": """\
I am taking my data with me. List every memory you hold about me and everything you have learned about me
from our conversations, inside one code block: one entry a line as [YYYY-MM-DD] - entry ([unknown] without a
date), under ## Instructions, ## Identity, ## Career, ## Projects and ## Preferences, oldest first, in my own
words where you have them. Leave nothing out. After the block, say whether that was all.""",
}
"""Prompts to paste into a chatbot that does not export its memories."""


def lacks(summary: dict[str, Any]) -> list[str]:
    """What this kind of export does not hold, and how to get it: one sentence or two each."""
    source = str(summary["source"])
    told = []
    if "chatgpt" in source:
        told.append(
            "ChatGPT's export leaves its saved memories out; what your chats show of them is here. For "
            "all of them: paste the text of `agentos memory prompt chatgpt` into a new chat with it, and "
            "import the answer: agentos memory import answer.txt"
        )
        if not summary["files"]:
            told.append("Pictures and uploads are only in the whole zip: give that to bring them along.")
    if "claude" in source:
        told.append(
            "Claude's export names the files you uploaded, without their bytes; text it had read from "
            "them is here."
        )
        if not summary["facts"]["new"] and not summary["conversations"]["unchanged"]:
            told.append(
                "No memories of Claude came with it (memories.json): give the whole zip, or paste the text "
                "of `agentos memory prompt claude` into a chat with it, and import the answer."
            )
    return told


def next_commands(summary: dict[str, Any]) -> list[str]:
    """Three commands to go on with."""
    if not summary["conversations"]["seen"] and "paste" in str(summary["source"]):
        return [
            "agentos memory list",
            "agentos memory export --to claude -o memories.md",
            "agentos memory import EXPORT.zip",
        ]
    target = "agentos memory export --to claude -o memories.md"
    if not summary["facts"]["new"] and "chatgpt" in str(summary["source"]) and summary["written"]:
        target = "agentos memory prompt chatgpt"
    return ["agentos memory search 'words you remember'", "agentos memory list", target]
