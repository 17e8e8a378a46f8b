# SweptSeries: series that a coalescer has forgotten, as far as it must remember them.

from libc.stdint cimport int64_t

from siridb_fast.batching._series cimport Series


cdef class SweptSeries:
    cdef:
        bytearray bits           # one is set by the name of each series; None before the first
        int64_t last             # the newest timestamp of those that left, of all of them

    cdef int add(self, Series series) except -1
    cdef int remember(self, Series series) except -1
