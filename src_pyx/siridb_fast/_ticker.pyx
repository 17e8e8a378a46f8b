"""One timestamp, and a value for each of many series, again and again.

A tick is checked whole, then there is made place for all of it, then it is appended: it is taken
as a whole or not at all.
"""

cimport cython
from libc.stdint cimport int64_t

from siridb_fast._blocks cimport DROP, ERROR
from siridb_fast._coalescer cimport Coalescer, append_sample
from siridb_fast._intake cimport Intake, make_places, wait_for_room
from siridb_fast._runs cimport (
    FLOAT, INTEGER, NO_TYPE, Series, SeriesType, Value, chunk_bytes, free_places,
)

from dataclasses import replace

import numpy as np

from siridb_fast.casting import cast_values
from siridb_fast.columns import is_array, point_column
from siridb_fast.errors import ColumnError
from siridb_fast.plain import plain_array

cdef enum:
    EXACT_INTEGERS = 1 << 53  # up to here every integer is a double


@cython.final
cdef class Ticker:
    """Many series of a writer that always get a value together.

    Each call takes all of it or, when it raises, nothing.
    """

    def __cinit__(self, Intake intake not None, names):
        self.intake = intake
        self.names = tuple(names)
        self.series = [intake.find(name) for name in self.names]
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ColumnError("a ticker has every series once", series=twice)

    def __len__(self):
        return len(self.names)

    def __repr__(self):
        return f"<Ticker of {len(self.names):,} series>"

    def write(self, timestamp, values) -> None:
        """Take one value for each series.

        Args:
            timestamp: As for `BatchWriter.write`.
            values: Shape (k,), for the k names in their order: an array of any integer, float or
                bool dtype, or a sequence of what `BatchWriter.write` takes.

        Raises:
            ColumnError: Names the series and its index. Also a `ValueError`.
            BufferFullError: There is no room, on the event loop's thread.
        """
        if len(values) != len(self.series):
            raise ColumnError(f"{len(values)} values for a ticker of {len(self.series)} series")
        if not self.series:
            return
        if is_array(values):
            values = plain_array(np.asarray(values), 1)
            if values.dtype.kind == "f" and self._is_ready(FLOAT):
                self._write_doubles(self.intake.timestamp(self.series[0], timestamp), values)
                return
            if values.dtype.kind == "i" and self._is_ready(INTEGER):
                self._write_integers(self.intake.timestamp(self.series[0], timestamp), values)
                return
            values = values.tolist()
        self.intake.write_all(self.series, timestamp, values)

    def write_block(self, timestamps, values) -> None:
        """Take n values for each series.

        Args:
            timestamps: Shape (n,), any integer dtype in the database's precision, or datetime64.
            values: Shape (n, k), of any integer, float or bool dtype and any strides. With
                ``on_missing="drop"`` a NaN leaves out its point.

        Raises:
            ColumnError: Names the series and the index of the row. Also a `ValueError`.
            BufferFullError: There is no room, on the event loop's thread, or there could never be.
        """
        values = plain_array(np.asarray(values), 2)
        if values.shape[1] != len(self.series):
            raise ColumnError(
                f"values have shape {values.shape}, the ticker has {len(self.series)} series"
            )
        if len(timestamps) != values.shape[0]:
            raise ColumnError(f"{len(timestamps)} timestamps but {values.shape[0]} rows of values")
        if not values.size:
            return
        stamps = self._timestamps(timestamps)
        if self.intake.on_missing == ERROR and values.dtype.kind == "f":
            self._refuse_missing(values)
        columns = self._columns(values)
        while self._reserve(len(stamps)):
            columns = self._columns(values)
        for series, column in zip(self.series, columns, strict=True):
            if column.dtype.kind == "f":
                self._extend_doubles(series, stamps, column)
            else:
                self._extend_integers(series, stamps, column)
        self.intake._coalescer.tell()

    cdef bint _is_ready(self, SeriesType type_) except -1:
        # Tell whether all series take such values; then there is place for one in each.
        while self._takes(type_):
            if not make_places(self.intake._coalescer, self.series):
                return True
        return False

    cdef bint _takes(self, SeriesType type_) except -1:
        cdef Series series
        for series in self.series:
            if series.type != type_ and series.type != NO_TYPE:
                return False
        return True

    cdef int _write_doubles(self, int64_t timestamp, const double[:] values) except -1:
        cdef Coalescer coalescer = self.intake._coalescer
        cdef Py_ssize_t i
        cdef Series series
        cdef Value value
        if self.intake.on_missing == ERROR:
            self._refuse_missing(np.asarray(values)[np.newaxis])
        for i in range(values.shape[0]):
            if values[i] != values[i] and self.intake.on_missing == DROP:
                continue
            series = <Series>self.series[i]
            series.type = FLOAT
            value.real = values[i]
            append_sample(coalescer, series, timestamp, value)
        return coalescer.tell()

    cdef int _write_integers(self, int64_t timestamp, const int64_t[:] values) except -1:
        cdef Coalescer coalescer = self.intake._coalescer
        cdef Py_ssize_t i
        cdef Series series
        cdef Value value
        for i in range(values.shape[0]):
            series = <Series>self.series[i]
            series.type = INTEGER
            value.integer = values[i]
            append_sample(coalescer, series, timestamp, value)
        return coalescer.tell()

    def _timestamps(self, timestamps):
        # as int64 in the database's precision
        rules = replace(self.intake._rules, on_missing="keep")
        column = point_column(self.names[0], timestamps, np.zeros(len(timestamps)), rules)
        return column.plain()[0]

    def _columns(self, values):
        # The values of each series, in the type that it has already.
        kinds = {"f": FLOAT, "i": INTEGER}
        if self._takes(kinds[values.dtype.kind]):
            return values.T
        return [self._fitted(series, values[:, i]) for i, series in enumerate(self.series)]

    def _fitted(self, Series series, values):
        cdef str type_ = self.intake._coalescer.type_of(series)
        if type_ is None or type_ == ("float" if values.dtype.kind == "f" else "integer"):
            return values
        if type_ == "float" and np.abs(values).max() <= EXACT_INTEGERS:
            return values.astype(np.float64)
        if type_ == "string" or not self.intake._casts:
            raise ColumnError(
                f"the series is of type {type_}, the values are {values.dtype}", series=series.name
            )
        return cast_values(series.name, values, type_)

    def _refuse_missing(self, values):
        missing = np.isnan(values)
        if missing.any():
            row, place = np.argwhere(missing)[0].tolist()
            raise ColumnError(
                "the value is missing (NaN) and on_missing is 'error'",
                series=self.names[place], index=row if len(values) > 1 else place,
            )

    cdef bint _reserve(self, Py_ssize_t points) except -1:
        # Make place for so many points of each series; tell whether it had to wait.
        cdef Coalescer coalescer = self.intake._coalescer
        cdef Py_ssize_t need = 0
        cdef Series series
        for series in self.series:
            if free_places(series) < points:
                need += chunk_bytes(points)
        if wait_for_room(coalescer, need):
            return True
        for series in self.series:
            coalescer.reserve(series, points)
        return False

    def _extend_doubles(self, Series series, const int64_t[:] timestamps, const double[:] values):
        cdef Coalescer coalescer = self.intake._coalescer
        cdef bint drops = self.intake.on_missing == DROP
        cdef Py_ssize_t i
        cdef Value value
        series.type = FLOAT
        for i in range(values.shape[0]):
            value.real = values[i]
            if not (drops and value.real != value.real):
                append_sample(coalescer, series, timestamps[i], value)

    def _extend_integers(
        self, Series series, const int64_t[:] timestamps, const int64_t[:] values
    ):
        cdef Coalescer coalescer = self.intake._coalescer
        cdef Py_ssize_t i
        cdef Value value
        series.type = INTEGER
        for i in range(values.shape[0]):
            value.integer = values[i]
            append_sample(coalescer, series, timestamps[i], value)
