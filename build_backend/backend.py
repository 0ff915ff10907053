"""In-tree build backend (PEP 517, PEP 660): builds the executable of `rust/runner`, then calls maturin.

maturin packs one extension module and leaves executables of the workspace out. What lies under
`<data>/scripts/` is installed beside the `agentos` command with its run bit, so the runner is put there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "build_backend" / "data" / "scripts"
RUNNER = "agentos-runner"


def _find_maturin() -> None:
    """Without build isolation maturin lies beside the interpreter, which need not be on `PATH`."""
    if shutil.which("maturin") is None:
        beside = str(Path(sys.executable).parent)
        os.environ["PATH"] = beside + os.pathsep + os.environ.get("PATH", "")


def _require_cargo() -> None:
    if shutil.which("cargo") is None:
        sys.exit("agentos: `cargo` was not found; install a Rust toolchain (https://rustup.rs) and try again")


def _build_runner() -> None:
    _require_cargo()
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", "-p", RUNNER], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    # A running daemon may execute the old file: replace it, never write into it.
    fresh = SCRIPTS / f".{RUNNER}.new"
    shutil.copy2(target / "release" / RUNNER, fresh)
    fresh.rename(SCRIPTS / RUNNER)


def get_requires_for_build_wheel(config_settings=None):
    return []


get_requires_for_build_editable = get_requires_for_build_wheel
get_requires_for_build_sdist = get_requires_for_build_wheel


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    import maturin

    _find_maturin()
    _require_cargo()
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import maturin

    _find_maturin()
    _build_runner()
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    import maturin

    _find_maturin()
    _build_runner()
    return maturin.build_editable(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory, config_settings=None):
    import maturin

    _find_maturin()
    return maturin.build_sdist(sdist_directory, config_settings)
