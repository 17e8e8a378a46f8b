# Ticker: many series that always get a value together.

from libc.stdint cimport int64_t

from siridb_fast.writer._point_intake cimport Intake
from siridb_fast.batching._series cimport NO_TYPE, SeriesType


cdef class Ticker:
    cdef:
        Intake intake
        list series            # in the order of the names
        readonly tuple names
        tuple shape            # of an array with one value for each

    cdef SeriesType _plain_type(self, values) except? NO_TYPE
    cdef bint _write_numbers(self, timestamp, values, SeriesType type_) except -1
    cdef bint _make_places(self, SeriesType type_) except -1
    cdef int _append_tick(
        self, SeriesType type_, int64_t timestamp, const char* bits, Py_ssize_t stride
    ) except -1
    cdef int _write_rows(self, stamps, values, present) except -1
    cdef list _types(self, values)
    cdef bint _are_of(self, list types) except -1
    cdef bint _reserve(self, list counts) except -1
