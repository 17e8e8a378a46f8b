"""What the columns of a file are, and what its path says of its series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from siridb_fast.errors import ColumnError, FileError
from siridb_fast.files.base import TableFile
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.files.path_labels import path_labels
from siridb_fast.loading.column_roles import ColumnRoles, find_roles, require_keys, with_types
from siridb_fast.loading.frames.arrow_frame import ArrowFrame
from siridb_fast.loading.name_template import NameTemplate
from siridb_fast.loading.odd_columns import odd_columns, refuse_odd_columns
from siridb_fast.loading.options import LoadOptions

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Labels", "as_table", "file_roles", "labels_of"]

Labels = Mapping[str, str | None]


def labels_of(file: Path, template: NameTemplate) -> Labels:
    """Return what a template may take from the path of a file."""
    fields = template.fields
    return {name: label for name, label in path_labels(file).items() if name in fields}


def file_roles(file: Path, table: TableFile, options: LoadOptions, labels: Labels) -> ColumnRoles:
    """Return which columns of an open file are what.

    Args:
        file: Its path, for error texts.
        table: The file.
        options: Of the load.
        labels: What `labels_of` gives.

    Raises:
        FileError: A column is not there, cannot be found, or would be two things at once.
    """
    dialect = table.dialect
    if options.time is None and dialect is not None and dialect.time is not None:
        options = replace(options, time=dialect.time.name)
    try:
        template = _bound(options.name_template, labels, table.schema.names)
        roles = find_roles(ArrowFrame(as_table(table.schema)), options, template)
        nested = table.left_out if options.values is None else {}
        of_types = dialect is None
        odd = odd_columns(table.schema, roles.values, options.types) if of_types else {}
        refuse_odd_columns({**nested, **odd})
        if dialect is None:
            return with_types(roles, options.types)
        return replace(roles, mixed=_mixed(dialect, roles))
    except ColumnError as exc:
        raise FileError(exc.text, file=str(file)) from None


def as_table(schema: pa.Schema, *batches: pa.RecordBatch) -> pa.Table:
    """Return some batches of a file as a table."""
    import pyarrow as pa  # of the extra; a file is open already

    return pa.Table.from_batches(batches, schema)


def _bound(template: NameTemplate, labels: Labels, columns: Sequence[str]) -> NameTemplate:
    # With what the path says, where no column does.
    said = {name: label for name, label in labels.items() if name not in columns}
    for name, label in said.items():
        if label is None:
            raise ColumnError(f"the template of series names: the path has no value of {name!r}")
    return template.bound({name: label for name, label in said.items() if label is not None})


def _mixed(dialect: Dialect, roles: ColumnRoles) -> dict[str, Dialect]:
    found = {name: dialect for name in roles.values if dialect.kinds.get(name) == "mixed"}
    require_keys(found, roles.keys)
    return found
