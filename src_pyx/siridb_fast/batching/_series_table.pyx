"""The series of a coalescer by name, and which of them are forgotten when they are too many.

Knows nothing of what leaves, nor of types.
"""

cimport cython
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject

from siridb_fast.batching._series cimport Series
from siridb_fast.batching._swept cimport SweptSeries


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
