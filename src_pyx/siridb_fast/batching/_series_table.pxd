# SeriesTable: the series of a coalescer by name.

from siridb_fast.batching._series cimport Series
from siridb_fast.batching._swept cimport SweptSeries


cdef class SeriesTable:
    cdef:
        dict by_name             # name: Series
        Py_ssize_t max_idle      # series to keep that have nothing pending
        SweptSeries swept        # that are forgotten

    cdef Series add(self, str name)
    cdef int _sweep(self) except -1


cdef Py_ssize_t chunk_limit(Py_ssize_t max_buffered, Py_ssize_t series) noexcept
