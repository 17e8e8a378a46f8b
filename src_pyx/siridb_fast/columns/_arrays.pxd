# One array in the caller's memory, read a block at a time as int64 or double.

from libc.stdint cimport int64_t


cdef enum:
    BLOCK = 512  # items read, checked and written together; they stay in the L1 cache


cpdef enum Kind:
    # 'i', 'u', 'f', 'b' and the item size of numpy's dtype
    INT8
    INT16
    INT32
    INT64
    UINT8
    UINT16
    UINT32
    UINT64
    FLOAT16
    FLOAT32
    FLOAT64
    BOOL


cdef struct Array:
    const char* data     # the first item; borrowed: the struct's owner holds the buffer view
    Py_ssize_t stride    # bytes from one item to the next, may be negative or 0
    Kind kind
    bint is_swapped      # bytes are in the other order than this machine's
    bint is_plain        # aligned, contiguous, native int64 or double: blocks need no copy


cdef void read_ints(
    const Array* array, Py_ssize_t start, Py_ssize_t n, int64_t* out
) noexcept nogil
cdef void read_doubles(
    const Array* array, Py_ssize_t start, Py_ssize_t n, double* out
) noexcept nogil
cdef int item_size(Kind kind) noexcept nogil


cdef inline bint is_float(Kind kind) noexcept nogil:
    return FLOAT16 <= kind <= FLOAT64
