"""Columns that no point can come of: named at once, with what leaves them out.

Lists, structs, bytes, dates beside the time, and durations of which nobody said the unit. Where
nobody said that they are not wanted, leaving them out would lose data without a word.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from siridb_fast.errors import ColumnError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["odd_columns", "refuse_odd_columns"]

SHOWN = 10


def odd_columns(schema: pa.Schema, values: Sequence[str], said: Collection[str]) -> dict[str, str]:
    """Return the columns of values of a file that no point can come of, with their types.

    Args:
        schema: Of the file.
        values: The columns of values.
        said: Those whose types were said, which are converted.
    """
    odd = {}
    for name in values:
        kind = schema.field(name).type
        if name not in said and not _is_understood(kind):
            odd[name] = str(kind)
    return odd


def refuse_odd_columns(odd: Mapping[str, str]) -> None:
    """Refuse columns that no point can come of, if there are any.

    Args:
        odd: Their types.

    Raises:
        ColumnError: Names all of them, and the options that help.
    """
    if not odd:
        return
    shown = [f"{name!r} ({kind})" for name, kind in [*odd.items()][:SHOWN]]
    more = f" and {len(odd) - SHOWN:,} more" if len(odd) > SHOWN else ""
    durations = [name for name, kind in odd.items() if _is_of_durations(kind)]
    hint = f"; types= (--type {durations[0]}=s) stores durations as numbers" if durations else ""
    raise ColumnError(
        f"no points can be made of the columns {', '.join(shown)}{more}: they hold no numbers, "
        "bool or text; ignore= (--ignore) leaves them out, values= (--values) names the others"
        + hint
    )


def _is_of_durations(kind: str) -> bool:
    return kind.startswith(("duration", "time32", "time64", "timedelta64"))


def _is_understood(kind: pa.DataType) -> bool:
    import pyarrow as pa  # of the extra; a file is open already

    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    checks = (
        *(types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null),
        *(types.is_string, types.is_large_string, types.is_string_view),
    )
    return any(check(kind) for check in checks)
