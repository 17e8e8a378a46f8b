"""Read arrays of any integer or floating dtype, stride and byte order, a block at a time.

The blocks are small and lie on the stack of the caller, so that no array is copied whole. Knows
nothing of points or packages.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

ctypedef fused Integer:
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t

ctypedef fused Floating:
    float
    double


cdef void read_ints(
    const Array* array, Py_ssize_t start, Py_ssize_t n, int64_t* out
) noexcept nogil:
    # n <= BLOCK; a uint64 over 2**63 - 1 comes out negative; bool comes out as 0 and 1
    cdef uint64_t[BLOCK] swapped
    cdef const char* p = array.data + start * array.stride
    cdef Py_ssize_t stride = array.stride
    cdef Kind kind = array.kind
    if array.is_swapped:
        p = _swap(p, stride, n, item_size(kind), <unsigned char*>swapped)
        stride = item_size(kind)
    if kind == INT64:
        _copy_ints[int64_t](p, stride, n, out, NULL)
    elif kind == INT32:
        _copy_ints[int32_t](p, stride, n, out, NULL)
    elif kind == INT16:
        _copy_ints[int16_t](p, stride, n, out, NULL)
    elif kind == INT8:
        _copy_ints[int8_t](p, stride, n, out, NULL)
    elif kind == UINT64:
        _copy_ints[uint64_t](p, stride, n, out, NULL)
    elif kind == UINT32:
        _copy_ints[uint32_t](p, stride, n, out, NULL)
    elif kind == UINT16:
        _copy_ints[uint16_t](p, stride, n, out, NULL)
    elif kind == UINT8:
        _copy_ints[uint8_t](p, stride, n, out, NULL)
    else:
        _copy_bools(p, stride, n, out)


cdef void read_doubles(
    const Array* array, Py_ssize_t start, Py_ssize_t n, double* out
) noexcept nogil:
    # n <= BLOCK
    cdef uint64_t[BLOCK] swapped
    cdef const char* p = array.data + start * array.stride
    cdef Py_ssize_t stride = array.stride
    if array.is_swapped:
        p = _swap(p, stride, n, item_size(array.kind), <unsigned char*>swapped)
        stride = item_size(array.kind)
    if array.kind == FLOAT64:
        _copy_floats[double](p, stride, n, out, NULL)
    elif array.kind == FLOAT32:
        _copy_floats[float](p, stride, n, out, NULL)
    else:
        _copy_halves(p, stride, n, out)


cdef int item_size(Kind kind) noexcept nogil:
    if kind == INT64 or kind == UINT64 or kind == FLOAT64:
        return 8
    if kind == INT32 or kind == UINT32 or kind == FLOAT32:
        return 4
    if kind == INT16 or kind == UINT16 or kind == FLOAT16:
        return 2
    return 1


cdef inline void _copy_ints(
    const char* p, Py_ssize_t stride, Py_ssize_t n, int64_t* out, const Integer* _tag
) noexcept nogil:
    cdef Py_ssize_t i
    cdef Integer item
    for i in range(n):
        memcpy(&item, p + i * stride, sizeof(Integer))
        out[i] = <int64_t>item


cdef inline void _copy_floats(
    const char* p, Py_ssize_t stride, Py_ssize_t n, double* out, const Floating* _tag
) noexcept nogil:
    cdef Py_ssize_t i
    cdef Floating item
    for i in range(n):
        memcpy(&item, p + i * stride, sizeof(Floating))
        out[i] = <double>item


cdef void _copy_bools(const char* p, Py_ssize_t stride, Py_ssize_t n, int64_t* out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = p[i * stride] != 0


cdef void _copy_halves(const char* p, Py_ssize_t stride, Py_ssize_t n, double* out) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint16_t item
    for i in range(n):
        memcpy(&item, p + i * stride, 2)
        out[i] = _half_to_double(item)


cdef inline double _half_to_double(uint16_t half) noexcept nogil:
    # IEEE 754: 1 bit sign, 5 bits exponent (bias 15), 10 bits fraction, into 1, 11 (bias 1023), 52
    cdef uint64_t sign = <uint64_t>(half >> 15) << 63
    cdef uint64_t exponent = (half >> 10) & 0x1f
    cdef uint64_t fraction = half & 0x3ff
    cdef uint64_t bits
    cdef double value
    if exponent == 0:  # zero or subnormal: fraction * 2**-24
        value = <double>fraction * 5.9604644775390625e-08
        return -value if sign else value
    if exponent == 0x1f:  # infinity or NaN
        exponent = 0x7ff
    else:
        exponent += 1023 - 15
    bits = sign | (exponent << 52) | (fraction << 42)
    memcpy(&value, &bits, 8)
    return value


cdef const char* _swap(
    const char* p, Py_ssize_t stride, Py_ssize_t n, int size, unsigned char* out
) noexcept nogil:
    cdef Py_ssize_t i
    cdef int k
    for i in range(n):
        for k in range(size):
            out[i * size + k] = <unsigned char>p[i * stride + size - 1 - k]
    return <const char*>out
