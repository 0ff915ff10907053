"""Looks for a pattern in the files below a folder; run as a process of its own by the tool `search`.

The pattern is a model's. Python's matcher can take for ever on one, holding the interpreter lock while it
does: in a process apart, a timeout ends it. Reads one JSON request from stdin, prints matching lines.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat
import sys
from collections.abc import Iterator

from agentos.tools.failure import ToolFailure
from agentos.tools.files import failing, opened_folder
from agentos.tools.names import quote

LARGEST = 4 << 20  # bytes of a file that is looked into
LONGEST_LINE = 300
SKIPPED = frozenset({".git", "node_modules", ".venv", "__pycache__", ".mypy_cache", ".tox"})


def matches(path: str, pattern: re.Pattern[str], files: str) -> Iterator[str]:
    """`name:line:text` for each line that `pattern` is found in, for the files whose path matches `files`."""
    folder_path, name = os.path.split(path)
    with opened_folder(folder_path) as folder, failing(path):
        if not stat.S_ISDIR(os.stat(name or ".", dir_fd=folder, follow_symlinks=False).st_mode):
            yield from _lines(folder, name, name, pattern)
            return
    with opened_folder(path) as folder, failing(path):
        for base, folders, names, inner in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
            folders[:] = sorted(set(folders) - SKIPPED)
            for name in sorted(names):
                shown = os.path.normpath(f"{base}/{name}")
                if any(fnmatch.fnmatchcase(text, files) for text in (shown, f"/{shown}")):
                    yield from _lines(inner, name, shown, pattern)


def _lines(folder: int, name: str, shown: str, pattern: re.Pattern[str]) -> Iterator[str]:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError:
        return  # a link, or gone
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            return
        data = file.read(LARGEST)
    if b"\0" in data[:8_192]:
        return
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if pattern.search(line):
            yield f"{quote(shown)}:{number}:{line.strip()[:LONGEST_LINE]}"


def main() -> int:
    """Answer one request: exit 0 with its lines, or 2 with what is wrong with it on stderr."""
    request = json.load(sys.stdin)
    try:
        flags = re.IGNORECASE if request["ignore_case"] else 0
        pattern = re.compile(request["pattern"], flags)
        most = int(request["most"])
        for count, line in enumerate(matches(os.fsdecode(bytes(request["path"])), pattern, request["files"])):
            if count == most:
                print(f"(stopped after {most} matches: narrow the pattern or the files)")
                break
            print(line)
    except (re.error, ToolFailure) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
