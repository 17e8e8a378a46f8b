"""Encode columns of points into the payload of an insert package.

A column is checked and written in blocks, straight from the caller's memory, without the GIL where
it is long. Points out of order are sorted first (stable), because the server's insertion sort
takes time that grows with the square. Knows nothing of packages' headers, of sockets, or of what
arrays a caller may give: ``siridb_fast.columns`` turns those into what is taken here.
"""

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint64_t
from libc.string cimport memcpy

from siridb_fast._arrays cimport (
    BLOCK, FLOAT64, INT64, UINT64, Array, Kind, is_float, read_doubles, read_ints,
)
from siridb_fast._buffer cimport PackageBuffer
from siridb_fast._qpack cimport pack_raw
from siridb_fast._records cimport MAX_RECORD, SLACK, Block, Seen, put_block, put_timestamp, see
from siridb_fast._wire cimport MAX_RAW_HEADER, QP_ARRAY_CLOSE, QP_ARRAY_OPEN, put_raw_header

import numpy as np

from siridb_fast.errors import ColumnError

cdef enum:
    NOGIL_POINTS = 4096  # shorter columns are done before another thread could use the time
    # what stands for a timestamp that cannot be scaled
    OUT_OF_RANGE = -1
    INEXACT = -2


cdef struct Stage:
    int64_t[BLOCK] timestamps
    int64_t[BLOCK] integers
    double[BLOCK] doubles


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
        """Look at every point; return how many would be written.

        Raises:
            ColumnError: The first point that cannot be sent; names series and index.
        """
        cdef Cursor cursor
        self._write(None, 0, &cursor, self.size)
        return cursor.points

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

    def append_to(self, PackageBuffer buffer not None, Py_ssize_t start, Py_ssize_t stop) -> int:
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
        if cursor.seen.disorder < 0:
            return self._sorted(start, stop).append_to(buffer, 0, stop - start)
        return cursor.points

    cdef int _write(
        self, PackageBuffer buffer, Py_ssize_t start, Cursor* cursor, Py_ssize_t stop
    ) except -1:
        cdef Points* points = &self.points
        cdef unsigned char* begin = NULL
        cursor.p = NULL
        cursor.points = 0
        cursor.seen = Seen(bits=0, disorder=0, last=0)
        cursor.fault = NO_FAULT
        if buffer is not None:
            begin = buffer.reserve(self._bound(start, stop))
            begin[0] = QP_ARRAY_OPEN
            cursor.p = begin + 1
        if points.has_text:
            _write_texts(points, self.texts, start, stop, cursor)
        elif stop - start < NOGIL_POINTS:
            _write_numbers(points, start, stop, cursor)
        else:
            with nogil:
                _write_numbers(points, start, stop, cursor)
        if cursor.fault != NO_FAULT:
            cursor.points = 0
            raise self._error(cursor.fault, cursor.index)
        if buffer is not None:
            cursor.p[0] = QP_ARRAY_CLOSE
            buffer.size += cursor.p + 1 - begin
        return 0

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
        timestamps = self.timestamps[start:stop]
        order = np.argsort(timestamps, kind="stable")
        if self.points.has_text:
            values = [self.texts[start + i] for i in order.tolist()]
        else:
            values = self.values[start:stop][order]
        return PointColumn(
            self.name, self.raw_name, timestamps[order], values,
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


# ---- checking and writing, block by block


cdef void _write_numbers(
    const Points* points, Py_ssize_t start, Py_ssize_t stop, Cursor* cursor
) noexcept nogil:
    cdef Stage stage
    cdef Block block
    while start < stop:
        block.first = start
        block.n = block.given = min(<Py_ssize_t>BLOCK, stop - start)
        start += block.n
        _read_values(points, &stage, &block)
        _read_timestamps(points, &stage, &block)
        _check_values(points, &block, cursor)
        if points.rules.on_missing == DROP:
            _drop_missing(points, &stage, &block)
        if cursor.p == NULL:
            _see_block(&block, &cursor.seen)
        else:
            cursor.p = put_block(cursor.p, points.has_floats, &block, &cursor.seen)
        if cursor.seen.bits & ~points.rules.timestamp_bits:
            _blame_timestamp(points, &stage, &block, cursor)
        if cursor.fault != NO_FAULT:
            return
        cursor.points += block.n


cdef int _write_texts(
    const Points* points, list texts, Py_ssize_t start, Py_ssize_t stop, Cursor* cursor
) except -1:
    cdef bint drops = points.rules.on_missing == DROP
    cdef Stage stage
    cdef Block block
    cdef Py_ssize_t i, length
    while start < stop and cursor.fault == NO_FAULT:
        block.first = start
        block.n = block.given = min(<Py_ssize_t>BLOCK, stop - start)
        start += block.n
        _read_timestamps(points, &stage, &block)
        for i in range(block.n):
            text = texts[block.first + i]
            if text is None or (drops and _is_missing(points, &block, i)):
                continue
            see(&cursor.seen, block.timestamps[i])
            if <uint64_t>block.timestamps[i] & ~points.rules.timestamp_bits:
                _blame(
                    _timestamp_fault(&points.rules, block.timestamps[i]), block.first + i, cursor
                )
            cursor.points += 1
            if cursor.p != NULL:
                length = PyBytes_GET_SIZE(text)
                cursor.p = put_timestamp(cursor.p, block.timestamps[i], True)
                cursor.p = put_raw_header(cursor.p, length)
                memcpy(cursor.p, PyBytes_AS_STRING(text), length)
                cursor.p += length
    return 0


cdef void _read_values(const Points* points, Stage* stage, Block* block) noexcept nogil:
    cdef const Array* values = &points.values
    if points.has_floats:
        block.doubles = stage.doubles
        if values.is_plain:
            block.doubles = <const double*>(values.data + block.first * 8)
        else:
            read_doubles(values, block.first, block.n, stage.doubles)
        return
    block.integers = stage.integers
    if values.is_plain:
        block.integers = <const int64_t*>(values.data + block.first * 8)
    else:
        read_ints(values, block.first, block.n, stage.integers)


cdef void _read_timestamps(const Points* points, Stage* stage, Block* block) noexcept nogil:
    cdef const Array* timestamps = &points.timestamps
    cdef const Rules* rules = &points.rules
    cdef int64_t highest = INT64_MAX // rules.numerator
    cdef Py_ssize_t i
    if timestamps.is_plain and not _is_scaled(rules):
        block.timestamps = <const int64_t*>(timestamps.data + block.first * 8)
        return
    block.timestamps = stage.timestamps
    read_ints(timestamps, block.first, block.n, stage.timestamps)
    if _is_scaled(rules):
        for i in range(block.n):
            stage.timestamps[i] = _scale(rules, stage.timestamps[i], highest)


cdef inline bint _is_scaled(const Rules* rules) noexcept nogil:
    return rules.numerator != 1 or rules.denominator != 1


cdef inline int64_t _scale(const Rules* rules, int64_t given, int64_t highest) noexcept nogil:
    # Negative, so that it shows in the bits seen, for what cannot be sent; NaT stays NaT.
    cdef int64_t scaled
    if given == INT64_MIN and rules.is_datetime:
        return given
    if given < 0 or given > highest:
        return OUT_OF_RANGE
    given *= rules.numerator
    if rules.denominator == 1:
        return given
    scaled = given // rules.denominator
    return scaled if rules.floors or scaled * rules.denominator == given else INEXACT


cdef inline Fault _timestamp_fault(const Rules* rules, int64_t timestamp) noexcept nogil:
    # of a timestamp that has bits which it may not have
    if rules.is_datetime and timestamp == INT64_MIN:
        return TIMESTAMP_MISSING
    if _is_scaled(rules) and timestamp == INEXACT:
        return TIMESTAMP_INEXACT
    return TIMESTAMP_RANGE


cdef void _blame(Fault fault, Py_ssize_t index, Cursor* cursor) noexcept nogil:
    # Of two faults in a block, that of the earlier point counts.
    if cursor.fault == NO_FAULT or index < cursor.index:
        cursor.fault = fault
        cursor.index = index


cdef void _blame_timestamp(
    const Points* points, Stage* stage, Block* block, Cursor* cursor
) noexcept nogil:
    # Read the block again, values too, for the missing points may have been dropped from it.
    cdef const Rules* rules = &points.rules
    cdef Py_ssize_t i
    block.n = block.given
    _read_values(points, stage, block)
    _read_timestamps(points, stage, block)
    for i in range(block.n):
        if <uint64_t>block.timestamps[i] & ~rules.timestamp_bits:
            if rules.on_missing == DROP and _is_missing(points, block, i):
                continue
            _blame(_timestamp_fault(rules, block.timestamps[i]), block.first + i, cursor)
            return


cdef void _check_values(const Points* points, const Block* block, Cursor* cursor) noexcept nogil:
    if points.has_floats:
        if points.rules.on_missing == ERROR:
            _refuse_missing(block, cursor)
    elif points.values.kind == UINT64:
        _refuse_negative(points, block, cursor)


cdef void _refuse_missing(const Block* block, Cursor* cursor) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(block.n):
        if block.doubles[i] != block.doubles[i]:
            _blame(VALUE_MISSING, block.first + i, cursor)
            return


cdef void _refuse_negative(
    const Points* points, const Block* block, Cursor* cursor
) noexcept nogil:
    # of a uint64 array read as int64
    cdef Py_ssize_t i
    for i in range(block.n):
        if block.integers[i] < 0:
            if points.rules.on_missing == DROP and _is_missing(points, block, i):
                continue
            _blame(VALUE_RANGE, block.first + i, cursor)
            return


cdef void _drop_missing(const Points* points, Stage* stage, Block* block) noexcept nogil:
    cdef Py_ssize_t i, kept = 0
    cdef bint missing = False
    for i in range(block.n):
        missing |= _is_missing(points, block, i)
    if not missing:
        return
    for i in range(block.n):
        missing = _is_missing(points, block, i)
        stage.timestamps[kept] = block.timestamps[i]
        if points.has_floats:
            stage.doubles[kept] = block.doubles[i]
        else:
            stage.integers[kept] = block.integers[i]
        kept += not missing
    block.timestamps = stage.timestamps
    block.doubles = stage.doubles
    block.integers = stage.integers
    block.n = kept


cdef inline bint _is_missing(
    const Points* points, const Block* block, Py_ssize_t i
) noexcept nogil:
    if points.rules.is_datetime and block.timestamps[i] == INT64_MIN:
        return True
    return points.has_floats and block.doubles[i] != block.doubles[i]


cdef void _see_block(const Block* block, Seen* seen) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(block.n):
        see(seen, block.timestamps[i])
