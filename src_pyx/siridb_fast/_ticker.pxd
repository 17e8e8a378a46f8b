# Ticker: many series that always get a value together.

from libc.stdint cimport int64_t

from siridb_fast._intake cimport Intake
from siridb_fast._runs cimport SeriesType


cdef class Ticker:
    cdef:
        Intake intake
        list series            # in the order of the names
        readonly tuple names

    cdef bint _is_ready(self, SeriesType type_) except -1
    cdef bint _takes(self, SeriesType type_) except -1
    cdef int _write_doubles(self, int64_t timestamp, const double[:] values) except -1
    cdef int _write_integers(self, int64_t timestamp, const int64_t[:] values) except -1
    cdef bint _reserve(self, Py_ssize_t points) except -1
