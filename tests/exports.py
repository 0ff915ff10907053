"""Chat exports as the tests need them: small, and wrong in any way that is asked for."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures" / "memory"


def chat(
    identity: str,
    words: list[str],
    *,
    updated: float = 1_700_000_100,
    extra: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A ChatGPT conversation: `words` alternate between user and assistant; `extra` are further nodes."""
    mapping: dict[str, Any] = {f"{identity}-root": node(f"{identity}-root", None, None)}
    parent = f"{identity}-root"
    for number, text in enumerate(words):
        key = f"{identity}-{number}"
        role = "assistant" if number % 2 else "user"
        mapping[key] = node(key, parent, message(role, text, 1_700_000_000 + number))
        mapping[parent]["children"].append(key)
        parent = key
    mapping |= extra or {}
    return {
        "id": identity,
        "conversation_id": identity,
        "title": f"Talk {identity}",
        "create_time": 1_700_000_000,
        "update_time": updated,
        "current_node": parent,
        "mapping": mapping,
        **fields,
    }


def node(key: str, parent: str | None, said: dict[str, Any] | None) -> dict[str, Any]:
    """A node of a ChatGPT conversation."""
    return {"id": key, "parent": parent, "children": [], "message": said}


def message(role: str, text: str, time: float | None, **fields: Any) -> dict[str, Any]:
    """A ChatGPT message."""
    content = {"content_type": "text", "parts": [text]}
    return {"author": {"role": role}, "create_time": time, "content": content, "recipient": "all", **fields}


def saved(lines: list[str], time: float) -> dict[str, Any]:
    """A ChatGPT message that shows its list of saved memories."""
    numbered = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    content = {"content_type": "model_editable_context", "model_set_context": numbered}
    return {"author": {"role": "system"}, "create_time": time, "content": content}


def write_json(path: Path, value: Any) -> Path:
    """Writes `value` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def write_zip(path: Path, members: dict[str, Any]) -> Path:
    """Writes a zip; values that are not bytes become JSON."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            archive.writestr(name, value if isinstance(value, bytes) else json.dumps(value).encode())
    return path
