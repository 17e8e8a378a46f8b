# Packing of any value into a package.

from libc.stddef cimport size_t

from siridb_fast.protocol._buffer cimport PayloadBuffer


cdef enum:
    MAX_DEPTH = 512  # of nested arrays and maps, packed or unpacked; fits the smallest stack


cdef int pack_value(PayloadBuffer buffer, object value, int depth) except -1
cdef int pack_raw(PayloadBuffer buffer, const char* raw, size_t length) except -1
