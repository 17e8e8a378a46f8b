"""Walk the [timestamp, value] points of one series in an answer: to measure them, to copy them.

No object is made for a number, and no length is believed before it is checked. Knows the points of
one array; names, and what else an answer holds, are ``_decode``'s.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from siridb_fast.protocol._wire cimport (
    QP_ARRAY2, QP_ARRAY_CLOSE, QP_DOUBLE, QP_DOUBLE_0, QP_DOUBLE_1, QP_DOUBLE_N1, QP_HOOK,
    QP_INT8, QP_INT32, QP_INT64, QP_RAW, QP_RAW8, QP_RAW64,
)

cdef enum:
    NOGIL_BYTES = 65_536

_fill_forms()


# ---- first walk: nothing is believed


cdef void measure(const unsigned char* p, const unsigned char* end, Shape* shape) noexcept:
    if end - p > NOGIL_BYTES:
        with nogil:
            _walk(p, end, shape)
    else:
        _walk(p, end, shape)


cdef void _walk(const unsigned char* p, const unsigned char* end, Shape* shape) noexcept nogil:
    cdef Py_ssize_t left
    cdef int head
    shape.points = 0
    shape.types = 0
    shape.is_valid = False
    shape.p = p
    if p >= end:
        return
    left = array_length(p)
    if left == NO_ARRAY:
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
    p = p + 10 if p[1] == QP_INT64 and end - p > 10 else skip(p + 1, end)
    if p == NULL or p >= end or FORMS[p[0]].type == 0:
        return NULL
    types[0] |= FORMS[p[0]].type
    return skip(p, end)


# ---- second walk: what the first has seen is there


cdef void copy_doubles(
    const unsigned char* p, const unsigned char* end,
    int64_t* timestamps, double* values, Py_ssize_t n,
) noexcept nogil:
    cdef unsigned char[TAIL] tail
    cdef Py_ssize_t i
    for i in range(n):
        if end - p < FULL_RECORD:
            p = whole_words(p, end, tail)
            end = tail + TAIL
        p = _get_timestamp(p, &timestamps[i])
        if p[0] == QP_DOUBLE:
            memcpy(&values[i], p + 1, 8)
            p += 9
        else:
            values[i] = FORMS[p[0]].small
            p += 1


cdef void copy_integers(
    const unsigned char* p, const unsigned char* end,
    int64_t* timestamps, int64_t* values, Py_ssize_t n,
) noexcept nogil:
    cdef unsigned char[TAIL] tail
    cdef Py_ssize_t i
    for i in range(n):
        if end - p < FULL_RECORD:
            p = whole_words(p, end, tail)
            end = tail + TAIL
        p = _get_timestamp(p, &timestamps[i])
        values[i] = get_int(p)
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
    timestamp[0] = get_int(p + 1)
    return p + 1 + FORMS[p[1]].size


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
