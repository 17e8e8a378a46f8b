# The primitives of qpack: each writes one value at `p` and returns where the next one goes.
# Room is the caller's business; MAX_NUMBER and MAX_RAW_HEADER say how much.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stddef cimport size_t
from libc.string cimport memcpy

from siridb_fast._buffer cimport PackageBuffer
from siridb_fast._wire cimport (
    QP_DOUBLE, QP_DOUBLE_0, QP_DOUBLE_1, QP_DOUBLE_N1, QP_INT8, QP_INT16, QP_INT32, QP_INT64, QP_RAW,
    QP_RAW8, QP_RAW16, QP_RAW32, QP_RAW64,
)


cdef enum:
    MAX_NUMBER = 9      # bytes of the widest integer or double
    MAX_RAW_HEADER = 9  # bytes before the widest raw value
    MAX_DEPTH = 512     # of nested arrays and maps, packed or unpacked; fits the smallest thread stack


cdef int pack_value(PackageBuffer buffer, object value, int depth) except -1
cdef int pack_raw(PackageBuffer buffer, const char* raw, size_t length) except -1


cdef inline unsigned char* put_int(unsigned char* p, int64_t value) noexcept nogil:
    if -60 <= value < 64:
        p[0] = <uint8_t>(value if value >= 0 else 63 - value)
        return p + 1
    if value == <int8_t>value:
        p[0] = QP_INT8
        p[1] = <uint8_t>value
        return p + 2
    if value == <int16_t>value:
        p[0] = QP_INT16
        memcpy(p + 1, &value, 2)
        return p + 3
    if value == <int32_t>value:
        p[0] = QP_INT32
        memcpy(p + 1, &value, 4)
        return p + 5
    p[0] = QP_INT64
    memcpy(p + 1, &value, 8)
    return p + 9


cdef inline unsigned char* put_double(unsigned char* p, double value) noexcept nogil:
    if value == 0.0:
        p[0] = QP_DOUBLE_0
        return p + 1
    if value == 1.0:
        p[0] = QP_DOUBLE_1
        return p + 1
    if value == -1.0:
        p[0] = QP_DOUBLE_N1
        return p + 1
    p[0] = QP_DOUBLE
    memcpy(p + 1, &value, 8)
    return p + 9


cdef inline unsigned char* put_raw_header(unsigned char* p, size_t length) noexcept nogil:
    if length < 100:
        p[0] = <uint8_t>(QP_RAW + length)
        return p + 1
    if length <= 0xff:
        p[0] = QP_RAW8
        p[1] = <uint8_t>length
        return p + 2
    if length <= 0xffff:
        p[0] = QP_RAW16
        memcpy(p + 1, &length, 2)
        return p + 3
    if length >> 32 == 0:
        p[0] = QP_RAW32
        memcpy(p + 1, &length, 4)
        return p + 5
    p[0] = QP_RAW64
    memcpy(p + 1, &length, 8)
    return p + 9
