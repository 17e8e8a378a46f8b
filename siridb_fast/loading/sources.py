"""Whatever a load may be given → portions, one after another, each with its points when asked.

A portion is read at once and sent at once: a frame, a batch of a stream, the columns of a dict.
Runs in the thread that reads; knows nothing of writers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from siridb_fast.columns.pairs import refuse_points
from siridb_fast.delivery.report import Report
from siridb_fast.errors import ColumnError
from siridb_fast.loading.file_source import FileSource
from siridb_fast.loading.frame_reader import FramePoints, FrameReader
from siridb_fast.loading.frames.arrow_frame import (
    arrow_frames,
    arrow_values,
    dataset_reader,
    is_arrow,
    is_dataset,
)
from siridb_fast.loading.frames.base import ArrayFrame, Cells, Frame
from siridb_fast.loading.frames.pandas_frame import PandasFrame, is_pandas
from siridb_fast.loading.options import LoadOptions

__all__ = ["FramePortion", "Portion", "portions"]


class Portion(Protocol):
    """Some of the data of a load."""

    @property
    def total_rows(self) -> int | None:
        """Of the whole load, as far as it is known."""

    @property
    def maybe_stored(self) -> bool:
        """Tell whether some of its points are perhaps stored already."""

    def read(self, reader: FrameReader) -> FramePoints:
        """Return its points.

        Raises:
            ColumnError: They cannot be sent as they are.
            FileError: The same, of a file.
        """

    def on_leaving(self) -> None:
        """Note that its first point is about to leave.

        Raises:
            FileError: Of a file, it cannot be noted.
        """

    def on_delivered(self, report: Report) -> None:
        """Note what became of its points."""


@dataclass(frozen=True, slots=True)
class FramePortion:
    """One frame."""

    frame: Frame
    total_rows: int | None = None
    number: int | None = None  # in a stream of frames
    maybe_stored: bool = False

    def read(self, reader: FrameReader) -> FramePoints:
        """Return its points."""
        try:
            return reader.read(self.frame)
        except ColumnError as exc:
            raise _in_frame(exc, self.number) from None

    def on_leaving(self) -> None:
        """Do nothing: nobody has to know."""

    def on_delivered(self, report: Report) -> None:
        """Do nothing: nobody has to know."""


@dataclass(frozen=True, slots=True)
class SeriesPortion:
    """Columns of some series: (name, timestamps, values)."""

    columns: tuple[tuple[Any, object, object], ...]
    total_rows: int | None = None
    maybe_stored: bool = False

    def read(self, reader: FrameReader) -> FramePoints:
        """Return its points."""
        return reader.read_series(
            [
                (name, _cells(name, timestamps), _cells(name, values))
                for name, timestamps, values in self.columns
            ]
        )

    def on_leaving(self) -> None:
        """Do nothing: nobody has to know."""

    def on_delivered(self, report: Report) -> None:
        """Do nothing: nobody has to know."""


def portions(data: Any, options: LoadOptions) -> Iterable[Portion]:
    """Return what is to be loaded: files as a `FileSource`.

    Args:
        data: A frame of pandas, Polars or Arrow, a dataset or scanner of pyarrow, a structured
            array, a dict of columns (if ``time`` is given) or of ``name: (timestamps, values)``;
            the path of a file, of a folder or a pattern; or an iterable of such frames or of
            ``(name, timestamps, values)``.
        options: Of the load.

    Raises:
        ColumnError: It is nothing of that.
    """
    if isinstance(data, (str, os.PathLike)):
        return FileSource([data], options)
    return _portions(data, options)


def _portions(data: Any, options: LoadOptions) -> Iterator[Portion]:
    if isinstance(data, Mapping):
        yield _of_mapping(data, options)
        return
    frames = _frames(data, options)
    if frames is not None:
        yield from _stream(frames)
        return
    if isinstance(data, bytes) or not isinstance(data, Iterable):
        raise ColumnError(
            "a load takes a frame, a structured array, a dict, the path of a file, or an iterable "
            f"of frames or of (name, timestamps, values), got {type(data).__name__}"
        )
    for number, item in enumerate(data):
        yield from _of_item(item, number, options)


def _of_mapping(data: Mapping[Any, Any], options: LoadOptions) -> Portion:
    if options.time is not None:
        frame = ArrayFrame({name: _masked_array(name, given) for name, given in data.items()})
        return FramePortion(frame, len(frame))
    for name, pair in data.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ColumnError(
                "a dict holds {name: (timestamps, values)}, or columns if time= names one of "
                f"them; got {type(pair).__name__}",
                series=str(name),
            )
        refuse_points(name, pair)
    return SeriesPortion(tuple((name, *pair) for name, pair in data.items()))


def _of_item(item: Any, number: int, options: LoadOptions) -> Iterator[Portion]:
    if isinstance(item, tuple) and len(item) == 3:
        yield SeriesPortion((item,))
        return
    if isinstance(item, Mapping):
        portion = _of_mapping(item, options)
        yield (
            FramePortion(portion.frame, None, number)
            if isinstance(portion, FramePortion)
            else portion
        )
        return
    frames = _frames(item, options)
    if frames is None:
        raise ColumnError(
            f"item {number} is neither a frame nor (name, timestamps, values): "
            f"{type(item).__name__}"
        )
    for frame in frames:
        yield FramePortion(frame, None, number)


def _frames(data: Any, options: LoadOptions) -> Iterator[Frame] | None:
    # None: it is no frame, and no stream of Arrow data
    if is_dataset(data):
        return arrow_frames(dataset_reader(data, options.columns))
    if is_pandas(data):
        return iter([PandasFrame(data)])
    if isinstance(data, np.ndarray) and data.dtype.names:
        return iter([ArrayFrame(data)])
    if hasattr(data, "collect_batches"):  # a lazy frame of Polars
        return (frame for batch in data.collect_batches() for frame in arrow_frames(batch))
    if hasattr(data, "collect") and not is_arrow(data):
        data = data.collect()
    return arrow_frames(data) if is_arrow(data) else None


def _stream(frames: Iterator[Frame]) -> Iterator[Portion]:
    # A single frame is all there is, of a stream nobody knows.
    first = next(frames, None)
    if first is None:
        return
    second = next(frames, None)
    if second is None:
        yield FramePortion(first, len(first))
        return
    yield FramePortion(first, None, 0)
    yield FramePortion(second, None, 1)
    for number, frame in enumerate(frames, 2):
        yield FramePortion(frame, None, number)


def _masked_array(name: object, given: Any) -> object:
    # What numpy would turn into floats or objects, if something is missing, is masked instead.
    if isinstance(given, (np.ndarray, list, tuple)):
        return given
    cells = _cells(name, given)
    if cells.missing is None:
        return cells.values
    return np.ma.MaskedArray(cells.values, cells.missing)


def _cells(name: object, given: Any) -> Cells:
    if is_pandas(given):
        frame = PandasFrame(given)
        if len(frame.names) != 1:
            raise ColumnError(
                f"one column is wanted, got a frame of {len(frame.names)}", series=str(name)
            )
        return frame.cells(frame.names[0])
    if type(given).__module__.partition(".")[0] == "pandas":  # an index, or an array
        import pandas as pd  # it is there, for it made this

        return _cells(name, pd.Series(given))
    if is_arrow(given):
        return arrow_values(str(name), given)
    column = ArrayFrame({str(name): given})
    return column.cells(str(name))


def _in_frame(exc: ColumnError, number: int | None) -> ColumnError:
    if number is None:
        return exc
    return ColumnError(f"frame {number}: {exc.text}", series=exc.series, index=exc.index)
