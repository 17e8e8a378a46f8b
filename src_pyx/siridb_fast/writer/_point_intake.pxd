# PointIntake: points as a program has them, one by one, into the coalescer.

from libc.stdint cimport int64_t, uint64_t

from siridb_fast.columns._blocks cimport OnMissing
from siridb_fast.batching._coalescer cimport Coalescer
from siridb_fast.batching._series cimport Series, SeriesType, Value


# One value as it is stored; `text` of the caller holds the bytes of a text.
cdef struct Stored:
    SeriesType type  # NO_TYPE for one that is missing and is left out
    Value value


cdef class PointIntake:
    cdef:
        readonly Coalescer _coalescer
        readonly object _rules     # ColumnRules
        readonly bint _casts       # values of another type than their series has
        uint64_t refused_bits      # those that no timestamp of the database has
        OnMissing on_missing


cdef class SeriesHandle:
    cdef:
        PointIntake intake
        Series series


cdef Series find_series(PointIntake intake, name)
cdef int64_t timestamp_of(PointIntake intake, Series series, given) except? -1
cdef int write_all(PointIntake intake, list series, timestamp, list values) except -1
cdef bint make_room_for_tick(Coalescer coalescer, list series, Py_ssize_t text_bytes) except -1
