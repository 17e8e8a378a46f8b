# PointColumn: one series' timestamps and values, ready to be written into a package.

from cpython.buffer cimport Py_buffer
from libc.stdint cimport int64_t, uint64_t

from siridb_fast._arrays cimport Array
from siridb_fast._buffer cimport PackageBuffer
from siridb_fast._records cimport Seen


cpdef enum OnMissing:
    KEEP   # NaN is sent; NaT is refused
    DROP   # a point with NaN or NaT is left out
    ERROR  # NaN and NaT are refused


cdef enum Fault:
    NO_FAULT
    TIMESTAMP_RANGE   # negative, or over the database's precision
    TIMESTAMP_INEXACT  # finer than the database's precision
    TIMESTAMP_MISSING  # NaT
    VALUE_RANGE        # a uint64 over 2**63 - 1
    VALUE_MISSING      # NaN


cdef struct Rules:
    int64_t numerator      # database units = given units * numerator / denominator
    int64_t denominator
    uint64_t timestamp_bits  # those that a timestamp may have: 32 for seconds, else 63
    bint is_datetime       # the smallest int64 is NaT
    bint floors            # leave out what is finer than the precision
    OnMissing on_missing


cdef struct Points:
    Array timestamps
    Array values
    bint has_text          # the values are in PointColumn.texts, not in `values`
    bint has_floats
    Rules rules


cdef struct Cursor:
    unsigned char* p       # where the next point goes; NULL only to check
    Py_ssize_t points      # written so far
    Seen seen              # of their timestamps
    Fault fault            # the first, which ends the work
    Py_ssize_t index       # of the fault


cdef class PointColumn:
    cdef:
        readonly str name            # of the series
        readonly bytes raw_name      # the same in UTF-8, as it goes out
        readonly Py_ssize_t size     # points given, missing ones included
        readonly object timestamps   # int64-like array; datetime64 viewed as int64
        readonly object values       # integer, float or bool array, or list of bytes
        readonly str type            # of the series: "integer", "float" or "string"
        dict options                 # the constructor's, for a sorted copy
        readonly object shown_timestamps  # the caller's own arrays
        readonly object shown_values
        list texts                   # the values of a string column, or None
        Points points
        Py_buffer timestamps_view
        Py_buffer values_view

    cdef Py_ssize_t _overhead(self)
    cdef size_t _bound(self, Py_ssize_t start, Py_ssize_t stop)
    cdef int _write(
        self, PackageBuffer buffer, Py_ssize_t start, Cursor* cursor, Py_ssize_t stop
    ) except -1
