"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agentos.errors import Failed


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write (0600) that takes its place at `path` when the block ends well. Raises Failed."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise Failed(f"the file cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        fresh.unlink(missing_ok=True)
