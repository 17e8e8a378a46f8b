# PointColumn: one series' timestamps and values, ready to be written into a package.

from cpython.buffer cimport Py_buffer
from libc.stdint cimport int64_t

from siridb_fast.columns._blocks cimport Cursor, Points
from siridb_fast.protocol._buffer cimport PayloadBuffer


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
        readonly int64_t first_sent  # timestamps of what `append_to` wrote last
        readonly int64_t last_sent
        PointColumn sorted_run       # the copy that was written, if it was out of order
        Points points
        Py_buffer timestamps_view
        Py_buffer values_view

    cdef int _raise(self, Cursor* cursor) except -1
    cdef Py_ssize_t _overhead(self)
    cdef size_t _bound(self, Py_ssize_t start, Py_ssize_t stop)
    cdef int _write(
        self, PayloadBuffer buffer, Py_ssize_t start, Cursor* cursor, Py_ssize_t stop
    ) except -1
