# Batch: the runs that travel in one package, and the bytes they have become.

from libc.stdint cimport uint32_t

from siridb_fast.batching._ends cimport Ends
from siridb_fast.batching._series cimport Series
from siridb_fast.protocol._buffer cimport PayloadBuffer


cdef struct Entry:
    uint32_t points
    uint32_t stop    # where the series ends in the payload
    Ends ends        # of the run


cdef class Batch:
    cdef:
        readonly PayloadBuffer buffer
        readonly list names         # of the series, one for each entry
        readonly Py_ssize_t points
        readonly double oldest      # clock of the oldest point; infinity if it has none
        list all_series             # Series, or None for a run that was made elsewhere
        readonly list repeats       # runs of the series; see `_repeat`
        readonly list credits        # (delivery, entry, points), of those who wait for a report
        Entry* entries
        Py_ssize_t capacity         # of `entries`

    cdef int add(self, str name, Py_ssize_t points, Series series, const Ends* ends) except -1
    cdef Py_ssize_t points_of(self, Py_ssize_t index) noexcept
    cdef Batch _slice(self, Py_ssize_t start, Py_ssize_t stop)
