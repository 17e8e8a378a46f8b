# The bytes of one point, and the kernels that write a block of them.
#
#   0         EF         array of 2
#   1         EA | EB    timestamp: int32, or int64
#   2         4 | 8      its bytes, little endian
#   6 | 10    value      double: EC and 8 bytes; or 7D, 7E, 7F for -1.0, 0.0, 1.0
#                        integer: 1 byte for -60..63; or E8 E9 EA EB and 1, 2, 4, 8 bytes
#
# A kernel writes whole words and steps back over what was too much: room for MAX_RECORD bytes a
# point and for SLACK bytes behind the last is reserved once, by the caller.
# One width serves the whole block where that costs few bytes: without a branch a point takes less
# than a nanosecond; choosing the width of each value takes twice that
# (benchmarks/suites/test_encode.py).

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.protocol._wire cimport QP_INT8, QP_INT16, QP_INT32, QP_INT64, put_double


cdef enum:
    MAX_RECORD = 19
    SLACK = 8
    SAMPLE_STRIDE = 32  # one value in so many is read to choose between two kernels


cdef extern from *:
    """
    #define siridb_bit_length(x) (64 - __builtin_clzll((unsigned long long)(x) | 1))
    """
    int bit_length "siridb_bit_length"(uint64_t x) noexcept nogil


# EF EB t0..t7 EC and five bytes of anything: one store of 16 bytes where the machine has it, for a
# fifth less time; else two.
cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    static inline void siridb_put_wide_head(unsigned char *p, int64_t t) {
        const __m128i codes = _mm_set_epi32(0, 0xec0000, 0, 0xebef);
        __m128i word = _mm_slli_si128(_mm_cvtsi64_si128(t), 2);
        _mm_storeu_si128((__m128i *)p, _mm_or_si128(word, codes));
    }
    #else
    static inline void siridb_put_wide_head(unsigned char *p, int64_t t) {
        uint64_t head = 0xebef | ((uint64_t)t << 16);
        uint32_t middle = (uint32_t)((uint64_t)t >> 48) | 0xec0000;
        memcpy(p, &head, 8);
        memcpy(p + 8, &middle, 4);
    }
    #endif
    """
    void put_wide_head "siridb_put_wide_head"(unsigned char* p, int64_t timestamp) noexcept nogil


# How an integer of so many bits is written: `code | (its one byte & mask)`, then its low bytes.
cdef struct IntForm:
    uint8_t code
    uint8_t mask  # 0xff if the value is in the code itself, else 0
    uint8_t size  # of all, the code included


cdef struct Block:
    const int64_t* timestamps
    const int64_t* integers
    const double* doubles
    Py_ssize_t n      # points in it, the missing ones dropped
    Py_ssize_t first  # index of its first point in the column
    Py_ssize_t given  # points in it at first


# What is learnt of the timestamps on the way. A kernel accumulates it in registers, for nothing.
cdef struct Seen:
    uint64_t bits      # that any timestamp had: out of range, or too wide, shows here
    int64_t disorder   # negative once a timestamp was before the one ahead of it
    int64_t last


cdef inline int int_size(int64_t value) noexcept nogil:
    cdef uint64_t magnitude = <uint64_t>(value ^ (value >> 63))
    if magnitude < 64 and value >= -60:
        return 1
    if magnitude < 0x80:
        return 2
    if magnitude < 0x8000:
        return 3
    return 5 if magnitude < <uint64_t>0x80000000 else 9


cdef inline void see(Seen* seen, int64_t timestamp) noexcept nogil:
    # Differences of numbers in 0..2**63 - 1 do not overflow; others show in `bits`.
    seen.bits |= <uint64_t>timestamp
    seen.disorder |= <int64_t>(<uint64_t>timestamp - <uint64_t>seen.last)
    seen.last = timestamp


cdef inline unsigned char* put_timestamp(
    unsigned char* p, int64_t timestamp, bint is_wide
) noexcept nogil:
    cdef uint64_t head
    cdef uint16_t tail
    if is_wide:
        head = <uint64_t>0xebef | (<uint64_t>timestamp << 16)
        tail = <uint16_t>(<uint64_t>timestamp >> 48)
        memcpy(p, &head, 8)
        memcpy(p + 8, &tail, 2)
        return p + 10
    head = <uint64_t>0xeaef | (<uint64_t>timestamp << 16)
    memcpy(p, &head, 8)
    return p + 6


cdef inline int64_t get_timestamp(const unsigned char* p) noexcept nogil:
    # of a record; anything if there is none
    cdef int64_t wide
    cdef int32_t narrow
    if p[1] == QP_INT64:
        memcpy(&wide, p + 2, 8)
        return wide
    memcpy(&narrow, p + 2, 4)
    return narrow


cdef inline unsigned char* put_sized_int(
    unsigned char* p, int64_t value, int size
) noexcept nogil:
    cdef uint64_t sign = <uint64_t>(value >> 63)
    cdef uint64_t word
    if size == 1:
        p[0] = <uint8_t>((<uint64_t>value ^ sign) | (sign & 64))
    elif size == 9:
        p[0] = QP_INT64
        memcpy(p + 1, &value, 8)
    else:
        word = (<uint64_t>value << 8) | <uint64_t>(
            QP_INT8 if size == 2 else QP_INT16 if size == 3 else QP_INT32
        )
        memcpy(p, &word, 8)
    return p + size


cdef inline unsigned char* put_wide_double(
    unsigned char* p, int64_t timestamp, double value
) noexcept nogil:
    # EF EB t0..t7 EC . . . . . | v0..v7, of which the second covers the dots
    put_wide_head(p, timestamp)
    memcpy(p + 11, &value, 8)
    return p + 19


cdef inline unsigned char* put_narrow_double(
    unsigned char* p, int64_t timestamp, double value
) noexcept nogil:
    # EF EA t0..t3 EC . | v0..v7
    cdef uint64_t head = <uint64_t>0xec00000000eaef | (<uint64_t><uint32_t>timestamp << 16)
    memcpy(p, &head, 8)
    memcpy(p + 7, &value, 8)
    return p + 15


cdef inline unsigned char* put_doubles(
    unsigned char* p, const int64_t* timestamps, const double* values, Py_ssize_t n, Seen* seen,
    bint is_wide, bint is_mixed
) noexcept nogil:
    cdef Py_ssize_t i
    cdef Seen local = seen[0]
    for i in range(n):
        see(&local, timestamps[i])
        if is_mixed:
            p = put_double(put_timestamp(p, timestamps[i], is_wide), values[i])
        elif is_wide:
            p = put_wide_double(p, timestamps[i], values[i])
        else:
            p = put_narrow_double(p, timestamps[i], values[i])
    seen[0] = local
    return p


cdef inline unsigned char* put_equal_ints(
    unsigned char* p, const int64_t* timestamps, const int64_t* values, Py_ssize_t n, Seen* seen,
    bint is_wide, int size
) noexcept nogil:
    cdef Py_ssize_t i
    cdef Seen local = seen[0]
    for i in range(n):
        see(&local, timestamps[i])
        p = put_sized_int(put_timestamp(p, timestamps[i], is_wide), values[i], size)
    seen[0] = local
    return p


cdef inline unsigned char* put_mixed_ints(
    unsigned char* p, const int64_t* timestamps, const int64_t* values, Py_ssize_t n, Seen* seen,
    bint is_wide, const IntForm* forms
) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint64_t sign, magnitude
    cdef IntForm form
    cdef Seen local = seen[0]
    for i in range(n):
        see(&local, timestamps[i])
        p = put_timestamp(p, timestamps[i], is_wide)
        sign = <uint64_t>(values[i] >> 63)
        magnitude = <uint64_t>values[i] ^ sign
        # -61..-64 have the bits of a one-byte integer but not its range: 4 more lift them over it
        form = forms[bit_length(magnitude + ((sign & 4) if magnitude < 64 else 0))]
        p[0] = form.code | (<uint8_t>(magnitude | (sign & 64)) & form.mask)
        memcpy(p + 1, &values[i], 8)
        p += form.size
    seen[0] = local
    return p


cdef unsigned char* put_block(
    unsigned char* p, bint has_floats, const Block* block, Seen* seen
) noexcept nogil
