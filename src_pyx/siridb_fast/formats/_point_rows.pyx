"""Points as they are read of a text: one row each, in arrays that grow.

Knows nothing of any text. A parser asks for room before it adds a point, so that adding checks
nothing.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t

import numpy as np

NO_TIME = -(2**63)

cdef enum:
    LEAST = 128


@cython.final
cdef class PointRows:
    """The points of one block of text."""

    def __cinit__(self):
        self.texts = []
        self.arrays = None

    cdef int reserve(self, Py_ssize_t more) except -1:
        # Have room for so many points beside those that are there.
        cdef Py_ssize_t needed = self.count + more
        if needed <= self.capacity:
            return 0
        needed = max(needed, 2 * self.capacity, LEAST)
        dtypes = (np.int32, np.int64, np.int64, np.int64, np.uint8)
        arrays = tuple(np.empty(needed, dtype) for dtype in dtypes)
        for new, old in zip(arrays, self.arrays or ()):
            new[: self.count] = old[: self.count]
        self.series = <int32_t*><uintptr_t>arrays[0].ctypes.data
        self.times = <int64_t*><uintptr_t>arrays[1].ctypes.data
        self.values = <int64_t*><uintptr_t>arrays[2].ctypes.data
        self.lines = <int64_t*><uintptr_t>arrays[3].ctypes.data
        self.kinds = <uint8_t*><uintptr_t>arrays[4].ctypes.data
        self.arrays = arrays
        self.capacity = needed
        return 0

    cdef void add(
        self, int32_t series, ValueKind kind, int64_t value, int64_t line
    ) noexcept nogil:
        cdef Py_ssize_t row = self.count
        self.series[row] = series
        self.values[row] = value
        self.lines[row] = line
        self.kinds[row] = <uint8_t>kind
        self.count += 1

    cdef void end_line(self, Py_ssize_t first, int64_t time) noexcept nogil:
        # Give all points since `first` the time of their line.
        cdef Py_ssize_t row
        for row in range(first, self.count):
            self.times[row] = time

    cdef void cut(self, Py_ssize_t count):
        # Forget the points of a line that is wrong.
        cdef Py_ssize_t row
        for row in range(count, self.count):
            if self.kinds[row] == TEXT:
                del self.texts[self.values[row]:]
                break
        self.count = count

    cdef tuple taken(self):
        # (series, times, values, lines, kinds), without a copy; add none behind it.
        self.reserve(0 if self.arrays is not None else 1)
        return tuple(array[: self.count] for array in self.arrays)
