"""The tree that the meta tests look at: tracked files, modules, imports."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "agentos"
SAMPLES = PACKAGE / "examples"


def tracked(*suffixes: str) -> list[Path]:
    """Files that belong to the project (tracked, or new and not ignored), samples left out."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
    paths = (ROOT / name for name in names if name)
    return sorted(
        path
        for path in paths
        if path.is_file() and path.suffix in suffixes and SAMPLES not in path.resolve().parents
    )


@dataclass(frozen=True)
class Import:
    """One import statement's target, with where it stands."""

    importer: str
    target: str
    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.importer} imports {self.target}"


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _type_only(tree: ast.Module) -> set[ast.AST]:
    """Nodes under `if TYPE_CHECKING:`: names for signatures, nothing that is loaded."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }


def imports_of(path: Path) -> Iterator[Import]:
    """What a module of the package loads, wherever in it the import stands."""
    tree = ast.parse(path.read_text())
    importer = module_name(path)
    package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
    skipped = _type_only(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(importer, alias.name, path, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*anchor, base] if base else anchor)
            for alias in node.names:
                yield Import(importer, f"{base}.{alias.name}", path, node.lineno)


def package_imports() -> list[Import]:
    return [found for path in tracked(".py") if PACKAGE in path.parents for found in imports_of(path)]
