"""Merges settings of variables, a home and a repository."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from agentos import settings
from agentos.errors import UsageError
from agentos.home import Home


def run(given: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder, "home"))
        home.create()
        repository = Path(folder, "repository")
        (repository / ".git").mkdir(parents=True)
        for path, text in (
            (home.root / "config.toml", given.get("home")),
            (repository / "agentos.toml", given.get("repository")),
        ):
            if text is not None:
                path.write_text(text)
        try:
            if "set" in given:
                settings.store(home, *given["set"])
            found = settings.values(home, repository, given.get("variables", {}))
        except UsageError as error:
            file = Path((error.where or "").rpartition(" ")[2]).name
            return {"refused": True, "where": file, "names": given.get("names", "") in error.message}
        text = (home.root / "config.toml").read_text() if (home.root / "config.toml").exists() else ""
        return {
            **{key: value.value for key, value in found.items()},
            "origins": {
                key: Path(value.origin).name for key, value in found.items() if value.origin != "built-in"
            },
            "file": text,
        }
