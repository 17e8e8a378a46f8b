# The [timestamp, value] points of one series in an answer: what they are, and their copies.
#
# An array of them is walked twice: `measure` counts the points and sees of what type they are,
# and believes nothing; the others read what it has seen to be there.

from libc.stdint cimport int8_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.protocol._wire cimport QP_ARRAY0, QP_ARRAY_OPEN, QP_DOUBLE, QP_MAP0, QP_RAW

cdef enum:
    FULL_RECORD = 19        # EF EB <int64> EC <double>: what most answers are made of
    TAIL = 2 * FULL_RECORD  # the last record is read from a copy, so that whole words may be read
    OPEN = -1               # an array or map without a length: ends with its close or the bytes
    NO_ARRAY = -2
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


cdef struct Shape:
    Py_ssize_t points
    int types                  # IS_INTEGER, IS_DOUBLE and IS_RAW, of all values
    const unsigned char* p     # behind the array
    bint is_valid              # else `p` is where it is not an array of points


cdef Form[256] FORMS

cdef void measure(const unsigned char* p, const unsigned char* end, Shape* shape) noexcept

cdef void copy_doubles(
    const unsigned char* p, const unsigned char* end,
    int64_t* timestamps, double* values, Py_ssize_t n,
) noexcept nogil

cdef void copy_integers(
    const unsigned char* p, const unsigned char* end,
    int64_t* timestamps, int64_t* values, Py_ssize_t n,
) noexcept nogil


cdef inline int array_length(const unsigned char* p) noexcept nogil:
    # OPEN, how many items the array at p has, or NO_ARRAY
    if p[0] == QP_ARRAY_OPEN:
        return OPEN
    return p[0] - QP_ARRAY0 if QP_ARRAY0 <= p[0] < QP_MAP0 else NO_ARRAY


cdef inline const unsigned char* skip(
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


cdef inline const unsigned char* whole_words(
    const unsigned char* p, const unsigned char* end, unsigned char* tail
) noexcept nogil:
    # p, or a copy of what is left there with room behind it
    if end - p >= FULL_RECORD:
        return p
    memcpy(tail, p, end - p)
    return tail


cdef inline int64_t get_int(const unsigned char* p) noexcept nogil:
    cdef Form form = FORMS[p[0]]
    cdef uint64_t word
    memcpy(&word, p + 1, 8)
    word = <uint64_t>(<int64_t>(word << form.shift) >> form.shift)
    return form.small if form.size == 1 else <int64_t>word


cdef inline double get_double(const unsigned char* p) noexcept nogil:
    cdef double value
    memcpy(&value, p + 1, 8)
    return value if p[0] == QP_DOUBLE else FORMS[p[0]].small
