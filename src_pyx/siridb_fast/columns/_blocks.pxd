# Points as they are read and checked, a block at a time, on the way from arrays into a package.

from libc.stdint cimport int64_t, uint64_t

from siridb_fast.columns._arrays cimport Array
from siridb_fast.columns._records cimport Seen


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
    Fault fault            # the first, which ends the reading
    Py_ssize_t index       # of the fault


cdef inline bint is_scaled(const Rules* rules) noexcept nogil:
    return rules.numerator != 1 or rules.denominator != 1


cdef void write_numbers(
    const Points* points, Py_ssize_t start, Py_ssize_t stop, Cursor* cursor
) noexcept nogil
cdef void copy_numbers(
    const Points* points, Py_ssize_t stop, int64_t* timestamps, int64_t* values, Cursor* cursor
) noexcept nogil
cdef int write_texts(
    const Points* points, list texts, Py_ssize_t start, Py_ssize_t stop, Cursor* cursor
) except -1
