"""Read points from arrays, check them and write them, a block at a time.

A block is read into the stack unless it can be used where it lies, checked once, and written by
the kernel that ``_records`` chooses. The first point that cannot be sent ends the reading; the
cursor says which it was and why. Makes no Python object of a number and raises nothing.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.columns._arrays cimport BLOCK, UINT64, Array, read_doubles, read_ints
from siridb_fast.columns._records cimport Block, Seen, put_block, put_timestamp, see
from siridb_fast.protocol._wire cimport put_raw_header

cdef enum:
    # what stands for a timestamp that cannot be scaled
    OUT_OF_RANGE = -1
    INEXACT = -2


cdef struct Stage:
    int64_t[BLOCK] timestamps
    int64_t[BLOCK] integers
    double[BLOCK] doubles


cdef void write_numbers(
    const Points* points, Py_ssize_t start, Py_ssize_t stop, Cursor* cursor
) noexcept nogil:
    cdef Stage stage
    cdef Block block
    while start < stop and cursor.fault == NO_FAULT:
        start = _read_block(points, start, stop, &stage, &block, cursor)
        if cursor.p == NULL:
            _see_block(&block, &cursor.seen)
        else:
            cursor.p = put_block(cursor.p, points.has_floats, &block, &cursor.seen)
        _end_block(points, &stage, &block, cursor)


cdef void copy_numbers(
    const Points* points, Py_ssize_t stop, int64_t* timestamps, int64_t* values, Cursor* cursor
) noexcept nogil:
    # From the first point on. Doubles are copied by their bits.
    cdef Stage stage
    cdef Block block
    cdef Py_ssize_t start = 0
    while start < stop and cursor.fault == NO_FAULT:
        start = _read_block(points, start, stop, &stage, &block, cursor)
        _see_block(&block, &cursor.seen)
        memcpy(timestamps + cursor.points, block.timestamps, block.n * 8)
        memcpy(
            values + cursor.points,
            <const void*>block.doubles if points.has_floats else <const void*>block.integers,
            block.n * 8,
        )
        _end_block(points, &stage, &block, cursor)


cdef int write_texts(
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


cdef Py_ssize_t _read_block(
    const Points* points, Py_ssize_t start, Py_ssize_t stop, Stage* stage, Block* block,
    Cursor* cursor,
) noexcept nogil:
    # The values of the next block are checked and the missing ones left out; returns its end.
    block.first = start
    block.n = block.given = min(<Py_ssize_t>BLOCK, stop - start)
    _read_values(points, stage, block)
    _read_timestamps(points, stage, block)
    _check_values(points, block, cursor)
    if points.rules.on_missing == DROP:
        _drop_missing(points, stage, block)
    return start + block.given


cdef void _end_block(
    const Points* points, Stage* stage, Block* block, Cursor* cursor
) noexcept nogil:
    cursor.points += block.n
    if cursor.seen.bits & ~points.rules.timestamp_bits:
        _blame_timestamp(points, stage, block, cursor)


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
    if timestamps.is_plain and not is_scaled(rules):
        block.timestamps = <const int64_t*>(timestamps.data + block.first * 8)
        return
    block.timestamps = stage.timestamps
    read_ints(timestamps, block.first, block.n, stage.timestamps)
    if is_scaled(rules):
        for i in range(block.n):
            stage.timestamps[i] = _scale(rules, stage.timestamps[i], highest)


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
    if is_scaled(rules) and timestamp == INEXACT:
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
    cdef Py_ssize_t i, n = 0
    cdef bint missing = False
    for i in range(block.n):
        missing |= _is_missing(points, block, i)
    if not missing:
        return
    for i in range(block.n):
        missing = _is_missing(points, block, i)
        stage.timestamps[n] = block.timestamps[i]
        if points.has_floats:
            stage.doubles[n] = block.doubles[i]
        else:
            stage.integers[n] = block.integers[i]
        n += not missing
    block.timestamps = stage.timestamps
    block.doubles = stage.doubles
    block.integers = stage.integers
    block.n = n


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
