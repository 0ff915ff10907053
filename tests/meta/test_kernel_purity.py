"""The rings of the Rust side: a pure kernel, one crate with `unsafe`, one that knows Python."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from meta import project

RUST = project.ROOT / "rust"


def _dependencies(crate: str) -> set[str]:
    manifest = tomllib.loads((RUST / crate / "Cargo.toml").read_text())
    return set(manifest.get("dependencies", {}))


def _sources(crate: str) -> list[Path]:
    sources = sorted((RUST / crate / "src").rglob("*.rs"))
    return [path for path in sources if not path.stem.endswith("_tests") and path.stem != "tests"]


def _code(path: Path) -> str:
    return re.sub(r"//[^\n]*", "", path.read_text())


def test_the_kernel_depends_on_the_abi_alone() -> None:
    assert _dependencies("kernel") == {"agentos-abi"}
    assert _dependencies("abi") <= {"serde"}


def test_the_kernel_touches_neither_clock_nor_world() -> None:
    forbidden = re.compile(
        r"\bstd::(time|fs|net|thread|env|process|io|os|sync)\b|\b(println|eprintln|dbg)!|\bf(32|64)\b"
    )
    found = [
        f"{path.relative_to(project.ROOT)}: {match.group()}"
        for crate in ("kernel", "abi")
        for path in _sources(crate)
        for match in forbidden.finditer(_code(path))
        # Serde's trait has methods for floats: those of these files refuse them or pass them on.
        if not (path.name in ("length.rs", "tagged.rs") and match.group() in ("f32", "f64"))
    ]
    assert found == []


def test_the_kernel_iterates_over_nothing_unordered() -> None:
    # Look-ups may hash; whatever is iterated is ordered, or a replay differs.
    walked = re.compile(r"HashMap|HashSet")
    assert [str(path) for path in _sources("abi") if walked.search(_code(path))] == []
    for path in _sources("kernel"):
        code = _code(path)
        for name in re.findall(r"(\w+)\s*:\s*Hash(?:Map|Set)<", code):
            assert not re.search(rf"\b{name}\.(iter|keys|values|drain|into_iter)\b", code), f"{path}: {name}"


def test_unsafe_stands_in_the_sandbox_alone() -> None:
    found = [
        str(path.relative_to(project.ROOT))
        for path in RUST.rglob("*.rs")
        if "sandbox" not in path.parts and re.search(r"\bunsafe\b\s*(\{|fn|impl)", _code(path))
    ]
    assert found == []


def test_one_crate_knows_python() -> None:
    crates = {path.parent.name for path in RUST.glob("*/Cargo.toml")}
    assert {crate for crate in crates if "pyo3" in _dependencies(crate)} == {"bindings"}


def test_drivers_do_not_depend_on_the_kernel() -> None:
    for driver in ("journal", "broker", "sandbox", "archive"):
        assert "agentos-kernel" not in _dependencies(driver)
