# Ends: the first and the last points of a run, by which it is told from others of its series.

from libc.stdint cimport int64_t


cdef enum:
    UNLIKE = -1  # points of one timestamp whose values differ


# Of a run that leaves, or of all points of a series that ever left.
cdef struct Ends:
    int64_t first      # timestamps
    int64_t last
    int64_t key        # of the values at `last`, by `value_keys`, if they are all alike
    Py_ssize_t points  # at `last`; UNLIKE if their values are not all alike, or were not compared


cdef void see_end(
    Ends* ends, const int64_t* timestamps, const int64_t* values, Py_ssize_t n,
    bint is_all, bint has_floats, bint has_texts,
) noexcept
cpdef list value_keys(values)
