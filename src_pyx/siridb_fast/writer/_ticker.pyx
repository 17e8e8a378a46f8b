"""One timestamp, and a value for each of many series, again and again.

A tick is checked whole, then room is made for all of it, then it is appended: it is taken
as a whole or not at all.
"""

cimport cython
from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from siridb_fast.columns._blocks cimport ERROR, KEEP
from siridb_fast.batching._coalescer cimport Coalescer, append_sample
from siridb_fast.writer._point_intake cimport (
    PointIntake, find_series, make_room_for_tick, timestamp_of, write_all,
)
from siridb_fast.batching._series cimport (
    FLOAT, INTEGER, NO_TYPE, STRING, Series, SeriesType, Value, chunk_bytes, free_slots,
    has_slot,
)

from dataclasses import replace

import numpy as np

from siridb_fast.batching.no_room import NoRoom

from siridb_fast.columns.casting import cast_values, is_exact_as_float
from siridb_fast.columns.column import is_array, one_dimension, point_column
from siridb_fast.errors import ColumnError
from siridb_fast.columns.scalars import plain_array

ARRAY = np.ndarray
FLOAT64, INT64 = np.dtype(np.float64), np.dtype(np.int64)
TYPES_OF_KINDS = {"f": FLOAT, "i": INTEGER}
TYPE_NAMES = {<int>INTEGER: "integer", <int>FLOAT: "float", <int>STRING: "string"}


@cython.final
cdef class Ticker:
    """Many series of a writer that always get a value together.

    Each call takes all of it or, when it raises, nothing.
    """

    def __cinit__(self, PointIntake intake not None, names):
        if isinstance(names, (str, bytes)):
            raise ColumnError(f"a ticker's names are a list of str, got {names!r}")
        self.intake = intake
        self.series = [find_series(intake, name) for name in names]
        self.series_names = tuple([series.name for series in self.series])
        self.shape = (len(self.series_names),)
        if len(set(self.series_names)) < len(self.series_names):
            twice = next(name for name in self.series_names if self.series_names.count(name) > 1)
            raise ColumnError("a ticker has every series once", series=twice)

    def __len__(self):
        return len(self.series_names)

    def __repr__(self):
        return f"<Ticker of {len(self.series_names):,} series>"

    @property
    def names(self) -> tuple:
        """Those of the series, in the order of the values."""
        return self.series_names

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
        cdef SeriesType type_ = plain_type(self, values)
        if type_ == NO_TYPE and is_array(values):
            values = plain_array(values, self.series_names, 1)
            type_ = TYPES_OF_KINDS.get(values.dtype.kind, NO_TYPE)
        elif type_ == NO_TYPE:
            values = _listed(values)
            if len(values) != len(self.series):
                raise ColumnError(
                    f"{len(values)} values for a ticker of {len(self.series)} series"
                )
        if not self.series or (type_ != NO_TYPE and write_numbers(self, timestamp, values, type_)):
            return
        if not isinstance(values, list):
            values = values.tolist()
        write_all(self.intake, self.series, timestamp, values)

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
        values = plain_array(values, self.series_names, 2)
        if not values.shape[1]:
            return
        stamps = plain_timestamps(self, timestamps)
        if len(stamps) != len(values):
            raise ColumnError(f"{len(stamps)} timestamps but {len(values)} rows of values")
        write_rows(self, stamps, values, present_mask(self, values))


cdef SeriesType plain_type(Ticker ticker, values) except? NO_TYPE:
    # The type of an array with nothing to convert or to check, as is most usual; else NO_TYPE.
    cdef SeriesType type_ = NO_TYPE
    if type(values) is ARRAY:
        dtype = values.dtype
        if dtype is FLOAT64:
            type_ = FLOAT
        elif dtype is INT64:
            type_ = INTEGER
    return type_ if type_ != NO_TYPE and values.shape == ticker.shape else NO_TYPE


cdef bint write_numbers(Ticker ticker, timestamp, values, SeriesType type_) except -1:
    # Take int64 or float64 of that type if it is that of all series; return whether it is.
    cdef int64_t stamp
    cdef Py_buffer view
    if type_ == FLOAT and ticker.intake.on_missing != KEEP and has_missing(ticker, values):
        return False
    stamp = timestamp_of(ticker.intake, ticker.series[0], timestamp)
    PyObject_GetBuffer(values, &view, PyBUF_STRIDES)
    try:
        try:
            if not make_room(ticker, type_):
                return False
        except NoRoom as exc:
            exc.give_up(ticker.series_names, [stamp] * len(ticker), values.tolist())
            return True
        append_tick(ticker, type_, stamp, <const char*>view.buf, view.strides[0])
    finally:
        PyBuffer_Release(&view)
    ticker.intake._coalescer.wake()
    return True


cdef bint make_room(Ticker ticker, SeriesType type_) except -1:
    # For one sample in each series; returns whether they are all of that type.
    cdef Coalescer coalescer = ticker.intake._coalescer
    cdef Series series
    cdef bint is_ready = False
    if coalescer.is_barred:
        coalescer.on_blocked(0)
    while not is_ready:
        is_ready = not coalescer.is_closed
        for series in ticker.series:
            if series.type != type_ and series.type != NO_TYPE:
                return False
            is_ready &= has_slot(series)
        if not is_ready:
            is_ready = not make_room_for_tick(coalescer, ticker.series, 0)
    return True


cdef int append_tick(
    Ticker ticker, SeriesType type_, int64_t timestamp, const char* bits, Py_ssize_t stride
) except -1:
    cdef Coalescer coalescer = ticker.intake._coalescer
    cdef Series series
    cdef Value value
    for series in ticker.series:
        series.type = type_
        memcpy(&value, bits, sizeof(Value))
        append_sample(coalescer, series, timestamp, value)
        bits += stride
    return 0


cdef bint has_missing(Ticker ticker, values) except -1:
    # that are not to be kept
    if ticker.intake.on_missing == KEEP or values.dtype.kind != "f":
        return False
    return bool(np.isnan(values).any())


cdef object present_mask(Ticker ticker, values):
    # Where there is a value; None if everywhere.
    if not has_missing(ticker, values):
        return None
    missing = np.isnan(values)
    if ticker.intake.on_missing == ERROR:
        row, index = np.argwhere(missing)[0].tolist()
        raise ColumnError(
            "the value is missing (NaN) and on_missing is 'error'",
            series=ticker.series_names[index], index=row,
        )
    return ~missing


cdef object plain_timestamps(Ticker ticker, timestamps):
    # as int64 in the database's precision
    rules = replace(ticker.intake._rules, on_missing="keep")
    timestamps = one_dimension(ticker.series_names[0], "timestamps", timestamps)
    column = point_column(ticker.series_names[0], timestamps, np.zeros(len(timestamps)), rules)
    return column.plain()[0]


cdef int write_rows(Ticker ticker, stamps, values, present) except -1:
    cdef Coalescer coalescer = ticker.intake._coalescer
    cdef const int64_t[:] timestamps = stamps
    cdef const int64_t[:, :] bits
    cdef const uint8_t[:, :] is_there = None if present is None else present.view(np.uint8)
    cdef Series series
    cdef Value value
    cdef Py_ssize_t i, k
    rows = len(values)
    counts = [rows] * len(ticker.series) if present is None else present.sum(axis=0).tolist()
    try:
        if coalescer.is_barred:
            coalescer.on_blocked(0)
        while True:
            types = types_of(ticker, values)
            bits = bits_in_types(ticker, values, present, types)
            if are_of_types(ticker, types) and not reserve(ticker, counts):
                break
    except NoRoom as exc:
        give_up_rows(ticker, exc, stamps, values, present)
        return 0
    for k in range(bits.shape[1]):
        series = <Series>ticker.series[k]
        for i in range(bits.shape[0]):
            if is_there is None or is_there[i, k]:
                series.type = <SeriesType>types[k]
                value.integer = bits[i, k]
                append_sample(coalescer, series, timestamps[i], value)
    return coalescer.wake()


cdef int give_up_rows(Ticker ticker, no_room, stamps, values, present) except -1:
    # Instead of taking them.
    for i, name in enumerate(ticker.series_names):
        there = slice(None) if present is None else present[:, i]
        times = stamps[there].tolist()
        no_room.give_up([name] * len(times), times, values[there, i].tolist())
    return 0


cdef list types_of(Ticker ticker, values):
    # of the series; one without a type gets that of the values
    cdef SeriesType own = FLOAT if values.dtype.kind == "f" else INTEGER
    cdef Series series
    return [<int>(own if series.type == NO_TYPE else series.type) for series in ticker.series]


cdef bint are_of_types(Ticker ticker, list types) except -1:
    cdef Py_ssize_t i
    cdef Series series
    for i in range(len(types)):
        series = <Series>ticker.series[i]
        if series.type != <SeriesType>types[i] and series.type != NO_TYPE:
            return False
    return True


cdef object bits_in_types(Ticker ticker, values, present, types):
    # The values in the types of their series, by their bits.
    own = <int>(FLOAT if values.dtype.kind == "f" else INTEGER)
    if types == [own] * len(types):
        return values.view(np.int64)
    bits = np.empty(values.shape, np.int64)
    for i, type_ in enumerate(types):
        column = values[:, i]
        if type_ != own:
            there = column if present is None else np.where(present[:, i], column, 0)
            column = cast_column(ticker, ticker.series_names[i], there, type_)
        bits[:, i] = column.view(np.int64)
    return bits


cdef object cast_column(Ticker ticker, name, values, type_):
    if type_ == FLOAT and is_exact_as_float(values):
        return values.astype(np.float64)
    if type_ == STRING or not ticker.intake._casts:
        raise ColumnError(
            f"the series is of type {TYPE_NAMES[type_]}, the values are {values.dtype}",
            series=name,
        )
    return cast_values(name, values, TYPE_NAMES[type_])


cdef bint reserve(Ticker ticker, list counts) except -1:
    # For so many points of each series; returns whether it had to wait.
    cdef Coalescer coalescer = ticker.intake._coalescer
    cdef Py_ssize_t i, need = 0
    for i in range(len(counts)):
        if free_slots(<Series>ticker.series[i]) < <Py_ssize_t>counts[i]:
            need += chunk_bytes(counts[i])
    if coalescer.wait_for(need):
        return True
    for i in range(len(counts)):
        if <Py_ssize_t>counts[i] and coalescer.reserve(<Series>ticker.series[i], counts[i], 0):
            return True
    return False


def _listed(values) -> list:
    # A copy, so that nobody changes it meanwhile.
    if not isinstance(values, (str, bytes, bytearray, dict, set, frozenset)):
        try:
            return list(values)
        except TypeError:
            pass
    raise ColumnError(
        f"a tick is an array or a sequence of values, got {type(values).__name__}"
    )
