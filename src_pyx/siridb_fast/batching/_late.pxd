# How a run leaves if late points are compared.

from siridb_fast.batching._batch cimport Batch
from siridb_fast.batching._coalescer cimport Coalescer
from siridb_fast.batching._series cimport Series


cdef bint add_compared(
    Coalescer coalescer, Batch fresh, Batch late, Series series
) except -1
