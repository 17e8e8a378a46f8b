"""Decode the answer of a select straight into arrays.

Such an answer is an open map, never closed: name, then an array of [timestamp, value] pairs. Each
series is walked twice: once to count its points and see of what type they are, once to fill arrays
of just that size. No object is made for a number, and no length is believed before it is checked.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.protocol._wire cimport (
    QP_ARRAY0, QP_ARRAY2, QP_ARRAY_CLOSE, QP_ARRAY_OPEN, QP_DOUBLE, QP_DOUBLE_0, QP_DOUBLE_1,
    QP_DOUBLE_N1, QP_HOOK, QP_INT8, QP_INT32, QP_INT64, QP_MAP0, QP_MAP_CLOSE, QP_MAP_OPEN,
    QP_RAW, QP_RAW8, QP_RAW64, QP_TRUE,
)

import numpy as np

from siridb_fast.errors import UnpackError

cdef enum:
    FULL_RECORD = 19      # EF EB <int64> EC <double>: what most answers are made of
    NOGIL_BYTES = 65_536
    OPEN = -1             # an array or map without a length: ends with its close or the bytes
    TAIL = 2 * FULL_RECORD  # the last record is read from a copy, so that whole words may be read
    # what a value is
    IS_INTEGER = 1
    IS_DOUBLE = 2
    IS_RAW = 4


# How a type code goes on. Numbers wider than the code are read as whole words and cut by shifts,
# so that mixed widths cost no branch.
cdef struct Form:
    uint8_t type   # IS_INTEGER, IS_DOUBLE, IS_RAW, or 0 for what no point holds
    uint8_t size   # of a number, or of the length before a raw value, with the code
    uint8_t shift  # that leaves the bits of a wider integer
    int8_t small   # the number itself where the code is all

cdef Form[256] FORMS
_fill_forms()


cdef struct Reader:
    const unsigned char* start
    const unsigned char* p     # the next byte to read
    const unsigned char* end


cdef struct Shape:
    Py_ssize_t points
    int types                  # IS_INTEGER, IS_DOUBLE and IS_RAW, of all values
    const unsigned char* p     # behind the array
    bint is_valid              # else `p` is where it is not an array of points


def decode_points(payload) -> dict:
    """Return ``{name: (timestamps, values)}`` of a select's answer.

    Args:
        payload: The answer's payload, any contiguous bytes-like object.

    Returns:
        For each series ``timestamps`` as int64 of shape (n,), in the database's precision, and
        ``values`` of shape (n,): int64, float64, or object (str) by the series' type. A text that
        is not UTF-8 comes as bytes. What ``timeit`` adds under ``__timeit__`` is left out.

    Raises:
        UnpackError: The payload is damaged, or an answer without points, such as that of a list.
    """
    cdef Py_buffer view
    cdef Reader reader
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        reader.start = reader.p = <const unsigned char*>view.buf
        reader.end = reader.p + view.len
        return _read_answer(&reader)
    finally:
        PyBuffer_Release(&view)


cdef dict _read_answer(Reader* reader):
    cdef dict answer = {}
    cdef int left
    if reader.p >= reader.end:
        raise _fault(reader, "the answer is empty")
    if reader.p[0] == QP_MAP_OPEN:
        left = OPEN
    elif QP_MAP0 <= reader.p[0] < QP_TRUE:
        left = reader.p[0] - QP_MAP0
    else:
        raise _fault(reader, f"an answer is a map, got type code {reader.p[0]}")
    reader.p += 1
    while left > 0 or (left == OPEN and not _is_at_close(reader)):
        name = _read_text(reader)
        if name == "__timeit__":
            return answer
        answer[name] = _read_series(reader, name)
        left -= left > 0
    reader.p += left == OPEN and reader.p < reader.end
    if reader.p != reader.end:
        raise _fault(reader, f"{reader.end - reader.p} bytes after the answer")
    return answer


cdef bint _is_at_close(Reader* reader) noexcept:
    return reader.p >= reader.end or reader.p[0] == QP_MAP_CLOSE


cdef tuple _read_series(Reader* reader, object name):
    cdef Shape shape
    cdef int64_t[::1] timestamps
    _measure(reader, &shape)
    if not shape.is_valid:
        reader.p = shape.p
        raise _fault(reader, f"{name!r} holds no [timestamp, value] points: no answer of a select")
    times = np.empty(shape.points, np.int64)
    timestamps = times
    reader.p += 1
    if shape.types == IS_DOUBLE:
        values = _fill_doubles(reader, timestamps)
    elif shape.types == IS_INTEGER or shape.types == 0:
        values = _fill_integers(reader, timestamps)
    else:
        values = _fill_objects(reader, timestamps)
    reader.p = shape.p
    return times, values


cdef object _fill_doubles(Reader* reader, int64_t[::1] timestamps):
    array = np.empty(timestamps.shape[0], np.float64)
    cdef double[::1] values = array
    cdef const unsigned char* p = reader.p
    if timestamps.shape[0]:
        with nogil:
            _copy_doubles(p, reader.end, &timestamps[0], &values[0], timestamps.shape[0])
    return array


cdef object _fill_integers(Reader* reader, int64_t[::1] timestamps):
    array = np.empty(timestamps.shape[0], np.int64)
    cdef int64_t[::1] values = array
    cdef const unsigned char* p = reader.p
    if timestamps.shape[0]:
        with nogil:
            _copy_integers(p, reader.end, &timestamps[0], &values[0], timestamps.shape[0])
    return array


cdef object _fill_objects(Reader* reader, int64_t[::1] timestamps):
    # texts; and numbers of both types, which no server is known to mix
    array = np.empty(timestamps.shape[0], object)
    cdef unsigned char[TAIL] tail
    cdef const unsigned char* p = reader.p
    cdef const unsigned char* word
    cdef Py_ssize_t i
    for i in range(timestamps.shape[0]):
        p += 1
        word = _whole_words(p, reader.end, tail)
        timestamps[i] = _get_int(word)
        p += FORMS[p[0]].size
        if FORMS[p[0]].type == IS_RAW:
            reader.p = p
            array[i] = _read_text(reader)
            p = reader.p
            continue
        word = _whole_words(p, reader.end, tail)
        array[i] = _get_int(word) if FORMS[p[0]].type == IS_INTEGER else _get_double(word)
        p += FORMS[p[0]].size
    return array


# ---- first walk: nothing is believed


cdef void _measure(const Reader* reader, Shape* shape) noexcept:
    if reader.end - reader.p > NOGIL_BYTES:
        with nogil:
            _walk(reader.p, reader.end, shape)
    else:
        _walk(reader.p, reader.end, shape)


cdef void _walk(const unsigned char* p, const unsigned char* end, Shape* shape) noexcept nogil:
    cdef Py_ssize_t left
    cdef int head
    shape.points = 0
    shape.types = 0
    shape.is_valid = False
    shape.p = p
    if p >= end:
        return
    if p[0] == QP_ARRAY_OPEN:
        left = OPEN
    elif QP_ARRAY0 <= p[0] < QP_MAP0:
        left = p[0] - QP_ARRAY0
    else:
        return
    p += 1
    while left != 0 and p < end and p[0] != QP_ARRAY_CLOSE:
        head = _head_size(p) if end - p >= FULL_RECORD else 0
        if head and p[head] == QP_DOUBLE:
            shape.types |= IS_DOUBLE
            p += head + 9
        elif head and FORMS[p[head]].type & (IS_INTEGER | IS_DOUBLE):
            shape.types |= FORMS[p[head]].type
            p += head + FORMS[p[head]].size
        else:
            shape.p = p
            p = _walk_point(p, end, &shape.types)
            if p == NULL:
                return
        shape.points += 1
        left -= left > 0
    if left == OPEN and p < end:
        p += 1
    elif left > 0:
        return
    shape.p = p
    shape.is_valid = True


cdef inline int _head_size(const unsigned char* p) noexcept nogil:
    # of a point up to its value, where its timestamp is of a usual width; else 0
    if p[0] != QP_ARRAY2:
        return 0
    return 10 if p[1] == QP_INT64 else 6 if p[1] == QP_INT32 else 0


cdef const unsigned char* _walk_point(
    const unsigned char* p, const unsigned char* end, int* types
) noexcept nogil:
    # NULL if this is no point
    if p[0] != QP_ARRAY2 or end - p < 3 or FORMS[p[1]].type != IS_INTEGER:
        return NULL
    p = p + 10 if p[1] == QP_INT64 and end - p > 10 else _skip(p + 1, end)
    if p == NULL or p >= end or FORMS[p[0]].type == 0:
        return NULL
    types[0] |= FORMS[p[0]].type
    return _skip(p, end)


cdef inline const unsigned char* _skip(
    const unsigned char* p, const unsigned char* end
) noexcept nogil:
    # behind the number or raw value at p; NULL if it ends behind the end
    cdef uint64_t size = FORMS[p[0]].size
    cdef uint64_t length = 0
    if size > <uint64_t>(end - p):
        return NULL
    if FORMS[p[0]].type == IS_RAW:
        if size == 1:
            length = p[0] - QP_RAW
        else:
            memcpy(&length, p + 1, size - 1)
        if length > <uint64_t>(end - p) - size:
            return NULL
    return p + size + length


# ---- second walk: what the first has seen is there


cdef void _copy_doubles(
    const unsigned char* p, const unsigned char* end,
    int64_t* timestamps, double* values, Py_ssize_t n,
) noexcept nogil:
    cdef unsigned char[TAIL] tail
    cdef Py_ssize_t i
    for i in range(n):
        if end - p < FULL_RECORD:
            p = _whole_words(p, end, tail)
            end = tail + TAIL
        p = _get_timestamp(p, &timestamps[i])
        if p[0] == QP_DOUBLE:
            memcpy(&values[i], p + 1, 8)
            p += 9
        else:
            values[i] = FORMS[p[0]].small
            p += 1


cdef void _copy_integers(
    const unsigned char* p, const unsigned char* end,
    int64_t* timestamps, int64_t* values, Py_ssize_t n,
) noexcept nogil:
    cdef unsigned char[TAIL] tail
    cdef Py_ssize_t i
    for i in range(n):
        if end - p < FULL_RECORD:
            p = _whole_words(p, end, tail)
            end = tail + TAIL
        p = _get_timestamp(p, &timestamps[i])
        values[i] = _get_int(p)
        p += FORMS[p[0]].size


cdef inline const unsigned char* _get_timestamp(
    const unsigned char* p, int64_t* timestamp
) noexcept nogil:
    # The width hardly ever changes: a branch that is foreseen is faster than a look-up waited for.
    cdef int32_t narrow
    if p[1] == QP_INT64:
        memcpy(timestamp, p + 2, 8)
        return p + 10
    if p[1] == QP_INT32:
        memcpy(&narrow, p + 2, 4)
        timestamp[0] = narrow
        return p + 6
    timestamp[0] = _get_int(p + 1)
    return p + 1 + FORMS[p[1]].size


cdef inline const unsigned char* _whole_words(
    const unsigned char* p, const unsigned char* end, unsigned char* tail
) noexcept nogil:
    # p, or a copy of what is left there with room behind it
    if end - p >= FULL_RECORD:
        return p
    memcpy(tail, p, end - p)
    return tail


cdef inline int64_t _get_int(const unsigned char* p) noexcept nogil:
    cdef Form form = FORMS[p[0]]
    cdef uint64_t word
    memcpy(&word, p + 1, 8)
    word = <uint64_t>(<int64_t>(word << form.shift) >> form.shift)
    return form.small if form.size == 1 else <int64_t>word


cdef inline double _get_double(const unsigned char* p) noexcept nogil:
    cdef double value
    memcpy(&value, p + 1, 8)
    return value if p[0] == QP_DOUBLE else FORMS[p[0]].small


cdef object _read_text(Reader* reader):
    cdef const unsigned char* after
    cdef const char* text
    cdef Py_ssize_t length
    if reader.p >= reader.end or FORMS[reader.p[0]].type != IS_RAW:
        raise _fault(reader, "a name or a text is expected")
    after = _skip(reader.p, reader.end)
    if after == NULL:
        raise _fault(reader, "a text goes on behind the end of the answer")
    text = <const char*>reader.p + FORMS[reader.p[0]].size
    length = <const char*>after - text
    reader.p = after
    try:
        return PyUnicode_DecodeUTF8(text, length, NULL)
    except UnicodeDecodeError:
        return PyBytes_FromStringAndSize(text, length)


cdef object _fault(Reader* reader, str text):
    return UnpackError(text, reader.p - reader.start)


cdef void _fill_forms() noexcept:
    cdef int code
    for code in range(256):
        FORMS[code] = _form_of(code)


cdef Form _form_of(int code) noexcept:
    cdef int width
    if code < QP_HOOK:
        return Form(type=IS_INTEGER, size=1, shift=0, small=code if code < 64 else 63 - code)
    if QP_DOUBLE_N1 <= code <= QP_DOUBLE_1:
        return Form(type=IS_DOUBLE, size=1, shift=0, small=code - QP_DOUBLE_0)
    if QP_RAW <= code < QP_RAW8:
        return Form(type=IS_RAW, size=1, shift=0, small=0)
    if QP_RAW8 <= code <= QP_RAW64:
        return Form(type=IS_RAW, size=1 + (1 << (code - QP_RAW8)), shift=0, small=0)
    if QP_INT8 <= code <= QP_INT64:
        width = 1 << (code - QP_INT8)
        return Form(type=IS_INTEGER, size=1 + width, shift=64 - 8 * width, small=0)
    if code == QP_DOUBLE:
        return Form(type=IS_DOUBLE, size=9, shift=0, small=0)
    return Form(type=0, size=1, shift=0, small=0)
