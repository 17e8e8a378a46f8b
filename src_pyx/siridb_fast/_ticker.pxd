# Ticker: many series that always get a value together.

from siridb_fast._intake cimport Intake
from siridb_fast._runs cimport SeriesType


cdef class Ticker:
    cdef:
        Intake intake
        list series            # in the order of the names
        readonly tuple names

    cdef bint _write_array(self, timestamp, values) except -1
    cdef bint _takes(self, SeriesType type_) except -1
    cdef int _write_rows(self, stamps, values, present) except -1
    cdef list _types(self, values)
    cdef bint _are_of(self, list types) except -1
    cdef bint _reserve(self, list counts) except -1
