"""Imports a large ChatGPT export in a fresh process, twice, and measures speed and peak memory.

    python benches/import_size.py 500 [--zip] [--export conversations.json]

One line for the first import and one for the same import again, which must write nothing. Speeds are in MB of
JSON a second, by wall time and by processor time of all threads: on a machine that is shared, the second one
says what the program needs. Peak memory is the importing process's own high-water mark, with the
interpreter's part beside it. Durable means that the last transaction and all before it were synced.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import generate_export

_IMPORT = """
import json, resource, sys, time
from agentos.kernel import Archive, ImportJob

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1000

def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

bare, wall, cpu = peak(), time.perf_counter(), used()
archive = Archive(sys.argv[1])
summary = json.loads(archive.run_import(ImportJob([sys.argv[2]])))
wall, cpu = time.perf_counter() - wall, used() - cpu
found = len(json.loads(archive.search("likes", 5)))
print(json.dumps({"wall": wall, "cpu": cpu, "bare": bare, "peak": peak(), "found": found, **summary}))
"""


def measure(export: Path, archive: Path, megabytes: float, name: str) -> dict[str, object]:
    """Imports in a process of its own, prints the line, and returns what the process told."""
    run = subprocess.run(
        [sys.executable, "-c", _IMPORT, str(archive), str(export)], check=True, capture_output=True, text=True
    )
    told: dict[str, object] = json.loads(run.stdout)
    wall, cpu, peak, bare = (float(str(told[key])) for key in ("wall", "cpu", "peak", "bare"))
    print(
        f"{name:<12} {megabytes:6.0f} MB  {wall:7.2f} s  {megabytes / wall:6.1f} MB/s  {cpu:7.2f} s processor"
        f"  {megabytes / cpu:6.1f} MB/s  peak {peak:.0f} MB, {bare:.0f} MB of it the interpreter"
        f"  written {told['written']}, found {told['found']}",
        flush=True,
    )
    return told


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description="Measure the import of a large export.")
    parser.add_argument("megabytes", type=float)
    parser.add_argument("--zip", action="store_true", help="as a zip rather than as plain JSON")
    parser.add_argument("--export", type=Path, help="an export that generate_export.py made before")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as folder:
        export = arguments.export or Path(folder) / ("export.zip" if arguments.zip else "conversations.json")
        if arguments.export is None:
            generate_export.write(export, arguments.megabytes, zipped=arguments.zip)
        megabytes = _size(export) / 1e6
        archive = Path(folder) / "archive"
        measure(export, archive, megabytes, "first")
        again = measure(export, archive, megabytes, "again")
        if again["written"]:
            sys.exit("the second import wrote something")
        kept = sum(path.stat().st_size for path in archive.rglob("*") if path.is_file()) / 1e6
        print(f"the archive has {kept:.0f} MB")


def _size(export: Path) -> int:
    if not zipfile.is_zipfile(export):
        return export.stat().st_size
    with zipfile.ZipFile(export) as archive:
        return sum(entry.file_size for entry in archive.infolist())


if __name__ == "__main__":
    main()
