# Mutator: one input, changed in place.

from libc.stdint cimport uint64_t

cdef enum:
    KEPT_SIZE = 300       # no input is kept that is longer
    USUAL_SIZE = 1_200    # or grows beyond this, unless it is stretched
    # Of an input that is made long: over twice the session's buffer, and over the size from which
    # the decoder of answers releases the GIL.
    MAX_SIZE = 300_000


cdef class Mutator:
    cdef:
        readonly bint is_stream      # the input is packages with headers
        uint64_t state               # of the random numbers
        unsigned char* data          # the input, in memory of MAX_SIZE bytes
        Py_ssize_t size

    cdef uint64_t below(self, uint64_t limit) noexcept
    cdef int load(self, bytes parent) except -1
    cdef int mutate(self, bytes other) except -1
    cdef int _step(self, bytes other) except -1
    cdef unsigned char _code(self) noexcept
    cdef int _put_number(self, Py_ssize_t at, Py_ssize_t left) except -1
    cdef int _remove(self, Py_ssize_t at, Py_ssize_t length) except -1
    cdef unsigned char* _gap(self, Py_ssize_t at, Py_ssize_t length) noexcept
    cdef int _repeat(self, Py_ssize_t at, Py_ssize_t length) except -1
    cdef int _insert_codes(self, Py_ssize_t at, Py_ssize_t length) except -1
    cdef int _insert_token(self, Py_ssize_t at, bytes token, Py_ssize_t times) except -1
    cdef int _insert_part(self, Py_ssize_t at, bytes other) except -1
    cdef int _overwrite(self, Py_ssize_t at, bytes other) except -1
    cdef int _mend_packages(self) except -1
    cdef int _put_packages_before(self) except -1
    cdef bint _put_package(self, Py_ssize_t* at) noexcept
    cdef int _stretch(self) except -1
