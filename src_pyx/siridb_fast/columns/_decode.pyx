"""Decode the answer of a select straight into arrays.

Such an answer is an open map, never closed: name, then an array of [timestamp, value] pairs. Each
series is walked twice: once to count its points and see of what type they are, once to fill arrays
of just that size (``_answer_points``).

A query that says ``timeit`` adds one more entry, the last one: its timing, an array of a map for
each server, under the name "__timeit__". A series may have that name too, and be in the same
answer. So the name tells nothing: an array that begins with a map is a timing, for no point is
one.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t

from siridb_fast.columns._answer_points cimport (
    FORMS, IS_DOUBLE, IS_INTEGER, IS_RAW, NO_ARRAY, OPEN, TAIL, Shape, array_length,
    copy_doubles, copy_integers, get_double, get_int, measure, skip, whole_words,
)
from siridb_fast.protocol._wire cimport (
    QP_ARRAY_CLOSE, QP_MAP0, QP_MAP_CLOSE, QP_MAP_OPEN, QP_TRUE,
)

import numpy as np

from siridb_fast.errors import UnpackError

cdef struct Reader:
    const unsigned char* start
    const unsigned char* p     # the next byte to read
    const unsigned char* end


def decode_points(payload) -> dict:
    """Return ``{name: (timestamps, values)}`` of a select's answer.

    Args:
        payload: The answer's payload, any contiguous bytes-like object.

    Returns:
        For each series ``timestamps`` as int64 of shape (n,), in the database's precision, and
        ``values`` of shape (n,): int64, float64, or object (str) by the series' type. A text that
        is not UTF-8 comes as bytes. What ``timeit`` adds is left out; a series that is called
        ``__timeit__`` is not.

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
    cdef Py_ssize_t series = 0
    cdef int left = _open_map(reader)
    while left > 0 or (left == OPEN and not _is_at(reader, QP_MAP_CLOSE)):
        name = _read_text(reader)
        if name == "__timeit__" and _is_timing(reader):
            _skip_timing(reader)
            if left > 1 or (left == OPEN and not _is_at(reader, QP_MAP_CLOSE)):
                raise _fault(reader, "the answer goes on behind its timing")
            break
        answer[name] = _read_series(reader, name)
        series += 1
        left -= left > 0
    reader.p += left == OPEN and reader.p < reader.end
    if reader.p != reader.end:
        raise _fault(reader, f"{reader.end - reader.p} bytes after the answer")
    if len(answer) != series:
        raise _fault(reader, "a series is there twice")
    return answer


cdef int _open_map(Reader* reader) except -2:
    # Return how many entries it has, or OPEN.
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
    return left


cdef inline bint _is_at(const Reader* reader, unsigned char close) noexcept:
    return reader.p >= reader.end or reader.p[0] == close


cdef bint _is_timing(const Reader* reader) noexcept:
    # an array whose first item is a map
    return (
        reader.end - reader.p >= 2
        and array_length(reader.p) not in (0, NO_ARRAY)
        and QP_MAP0 <= reader.p[1] < QP_TRUE
    )


cdef int _skip_timing(Reader* reader) except -1:
    cdef int left = array_length(reader.p)
    reader.p += 1
    while left > 0 or (left == OPEN and not _is_at(reader, QP_ARRAY_CLOSE)):
        _skip_map(reader)
        left -= left > 0
    reader.p += left == OPEN and reader.p < reader.end
    return 0


cdef int _skip_map(Reader* reader) except -1:
    # of texts and numbers, of the server and of its time
    cdef const unsigned char* p = reader.p
    cdef int left
    if p >= reader.end or not QP_MAP0 <= p[0] < QP_TRUE:
        raise _fault(reader, "the timing of a server is expected")
    left = 2 * (p[0] - QP_MAP0)
    p += 1
    while left > 0 and p != NULL:
        p = skip(p, reader.end) if p < reader.end and FORMS[p[0]].type else NULL
        left -= 1
    if p == NULL:
        raise _fault(reader, "the timing of a server is damaged")
    reader.p = p
    return 0


cdef tuple _read_series(Reader* reader, object name):
    cdef Shape shape
    cdef int64_t[::1] timestamps
    measure(reader.p, reader.end, &shape)
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
            copy_doubles(p, reader.end, &timestamps[0], &values[0], timestamps.shape[0])
    return array


cdef object _fill_integers(Reader* reader, int64_t[::1] timestamps):
    array = np.empty(timestamps.shape[0], np.int64)
    cdef int64_t[::1] values = array
    cdef const unsigned char* p = reader.p
    if timestamps.shape[0]:
        with nogil:
            copy_integers(p, reader.end, &timestamps[0], &values[0], timestamps.shape[0])
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
        word = whole_words(p, reader.end, tail)
        timestamps[i] = get_int(word)
        p += FORMS[p[0]].size
        if FORMS[p[0]].type == IS_RAW:
            reader.p = p
            array[i] = _read_text(reader)
            p = reader.p
            continue
        word = whole_words(p, reader.end, tail)
        array[i] = get_int(word) if FORMS[p[0]].type == IS_INTEGER else get_double(word)
        p += FORMS[p[0]].size
    return array


cdef object _read_text(Reader* reader):
    cdef const unsigned char* after
    cdef const char* text
    cdef Py_ssize_t length
    if reader.p >= reader.end or FORMS[reader.p[0]].type != IS_RAW:
        raise _fault(reader, "a name or a text is expected")
    after = skip(reader.p, reader.end)
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
