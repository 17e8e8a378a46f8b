# Repeat: a run that left and is not all newer than what had left of its series before.

from libc.stdint cimport int64_t

from siridb_fast.batching._ends cimport Ends
from siridb_fast.batching._series cimport Series


cdef class Repeat:
    cdef:
        readonly Series series
        readonly int64_t first       # timestamps of the run
        readonly int64_t last
        readonly int64_t oldest      # timestamps of what had left of the series
        readonly int64_t newest
        readonly int64_t key         # of what was delivered at the newest; see `Ends`
        readonly Py_ssize_t points


cdef int note_left(Series series, const Ends* ends, list repeats) except -1
