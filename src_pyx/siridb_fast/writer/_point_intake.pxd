# Intake: points as a program has them, one by one, into the coalescer.

from libc.stdint cimport int64_t, uint64_t

from siridb_fast.columns._blocks cimport OnMissing
from siridb_fast.batching._coalescer cimport Coalescer
from siridb_fast.batching._series cimport Series, SeriesType, Value


# One value as it is stored; `text` of the caller holds the bytes of a text.
cdef struct Stored:
    SeriesType type  # NO_TYPE for one that is missing and is left out
    Value value


cdef class Intake:
    cdef:
        readonly Coalescer _coalescer
        readonly object _rules     # ColumnRules
        readonly bint _casts       # values of another type than their series has
        uint64_t refused_bits      # those that no timestamp of the database has
        OnMissing on_missing

    cdef Series find(self, name)
    cdef int64_t timestamp(self, Series series, given) except? -1
    cdef bytes store(self, Series series, value, Py_ssize_t index, Stored* stored)
    cdef bytes _store_odd(self, Series series, value, Py_ssize_t index, Stored* stored)
    cdef object _fitted(self, Series series, value, index)  # in C: a subclass has one of its own
    cdef int write_odd(self, Series series, timestamp, value) except -1
    cdef int write_all(self, list series, timestamp, list values) except -1
    cdef void _append(self, Series series, int64_t timestamp, Stored* stored, bytes text) noexcept


cdef class SeriesHandle:
    cdef:
        Intake intake
        Series series


cdef bint make_places(Coalescer coalescer, list series, Py_ssize_t text_bytes) except -1
