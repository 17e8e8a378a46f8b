"""The series of a coalescer by name, and which of them are forgotten when they are too many.

Knows nothing of what leaves, nor of types.
"""

cimport cython
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject

from siridb_fast.batching._series cimport MAX_CAPACITY, Sample, Series
from siridb_fast.batching._swept cimport SweptSeries

cdef enum:
    MIN_CHUNK_LIMIT = 2


@cython.final
cdef class SeriesTable:
    """Those of one coalescer."""

    def __cinit__(self, Py_ssize_t max_idle):
        self.by_name = {}
        self.max_idle = max_idle
        self.swept = SweptSeries()

    cdef Series add(self, str name):
        # Return a new series of a name that is not there.
        cdef Series series = Series(name)
        if len(self.by_name) >= self.max_idle:
            self._sweep()
        self.by_name[name] = series
        self.swept.remember(series)
        return series

    cdef int _sweep(self) except -1:
        # Forget series that have nothing pending and that nobody refers to. Their types can be
        # asked for again. Room is left for as many new ones as stay, so that this stays rare.
        cdef Py_ssize_t position = 0
        cdef PyObject* name
        cdef PyObject* series
        by_name = {}
        while PyDict_Next(self.by_name, &position, &name, &series):
            if series.ob_refcnt > 1 or (<Series>series).points:
                by_name[<str>name] = <Series>series
            else:
                self.swept.add(<Series>series)
        self.by_name = by_name
        self.max_idle = max(self.max_idle, <Py_ssize_t>len(by_name) * 2)
        return 0


cdef Py_ssize_t chunk_limit(Py_ssize_t max_buffered, Py_ssize_t series) noexcept:
    # Samples of a chunk, so that one for each of so many series takes a 32nd of the memory.
    cdef Py_ssize_t samples = max_buffered // 32 // series // <Py_ssize_t>sizeof(Sample)
    return max(<Py_ssize_t>MIN_CHUNK_LIMIT, min(<Py_ssize_t>MAX_CAPACITY, samples))
