"""How a caller wants its columns read.

Checked here, once; what the rules do to timestamps and values is `column`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from siridb_fast.columns._blocks import OnMissing
from siridb_fast.columns.time_units import PRECISIONS

__all__ = ["MISSING", "ColumnRules", "MissingPolicy", "PrecisionLossPolicy", "TypePolicy"]

MissingPolicy = Literal["keep", "drop", "error"]  # on_missing= of every call that takes points
PrecisionLossPolicy = Literal["error", "floor"]  # on_precision_loss=
TypePolicy = Literal["error", "cast"]  # on_type=

MISSING = {"keep": OnMissing.KEEP, "drop": OnMissing.DROP, "error": OnMissing.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRules:
    """How arrays are read.

    ``time_precision`` is the database's, None if it is not known: then timestamps are integers,
    and only what no database takes is refused.
    """

    time_precision: int | None = None
    on_missing: MissingPolicy = "keep"
    on_precision_loss: PrecisionLossPolicy = "error"

    def __post_init__(self) -> None:
        if self.time_precision is not None and self.time_precision not in PRECISIONS:
            raise ValueError(
                "time_precision is None, SECOND, MILLISECOND, MICROSECOND or NANOSECOND (0..3), "
                f"got {self.time_precision!r}"
            )
        if self.on_missing not in [*MISSING]:  # a list has no hash
            raise ValueError(f"on_missing is 'keep', 'drop' or 'error', got {self.on_missing!r}")
        if self.on_precision_loss not in ("error", "floor"):
            raise ValueError(
                f"on_precision_loss is 'error' or 'floor', got {self.on_precision_loss!r}"
            )
