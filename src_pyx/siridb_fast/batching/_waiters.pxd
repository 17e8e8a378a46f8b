# PendingDeliveries: who waits for which pending points of which series.

from siridb_fast.batching._batch cimport Batch
from siridb_fast.batching._series cimport Series


cdef class PendingDeliveries:
    cdef dict waiting  # Series: [(first, stop, delivery)]

    cdef int add(self, Series series, Py_ssize_t first, Py_ssize_t stop, delivery) except -1
    cdef int credit(self, Batch batch, Series series, Py_ssize_t start) except -1
    cdef int credit_parts(
        self, Batch fresh, Batch late, Series series, Py_ssize_t start, lateness
    ) except -1
    cdef list drop(self, Series series)
