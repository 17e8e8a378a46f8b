# PayloadBuffer: the memory that one package's payload is built in.

from libc.stddef cimport size_t


cdef class PayloadBuffer:
    cdef:
        unsigned char* data   # own memory, NULL until the first reserve
        size_t size           # bytes written
        size_t capacity       # bytes owned
        Py_ssize_t views      # exported buffer views; only at 0 may the memory move or change
        bint is_sealed        # sealed bytes never change

    cdef unsigned char* reserve(self, size_t extra) except NULL
    cdef int put_bytes(self, const void* source, size_t length) except -1
    cdef bytes to_bytes(self)
    cdef PayloadBuffer seal(self)
    cdef int clear(self) except -1


cdef inline unsigned char* room(PayloadBuffer buffer, size_t extra) except NULL:
    # reserve() without a call across modules where there is room already
    if buffer.size + extra <= buffer.capacity and not buffer.is_sealed:
        return buffer.data + buffer.size
    return buffer.reserve(extra)
