"""The options of inserts, and of answers as frames, which all clients have alike.

Knows which of them make sense; knows nothing of what is inserted or asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from siridb_fast.columns.rules import ColumnRules, MissingPolicy, PrecisionLossPolicy, TypePolicy
from siridb_fast.query.result_frames import Form, check_form

__all__ = ["FrameKeywords", "FrameOptions", "InsertKeywords", "InsertOptions"]


class InsertKeywords(TypedDict, total=False):
    """The keyword options of every `insert`; see `SiriDBClient.insert`."""

    time_precision: int | None
    on_missing: MissingPolicy
    on_precision_loss: PrecisionLossPolicy
    on_type: TypePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertOptions:
    """The same, validated: what becomes of arrays that do not fit the database."""

    time_precision: int | None = None
    on_missing: MissingPolicy = "keep"
    on_precision_loss: PrecisionLossPolicy = "error"
    on_type: TypePolicy = "error"

    def __post_init__(self) -> None:
        if self.on_type not in ("error", "cast"):
            raise ValueError(f"on_type is 'error' or 'cast', got {self.on_type!r}")
        self.rules(self.time_precision)

    def rules(self, time_precision: int | None) -> ColumnRules:
        """Return the rules for reading columns into a database of this precision."""
        return ColumnRules(
            time_precision=time_precision,
            on_missing=self.on_missing,
            on_precision_loss=self.on_precision_loss,
        )


class FrameKeywords(TypedDict, total=False):
    """The keyword options of `query_frame` and `query_arrow`; see `SiriDBClient.query_frame`."""

    form: Form
    all_points: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOptions:
    """The same, validated: the form of a frame, and whether the point limit is paged around."""

    form: Form = "wide"
    all_points: bool = False

    def __post_init__(self) -> None:
        check_form(self.form)
