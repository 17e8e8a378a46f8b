"""What a load is about to need, imported while it waits for the server and the disk.

Knows which modules these are; whoever needs one imports it as ever, and raises what is wrong.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Thread

from siridb_fast.files.paths import FORMATS, Format

__all__ = ["import_ahead"]

ENGINE = "siridb_fast.writer.engine"
READERS = {"parquet": "siridb_fast.files.parquet"}


def import_ahead(file: Path, said: Format | None) -> None:
    """Begin to import the modules in a thread.

    Args:
        file: The first of those that are loaded.
        said: Its format, if it was said.
    """
    kind = said or FORMATS.get(file.suffix.lower(), "")
    modules = [ENGINE, READERS[kind]] if kind in READERS else [ENGINE]
    Thread(target=_import, args=(modules,), name="siridb_fast imports", daemon=True).start()


def _import(modules: list[str]) -> None:
    for module in modules:
        with suppress(ImportError):
            import_module(module)
