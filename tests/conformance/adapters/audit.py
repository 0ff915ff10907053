"""Damages a journal that a real kernel wrote, and checks it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tests import journals
from tests.command import Command

from agentos.kernel import audit_entries, audit_verify

EDIT = "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '/etc/passwd', '/etc/hostname') AS BLOB)"
DAMAGES = {
    "none": "",
    "edit": EDIT,
    "delete": "DELETE FROM entry WHERE seq = 5",
    "cut": "DELETE FROM entry WHERE seq > 5",
    "swap": "UPDATE entry SET seq = 900 WHERE seq = 3; UPDATE entry SET seq = 3 WHERE seq = 6; "
    "UPDATE entry SET seq = 6 WHERE seq = 900",
    "move a field": "UPDATE entry SET version = version + 1 WHERE seq = 4",
}


def run(given: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        written = journals.write(Path(folder, "home"))
        if "kinds" in given:
            kinds = [entry["entry"]["type"] for entry in audit_entries(written.home.database)]
            return {"recorded": [kind for kind in given["kinds"] if kind in kinds]}
        if "kept" in given:
            return _kept(written, Path(folder), given["kept"])
        before = audit_verify(written.home.database)
        (journals.rewrite if given.get("rewritten") else journals.tamper)(
            written.home, DAMAGES[given["damage"]]
        )
        after = audit_verify(written.home.database)
        return {
            "ok": after["ok"],
            "entries": after["entries"],
            "first_bad": after["first_bad"]["seq"] if after["first_bad"] else 0,
            "same_end": before["head"] == after["head"],
            "length": len(before["head"]),
            "again": audit_verify(written.home.database) == after,
        }


def _kept(written: journals.Written, folder: Path, damage: str) -> dict[str, Any]:
    """What is found by somebody who kept a signed anchor elsewhere, when all was made anew."""
    agentos = Command(written.home.root, folder)
    try:
        anchor = str(folder / "anchor.json")
        assert agentos("audit", "anchor", "-o", anchor).returncode == 0
        agentos.end()
        journals.rewrite(written.home, DAMAGES[damage])
        return {"found": agentos("audit", "verify", "--anchor", anchor).returncode == 1}
    finally:
        agentos.end()
