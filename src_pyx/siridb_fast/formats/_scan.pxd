"""Numbers at a place of a text. They end where a character stands that is no part of them."""

from libc.stdint cimport int64_t


cdef enum NumberError:
    FINE = 0
    NO_NUMBER = 1
    TOO_LARGE = 2


cdef NumberError read_integer(const char* start, const char* stop, int64_t* value) noexcept nogil
cdef NumberError read_float(const char* start, const char* stop, double* value)
