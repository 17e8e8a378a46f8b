"""The law of the house: a folder imports only folders above it here, and some do no I/O at all.

Names in one line are neighbours: neither imports the other. See `docs/architecture.md`.
"""

import re
from pathlib import Path

import pytest

FLOORS = """
    errors
    concurrency  protocol    formats
    columns      connection
    query        batching    spool   files
    journal
    delivery
    writer
    loading
    client       testing
    metrics
    gateway
    cli
"""
WITHOUT_IO = ["protocol", "formats", "columns", "batching", "query", "delivery/package.py"]
WITHOUT_IO += ["delivery/states.py", "delivery/packages.py", "delivery/repeats.py"]
WITHOUT_IO += ["delivery/report.py", "delivery/verdicts.py", "delivery/accounts.py"]
WITHOUT_IO += ["delivery/kept_points.py"]
BUT = {"server_queries.py"}  # sends queries, and lies with what makes their texts
OUTSIDE = {"asyncio", "socket", "time", "select", "selectors", "threading", "uvloop", "sqlite3"}

ROOT = Path(__file__).parent.parent
LEVELS = {name: level for level, line in enumerate(FLOORS.splitlines()) for name in line.split()}
IMPORT = re.compile(r"^\s*(?:from|c?import)\s+([\w.]+)", re.MULTILINE)


def sources(place: str) -> list[Path]:
    roots = [ROOT / "siridb_fast" / place, ROOT / "src_pyx/siridb_fast" / place]
    found = [path for root in roots for path in (root, root.with_suffix(".py"), *root.rglob("*"))]
    return [path for path in found if path.suffix in {".py", ".pyx", ".pxd"} and path.exists()]


def imports(path: Path) -> list[str]:
    return IMPORT.findall(path.read_text())


def test_every_folder_has_a_level() -> None:
    entries = [path for path in (ROOT / "siridb_fast").iterdir() if path.suffix in {"", ".py"}]
    assert {path.stem for path in entries if path.stem.strip("_") == path.stem} == LEVELS.keys()


@pytest.mark.parametrize("folder", LEVELS)
def test_only_folders_above_are_imported(folder: str) -> None:
    for path in sources(folder):
        others = {name.split(".")[1] for name in imports(path) if name.startswith("siridb_fast.")}
        assert [name for name in others - {folder} if LEVELS[name] >= LEVELS[folder]] == [], path


@pytest.mark.parametrize("place", WITHOUT_IO)
def test_what_does_no_io_imports_nothing_of_the_outside(place: str) -> None:
    for path in sources(place):
        used = {name.partition(".")[0] for name in imports(path)} & OUTSIDE
        assert not used or path.name in BUT, path
