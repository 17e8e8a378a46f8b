"""Choose, for each block of points, the kernel of ``_records.pxd`` that writes it.

The width of timestamps and integers and the short forms of doubles are chosen here, from what the
block holds; the kernels have no choice left to make.
"""

from libc.stdint cimport int64_t, uint64_t

from siridb_fast.protocol._wire cimport QP_INT8, QP_INT16, QP_INT32, QP_INT64

cdef enum:
    INT_FORMS = 65  # an integer has 1 to 64 bits

cdef IntForm[INT_FORMS] FORMS
_fill_forms()


cdef unsigned char* put_block(
    unsigned char* p, bint has_floats, const Block* block, Seen* seen
) noexcept nogil:
    # The ends of a block tell the width of its timestamps, unless these are out of order.
    cdef Seen before = seen[0]
    cdef unsigned char* end
    cdef bint is_wide
    if block.n == 0:
        return p
    is_wide = (block.timestamps[0] | block.timestamps[block.n - 1]) >> 31 != 0
    seen.bits = 0
    end = _put_values(p, has_floats, block, seen, is_wide)
    if not is_wide and seen.bits >> 31:
        seen[0] = before
        end = _put_values(p, has_floats, block, seen, True)
    seen.bits |= before.bits
    return end


cdef inline unsigned char* _put_values(
    unsigned char* p, bint has_floats, const Block* block, Seen* seen, bint is_wide
) noexcept nogil:
    if has_floats:
        return _put_doubles(p, block, seen, is_wide)
    return _put_ints(p, block, seen, is_wide)


cdef unsigned char* _put_doubles(
    unsigned char* p, const Block* block, Seen* seen, bint is_wide
) noexcept nogil:
    # -1.0, 0.0 and 1.0 fit in one byte; looked for where a sample says that they are common
    cdef Py_ssize_t i = 0, short = 0
    cdef double value
    while i < block.n:
        value = block.doubles[i]
        short += (value == 0.0) | (value == 1.0) | (value == -1.0)
        i += SAMPLE_STRIDE
    if short * SAMPLE_STRIDE * 8 > block.n:
        return put_doubles(p, block.timestamps, block.doubles, block.n, seen, is_wide, True)
    if is_wide:
        return put_doubles(p, block.timestamps, block.doubles, block.n, seen, True, False)
    return put_doubles(p, block.timestamps, block.doubles, block.n, seen, False, False)


cdef unsigned char* _put_ints(
    unsigned char* p, const Block* block, Seen* seen, bint is_wide
) noexcept nogil:
    # One size for the block, unless a sample says that the values' own sizes save a quarter.
    cdef uint64_t magnitudes = 0
    cdef int64_t lowest = 0
    cdef Py_ssize_t i, sampled = 0, count = 0
    cdef int size
    for i in range(block.n):
        magnitudes |= <uint64_t>(block.integers[i] ^ (block.integers[i] >> 63))
        lowest = min(lowest, block.integers[i])
    size = int_size(<int64_t>~magnitudes if lowest < -60 else <int64_t>magnitudes)
    i = 0
    while i < block.n:
        sampled += int_size(block.integers[i])
        count += 1
        i += SAMPLE_STRIDE
    if sampled * 4 < count * size * 3:
        return put_mixed_ints(
            p, block.timestamps, block.integers, block.n, seen, is_wide, FORMS
        )
    return _put_equal_ints(p, block, seen, is_wide, size)


cdef unsigned char* _put_equal_ints(
    unsigned char* p, const Block* block, Seen* seen, bint is_wide, int size
) noexcept nogil:
    # The sizes are written out so that each gets a loop of its own.
    if is_wide:
        if size == 1:
            return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, True, 1)
        if size == 2:
            return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, True, 2)
        if size == 3:
            return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, True, 3)
        if size == 5:
            return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, True, 5)
        return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, True, 9)
    if size == 1:
        return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, False, 1)
    if size == 2:
        return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, False, 2)
    if size == 3:
        return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, False, 3)
    if size == 5:
        return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, False, 5)
    return put_equal_ints(p, block.timestamps, block.integers, block.n, seen, False, 9)


cdef void _fill_forms() noexcept:
    cdef int bits
    for bits in range(INT_FORMS):
        if bits <= 6:
            FORMS[bits] = IntForm(code=0, mask=0xff, size=1)
        elif bits <= 7:
            FORMS[bits] = IntForm(code=QP_INT8, mask=0, size=2)
        elif bits <= 15:
            FORMS[bits] = IntForm(code=QP_INT16, mask=0, size=3)
        elif bits <= 31:
            FORMS[bits] = IntForm(code=QP_INT32, mask=0, size=5)
        else:
            FORMS[bits] = IntForm(code=QP_INT64, mask=0, size=9)
