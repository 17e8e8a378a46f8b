"""Series that a coalescer has forgotten: up to when points of theirs may have left in packages.

A name is remembered by one bit. A few series that are new are taken for forgotten ones: of their
points up to that time, too, nobody can tell then whether equal ones have left before.
"""

cimport cython
from libc.stdint cimport INT64_MIN

from siridb_fast.batching._series cimport Series

cdef enum:
    BITS = 1 << 23


@cython.final
cdef class SweptSeries:
    """Those of one coalescer."""

    cdef int add(self, Series series) except -1:
        cdef Py_ssize_t bit = hash(series.name) & (BITS - 1)
        if series.sent.last == INT64_MIN:
            return 0
        if self.bits is None:
            self.bits = bytearray(BITS // 8)
        self.bits[bit >> 3] |= 1 << (bit & 7)
        self.last = max(self.last, series.sent.last)
        return 0

    cdef int remember(self, Series series) except -1:
        # Give a series that may have been swept its past: nothing newer has left of it.
        cdef Py_ssize_t bit
        if self.bits is None:
            return 0
        bit = hash(series.name) & (BITS - 1)
        if self.bits[bit >> 3] >> (bit & 7) & 1:
            series.sent.first = INT64_MIN
            series.sent.last = self.last + 1
        return 0
