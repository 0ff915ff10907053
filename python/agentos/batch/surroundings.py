"""What lies around a base commit in the user's checkout: ignored files to bring along, runtimes that PATH
names, and what the plan should tell a person about both."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agentos.batch import paths
from agentos.batch.private import PrivateRepository
from agentos.batch.slicing import Entry
from agentos.batch.workspace import _seed

_PATTERNS_FILE = ".worktreeinclude"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know before a batch starts: what it is about, and the sentence."""

    subject: str
    text: str


def included(private: PrivateRepository, commit: str, patterns: Sequence[str] = ()) -> list[bytes]:
    """The files of the checkout that `patterns` and `.worktreeinclude` (both in .gitignore's syntax) name,
    as far as they are ignored: those a unit's workspace gets copies of. Sorted."""
    top = private.repository.top
    listed = top / _PATTERNS_FILE
    rules = [pattern.encode("utf-8", "surrogateescape") for pattern in patterns]
    if listed.is_file() and not listed.is_symlink():
        rules += listed.read_bytes().splitlines()
    if not any(rule.strip() and not rule.startswith(b"#") for rule in rules):
        return []
    seed, _ = _seed(private, commit)
    with tempfile.NamedTemporaryFile(dir=private.folder, suffix=".patterns") as file:
        file.write(b"\n".join(rules) + b"\n")
        file.flush()
        named = private.run(
            "ls-files", "-z", "--others", "--ignored", f"--exclude-from={file.name}",
            work_tree=top, index=seed,
        ).out.split(b"\0")  # fmt: skip
    files = [name for name in named if name and not name.endswith(b"/")]
    return sorted(private.ignored(files, top, seed))


def runtimes(top: Path, path: str, tree: Sequence[Entry]) -> list[Path]:
    """The runtimes inside the checkout that `path` (a PATH) names, to be bound read-only at their place: the
    whole of a virtual environment or `node_modules`, else the folder itself. Committed folders are not
    among them: a workspace has its own."""
    committed = {part for entry in tree for part in _tops(entry.path)}
    found: dict[Path, None] = {}
    for entry in path.split(os.pathsep):
        folder = Path(os.path.normpath(entry)) if entry else Path()
        if not folder.is_absolute() or not folder.is_dir() or not folder.is_relative_to(top) or folder == top:
            continue
        whole = folder
        if (folder.parent / "pyvenv.cfg").is_file() or folder.parent.name == "node_modules":
            whole = folder.parent
        if os.fsencode(whole.relative_to(top)) not in committed:
            found[whole] = None
    return list(found)


def notes(
    private: PrivateRepository, tree: Sequence[Entry], bound: Sequence[Path], included_files: Sequence[bytes]
) -> list[Note]:
    """What to tell a person before a batch starts: what the checkout has and units will not, and what would
    bring it in; installs that point back into the checkout; submodules; filters that are not run."""
    top = private.repository.top
    names = set(included_files)
    found = [
        Note(subject=name, text=f"`{name}` is not committed, so units do not have it; {hint}")
        for name, hint in _OFTEN_NEEDED
        if (top / name).exists()
        and (top / name) not in bound
        and os.fsencode(name) not in names
        and not any(entry.path == os.fsencode(name) for entry in tree)
    ]
    for runtime in bound:
        found.append(
            Note(
                subject=str(runtime.relative_to(top)),
                text=f"`{runtime.relative_to(top)}` is on your PATH: units can read it at its place",
            )
        )
        found += [
            Note(
                subject=name,
                text=f"`{name}` is an editable install that points into your checkout, which units cannot "
                "read: reinstall it in `workspace.setup`, or set PYTHONPATH in `workspace.env`",
            )
            for name in editable_installs(runtime, top)
        ]
    links = [paths.quote(entry.path) for entry in tree if entry.mode == "160000"]
    if links:
        found.append(
            Note(subject="submodules", text=f"submodules are empty folders in units: {', '.join(links[:5])}")
        )
    if _uses_filters(private, tree):
        found.append(
            Note(
                subject=".gitattributes",
                text="filters (git-lfs and the like) are not run: units see such files as they are stored",
            )
        )
    return found


def editable_installs(runtime: Path, top: Path) -> list[str]:
    """The packages of a virtual environment that are installed from a folder inside `top`."""
    found = set()
    inside = str(top)
    for packages in runtime.glob("lib*/python*/site-packages"):
        for pointer in (*packages.glob("*.pth"), *packages.glob("*.egg-link")):
            lines = _lines(pointer)
            if any(line == inside or line.startswith(inside + "/") for line in lines):
                found.add(pointer.stem.removeprefix("__editable__.").removeprefix("_"))
        for origin in packages.glob("*.dist-info/direct_url.json"):
            try:
                told = msgspec.json.decode(origin.read_bytes(), type=_DirectUrl)
            except (OSError, msgspec.DecodeError):
                continue
            folder = told.url.removeprefix("file://")
            if told.dir_info.editable and (folder == inside or folder.startswith(inside + "/")):
                found.add(origin.parent.name.split("-")[0])
    return sorted(found)


class _DirInfo(msgspec.Struct, frozen=True):
    editable: bool = False


class _DirectUrl(msgspec.Struct, frozen=True):
    url: str
    dir_info: _DirInfo = _DirInfo()


_OFTEN_NEEDED = (
    ("node_modules", "install it in `workspace.setup`, or put `node_modules/.bin` on PATH"),
    (".venv", "activate it, and units can read it at its place, or make one in `workspace.setup`"),
    ("venv", "activate it, and units can read it at its place, or make one in `workspace.setup`"),
    (".env", "`workspace.include: [.env]` copies it, `workspace.env` or `pass_env` give single values"),
)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _tops(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:number]) for number in range(1, len(parts))]


def _uses_filters(private: PrivateRepository, tree: Sequence[Entry]) -> bool:
    wanted = [entry.sha for entry in tree if entry.path.rpartition(b"/")[2] == b".gitattributes"]
    return any(
        b" filter=" in line and not line.lstrip().startswith(b"#")
        for sha in wanted
        for line in private.run("cat-file", "blob", sha).out.splitlines()
    )
