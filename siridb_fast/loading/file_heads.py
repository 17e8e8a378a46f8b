"""The heads of all files of a load: looked at before the first point leaves.

What one of them lacks is found then, not in the middle of the load, and the type of a column holds
over all of them: integers of one file are floats where the same series has floats in another, and
texts in one and numbers in another are an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from siridb_fast.errors import FileError
from siridb_fast.files.base import TableFile
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.loading.column_roles import ColumnRoles

__all__ = ["FileHeads"]

SMALL = 64 * 1024  # bytes of a file of text that need not be looked at again
KEPT = 10_000  # of them; each takes about 5 KB of memory

SeriesKey = tuple[Any, ...]  # what of a series is known before any row is read
Opener = Callable[[Path], tuple[TableFile, ColumnRoles]]


class FileHeads:
    """What is known of files from their heads.

    Args:
        types: What was said of columns, which is not to be found.

    Attributes:
        dialects: How CSV files are read.
        skipped: Files that cannot be loaded, and why, where they are to be left out.
    """

    def __init__(self, types: Iterable[str]) -> None:
        self.dialects: dict[Path, Dialect] = {}
        self.skipped: dict[Path, FileError] = {}
        self._kept: dict[Path, tuple[TableFile, ColumnRoles]] = {}
        self._said = frozenset(types)
        self._seen: set[str] = set()  # of these
        self._kinds: dict[SeriesKey, dict[str, Path]] = {}  # and the first file that has each

    def look_at(self, files: Sequence[Path], opened: Opener, *, skips: bool) -> None:
        """Look at the heads of files.

        Args:
            files: Of the load.
            opened: Opens one, and says which of its columns are what.
            skips: Leave out those that cannot be loaded.

        Raises:
            FileError: A file cannot be loaded, or none has a column whose type was said.
        """
        for file in files:
            try:
                table, roles = opened(file)
                with table:
                    self._add(file, table, roles, opened)
                if table.reads_after_close and table.size <= SMALL and len(self._kept) < KEPT:
                    self._kept[file] = table, roles
            except FileError as exc:
                if not skips:
                    raise _with_remedy(exc, len(files)) from None
                self.skipped[file] = exc
        for name in sorted(self._said - self._seen) if len(self.skipped) < len(files) else ():
            text = f"there is no column {name!r}, nor in the other files; types= (--type) names it"
            raise FileError(text, file=str(files[0]))

    def take(self, file: Path) -> tuple[TableFile, ColumnRoles] | None:
        """Return a file that need not be opened anew, once; its rows can be read."""
        return self._kept.pop(file, None)

    def with_kinds(self, table: TableFile, roles: ColumnRoles) -> ColumnRoles:
        """Return roles in which integers become floats where another file has floats."""
        floats = {
            name: "float"
            for name, series in roles.columns()
            if _kind(table, name) == "integer"
            and "float" in self._kinds.get(_key(roles, name, series), ())
        }
        return replace(roles, types={**roles.types, **floats}) if floats else roles

    def _add(self, file: Path, table: TableFile, roles: ColumnRoles, opened: Opener) -> None:
        self._seen.update(table.types)
        if table.dialect is not None:
            self.dialects[file] = table.dialect
        found: list[tuple[SeriesKey, str]] = []
        for name, series in roles.columns():
            kind = _kind(table, name)
            if kind is None or name in self._said or name in roles.mixed:
                continue
            key = _key(roles, name, series)
            self._check(file, name, kind, key, opened)
            found.append((key, kind))
        for key, kind in found:  # once all of them are well
            self._kinds.setdefault(key, {}).setdefault(kind, file)

    def _check(self, file: Path, name: str, kind: str, key: SeriesKey, opened: Opener) -> None:
        others = self._kinds.get(key, {})
        for other_kind, other in list(others.items()):
            if (other_kind == "text") == (kind == "text"):
                continue
            if not _has_values(opened(other), name):
                del others[other_kind]
            elif _has_values(opened(file), name):
                raise _of_other_type(file, name, kind, other, is_long=bool(key[2]))


def _with_remedy(exc: FileError, files: int) -> FileError:
    # What is wrong with a file as a whole; of a line, other options say how it is read.
    if files == 1 or exc.line is not None or "--" in exc.text:
        return exc
    text = f"{exc.text}; skip_bad_files=True (--skip-bad-files) leaves such files out"
    return FileError(text, file=exc.file, column=exc.column)


def _key(roles: ColumnRoles, name: str, series: str) -> SeriesKey:
    template = roles.template
    levels = roles.levels.get(name, {})
    labels = tuple(sorted({**template.bound_labels, **levels}.items()))
    column = name if roles.keys else series if template.uses_column else ""
    return column, labels, roles.keys


def _kind(table: TableFile, name: str) -> str | None:
    # None: it has nothing, or what is refused when it is read
    import pyarrow as pa  # of the extra; a file is open already

    kind = table.schema.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "float"
    is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return "text" if any(check(kind) for check in is_text) else None


def _has_values(opened: tuple[TableFile, ColumnRoles], name: str) -> bool:
    # A column of a CSV file without any is taken for one of floats.
    table, _ = opened
    with table:
        if name not in table.schema.names:
            return True
        return any(batch.column(name).null_count < batch.num_rows for batch in table.batches())


def _of_other_type(file: Path, name: str, kind: str, other: Path, *, is_long: bool) -> FileError:
    here, there = ("texts", "numbers") if kind == "text" else ("numbers", "texts")
    ways = f"types={{{name!r}: 'string'}} (--type {name}=string) takes both as texts"
    if is_long:
        ways += ", 'mixed' if they are of different series"
    else:
        ways += "; {stem} in the template (series=, --series) gives each file a series of its own"
    return FileError(
        f"the column has {here}, and {there} in {other}; {ways}", file=str(file), column=name
    )
