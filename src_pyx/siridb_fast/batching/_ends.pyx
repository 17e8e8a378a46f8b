"""Keys of values, and how many points of a run have its last timestamp and one value.

Equal points of several packages cannot be told apart in the database; so they are counted, by
these keys. Knows nothing of series or packages.
"""

from cpython.object cimport PyObject
from libc.math cimport NAN
from libc.stddef cimport size_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy

import numpy as np


cpdef list value_keys(values):
    """Return the keys of values, which those have in common that are equal in the database.

    Args:
        values: An int64 or float64 array, or a sequence of str and bytes.
    """
    if isinstance(values, list) or values.dtype.kind == "O":
        return [hash(text if type(text) is bytes else text.encode()) for text in values]
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values + 0.0).view(np.int64)
    return values.tolist()


cdef void see_end(
    Ends* ends, const int64_t* timestamps, const int64_t* values, Py_ssize_t n,
    bint is_all, bint has_floats, bint has_texts,
) noexcept:
    # Of the last `n` points of a run, in order.
    cdef Py_ssize_t i = n - 1
    ends.last = timestamps[i]
    ends.key = _key_of(values[i], has_floats, has_texts)
    while i > 0 and timestamps[i - 1] == ends.last:
        i -= 1
        if _key_of(values[i], has_floats, has_texts) != ends.key:
            ends.points = UNLIKE
            return
    ends.points = n - i if i > 0 or is_all else UNLIKE


cdef inline int64_t _key_of(int64_t bits, bint has_floats, bint has_texts) noexcept:
    # What equal values have in common as the server keeps them: -0.0 is 0.0, NaN is NaN.
    cdef double value
    if has_texts:
        return hash(<bytes><PyObject*><size_t>bits)
    if has_floats:
        memcpy(&value, &bits, 8)
        value = NAN if value != value else value + 0.0
        memcpy(&bits, &value, 8)
    return bits
