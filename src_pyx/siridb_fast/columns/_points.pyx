"""Encode columns of points into the payload of an insert package.

A column is checked and written in blocks, straight from the caller's memory, without the GIL where
it is long. Points out of order are sorted first (stable), because the server's insertion sort
takes time that grows with the square. Knows nothing of packages' headers, of sockets, or of what
arrays a caller may give: ``siridb_fast.columns.column`` turns those into what is taken here.
"""

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, int64_t, uint64_t

from siridb_fast.columns._arrays cimport FLOAT64, INT64, Array, Kind, is_float
from siridb_fast.columns._blocks cimport (
    KEEP, NO_FAULT, TIMESTAMP_INEXACT, TIMESTAMP_MISSING, TIMESTAMP_RANGE, VALUE_RANGE, Cursor,
    Fault, OnMissing, Points, Rules, copy_numbers, is_scaled, write_numbers, write_texts,
)
from siridb_fast.protocol._buffer cimport PayloadBuffer
from siridb_fast.protocol._qpack cimport pack_raw
from siridb_fast.columns._records cimport MAX_RECORD, SLACK, Seen, get_timestamp
from siridb_fast.protocol._wire cimport MAX_RAW_HEADER, QP_ARRAY_CLOSE, QP_ARRAY_OPEN

from itertools import compress

import numpy as np

from siridb_fast.errors import ColumnError

cdef enum:
    NOGIL_POINTS = 4096  # shorter columns are done before another thread could use the time
    FEW_POINTS = 8  # to look at, for those of the last timestamp


cdef class PointColumn:
    """One series' points: (timestamps, values) as two arrays of one length.

    ``timestamps`` is an integer array, ``values`` an integer, float or bool array or a list of
    bytes, with None for a text that is missing. ``numerator`` / ``denominator`` turn a timestamp
    into the database's unit. The arrays are borrowed for the life of the column and must not
    change meanwhile.
    """

    def __cinit__(
        self, str name, bytes raw_name, timestamps, values, Kind timestamp_kind, Kind value_kind,
        bint timestamps_swapped=False, bint values_swapped=False, **options,
    ):
        cdef Points* points = &self.points
        self.name = name
        self.raw_name = raw_name
        self.timestamps = timestamps
        self.values = values
        self.options = options
        self.size = len(timestamps)
        self._set_rules(**options)
        _borrow(timestamps, &self.timestamps_view)
        _describe(&self.timestamps_view, timestamp_kind, timestamps_swapped, &points.timestamps)
        points.has_text = isinstance(values, list)
        if points.has_text:
            self.texts = values
            self.type = "string"
            return
        _borrow(values, &self.values_view)
        _describe(&self.values_view, value_kind, values_swapped, &points.values)
        points.has_floats = is_float(value_kind)
        self.type = "float" if points.has_floats else "integer"

    def __dealloc__(self):
        PyBuffer_Release(&self.timestamps_view)
        PyBuffer_Release(&self.values_view)

    def __len__(self):
        return self.size

    def _set_rules(
        self, *, shown_timestamps, shown_values, int64_t numerator=1, int64_t denominator=1,
        int timestamp_bits=63, bint is_datetime=False, bint floors=False,
        OnMissing on_missing=KEEP,
    ):
        cdef Rules* rules = &self.points.rules
        self.shown_timestamps = shown_timestamps
        self.shown_values = shown_values
        rules.numerator = numerator
        rules.denominator = denominator
        rules.timestamp_bits = (<uint64_t>1 << timestamp_bits) - 1
        rules.is_datetime = is_datetime
        rules.floors = floors
        rules.on_missing = on_missing

    def check(self) -> int:
        """Check every point; return how many would be written.

        Raises:
            ColumnError: The first point that cannot be sent; names series and index.
        """
        cdef Cursor cursor
        self._write(None, 0, &cursor, self.size)
        return cursor.points

    def plain(self) -> tuple:
        """Return (timestamps, values) as they would be written, without what is missing.

        Timestamps are an int64 array in the database's unit; values an int64 or float64 array, or
        a list of bytes. Arrays that are so already are returned as they are.

        Raises:
            ColumnError: The first point that cannot be sent; names series and index.
        """
        cdef Points* points = &self.points
        cdef Cursor cursor
        cdef int64_t[::1] timestamps
        cdef int64_t[::1] bits
        if points.has_text:
            return self._plain_texts()
        if points.timestamps.is_plain and points.values.is_plain and not is_scaled(&points.rules):
            if self.check() == self.size:
                return self.timestamps, self.values
        timestamps = np.empty(self.size, np.int64)
        bits = np.empty(self.size, np.int64)
        _start(&cursor)
        if self.size:
            copy_numbers(points, self.size, &timestamps[0], &bits[0], &cursor)
        self._raise(&cursor)
        values = np.asarray(bits)[:cursor.points]
        return (
            np.asarray(timestamps)[:cursor.points],
            values.view(np.float64) if points.has_floats else values,
        )

    def fit(self, Py_ssize_t start, Py_ssize_t budget) -> int:
        """Return where to stop so that the points from ``start`` on take ``budget`` bytes at most.
        """
        cdef Py_ssize_t stop = start
        budget -= self._overhead()
        if not self.points.has_text:
            return min(self.size, start + max(0, budget) // MAX_RECORD)
        while stop < self.size:
            budget -= MAX_RECORD + _text_size(self.texts[stop])
            if budget < 0:
                break
            stop += 1
        return stop

    @property
    def max_bytes(self) -> int:
        """What the series takes in a package at most."""
        return self._overhead() + self._bound(0, self.size)

    def append_to(self, PayloadBuffer buffer not None, Py_ssize_t start, Py_ssize_t stop) -> int:
        """Write the points from ``start`` to ``stop`` as one series; return how many were written.

        Nothing is written if all of them are left out as missing, or at an error.

        Raises:
            ColumnError: The first point that cannot be sent; names series and index.
        """
        cdef size_t mark = buffer.size
        cdef Cursor cursor
        if not 0 <= start <= stop <= self.size:
            raise IndexError(f"points {start} to {stop} of {self.size}")
        cursor.points = 0
        cursor.seen.disorder = 0
        try:
            pack_raw(buffer, PyBytes_AS_STRING(self.raw_name), PyBytes_GET_SIZE(self.raw_name))
            self._write(buffer, start, &cursor, stop)
        finally:
            if cursor.points == 0 or cursor.seen.disorder < 0:
                buffer.size = mark
        self.sorted_run = self._sorted(start, stop) if cursor.seen.disorder < 0 else None
        if self.sorted_run is not None:
            self.sorted_run.append_to(buffer, 0, stop - start)
            self.first_sent, self.last_sent = self.sorted_run.first_sent, self.sorted_run.last_sent
        else:
            self.last_sent = cursor.seen.last
        return cursor.points

    def newest_sent(self, Py_ssize_t start, Py_ssize_t stop):
        """Return the values of the last timestamp of what `append_to` wrote last, given the same.

        They are as `plain` returns them.
        """
        cdef PointColumn run = self if self.sorted_run is None else self.sorted_run
        cdef Py_ssize_t n = FEW_POINTS, first
        if run is not self:
            start, stop = 0, stop - start
        while True:
            first = max(start, stop - n)
            timestamps, values = run._part(slice(first, stop)).plain()
            newest = timestamps == self.last_sent
            if first == start or not newest.all():
                break
            n *= 8
        is_list = isinstance(values, list)
        return list(compress(values, newest.tolist())) if is_list else values[newest]

    cdef int _write(
        self, PayloadBuffer buffer, Py_ssize_t start, Cursor* cursor, Py_ssize_t stop
    ) except -1:
        cdef Points* points = &self.points
        cdef unsigned char* begin = NULL
        _start(cursor)
        if buffer is not None:
            begin = buffer.reserve(self._bound(start, stop))
            begin[0] = QP_ARRAY_OPEN
            cursor.p = begin + 1
        if points.has_text:
            write_texts(points, self.texts, start, stop, cursor)
        elif stop - start < NOGIL_POINTS:
            write_numbers(points, start, stop, cursor)
        else:
            with nogil:
                write_numbers(points, start, stop, cursor)
        self._raise(cursor)
        if buffer is not None:
            cursor.p[0] = QP_ARRAY_CLOSE
            buffer.size += cursor.p + 1 - begin
            self.first_sent = get_timestamp(begin + 1)
        return 0

    cdef int _raise(self, Cursor* cursor) except -1:
        if cursor.fault != NO_FAULT:
            cursor.points = 0
            raise self._error(cursor.fault, cursor.index)
        return 0

    def _plain_texts(self) -> tuple:
        # The indices of the texts travel as values, to say which of them are left. The timestamp
        # of one that is missing does not matter.
        is_there = np.array([text is not None for text in self.texts], bool)
        given = self.timestamps.copy()
        given[~is_there] = 0
        numbered = PointColumn(
            self.name, self.raw_name, given, np.arange(self.size),
            self.points.timestamps.kind, INT64, self.points.timestamps.is_swapped, False,
            **self.options,
        )
        timestamps, indices = numbered.plain()
        is_left = is_there[indices]
        texts = [self.texts[i] for i in indices.tolist()]
        return timestamps[is_left], [text for text in texts if text is not None]

    cdef Py_ssize_t _overhead(self):
        # the bytes around the points
        return MAX_RAW_HEADER + PyBytes_GET_SIZE(self.raw_name) + 2 + SLACK

    cdef size_t _bound(self, Py_ssize_t start, Py_ssize_t stop):
        # No record of numbers is longer than MAX_RECORD; the kernels write SLACK bytes too far.
        cdef size_t bound = 2 + SLACK + <size_t>(stop - start) * MAX_RECORD
        cdef Py_ssize_t i
        if self.points.has_text:
            for i in range(start, stop):
                bound += _text_size(self.texts[i])
        return bound

    def _sorted(self, Py_ssize_t start, Py_ssize_t stop) -> PointColumn:
        # A copy of these points by timestamp; equal timestamps stay in the order given.
        order = np.argsort(self.timestamps[start:stop], kind="stable")
        return self._part(order + start if start else order)

    def _part(self, which) -> PointColumn:
        # A column of some of the points, by a slice or an array of indices.
        if not self.points.has_text or isinstance(which, slice):
            values = self.values[which]
        else:
            values = [self.texts[i] for i in which.tolist()]
        return PointColumn(
            self.name, self.raw_name, self.timestamps[which], values,
            self.points.timestamps.kind, self.points.values.kind,
            self.points.timestamps.is_swapped, self.points.values.is_swapped, **self.options,
        )

    def _error(self, Fault fault, Py_ssize_t index) -> ColumnError:
        timestamp = self.shown_timestamps[index]
        highest = self.points.rules.timestamp_bits
        if fault == TIMESTAMP_RANGE:
            text = f"timestamp {timestamp} is not in 0..{highest} of the database's time precision"
        elif fault == TIMESTAMP_INEXACT:
            text = (
                f"timestamp {timestamp} is finer than the database's time precision; "
                "on_precision_loss='floor' would cut it"
            )
        elif fault == TIMESTAMP_MISSING:
            text = "the timestamp is missing (NaT); on_missing='drop' would leave the point out"
        elif fault == VALUE_RANGE:
            text = f"value {self.shown_values[index]} is over {INT64_MAX}, the largest integer"
        else:
            text = "the value is missing (NaN) and on_missing is 'error'"
        return ColumnError(text, series=self.name, index=index)


cdef inline void _start(Cursor* cursor) noexcept:
    cursor.p = NULL
    cursor.points = 0
    cursor.seen = Seen(bits=0, disorder=0, last=0)
    cursor.fault = NO_FAULT


cdef inline size_t _text_size(object text) noexcept:
    # at most, of what comes on top of MAX_RECORD
    return 0 if text is None else <size_t>PyBytes_GET_SIZE(text)


cdef int _borrow(object array, Py_buffer* view) except -1:
    PyObject_GetBuffer(array, view, PyBUF_STRIDES)
    return 0


cdef void _describe(Py_buffer* view, Kind kind, bint is_swapped, Array* array) noexcept:
    array.data = <const char*>view.buf
    array.stride = view.strides[0]
    array.kind = kind
    array.is_swapped = is_swapped
    array.is_plain = (
        (kind == INT64 or kind == FLOAT64) and not is_swapped and array.stride == 8
        and <size_t>array.data % 8 == 0
    )
