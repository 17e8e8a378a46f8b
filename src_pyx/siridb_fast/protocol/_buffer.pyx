"""Own memory for one payload: reserve, write, seal, hand out read-only views.

A buffer is written by one owner, sealed, and from then on only read, through the buffer protocol;
transports keep a view until the bytes are on their way. When no view is left it may be cleared and
used again, which saves the page faults of fresh memory. Knows nothing of what the bytes mean.
"""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBUF_WRITABLE
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.string cimport memcpy

cdef enum:
    MIN_CAPACITY = 256

cdef char* BYTES = "B"


cdef class PayloadBuffer:
    """A growing, then sealed, piece of memory; supports the buffer protocol once sealed."""

    def __cinit__(self, size_t capacity=0):
        self.data = NULL
        self.size = 0
        self.capacity = 0
        self.views = 0
        self.is_sealed = False
        if capacity:
            self.reserve(capacity)

    def __dealloc__(self):
        PyMem_RawFree(self.data)

    def __len__(self):
        return self.size

    def __repr__(self):
        state = "sealed" if self.is_sealed else "open"
        return f"<PayloadBuffer {state}, {self.size:,} bytes>"

    def __getbuffer__(self, Py_buffer* view, int flags):
        if not self.is_sealed:
            raise BufferError("the payload is not sealed yet")
        if flags & PyBUF_WRITABLE:
            raise BufferError("a sealed payload does not change")
        view.buf = self.data
        view.obj = self
        view.len = self.size
        view.readonly = 1
        view.itemsize = 1
        view.format = BYTES if flags & PyBUF_FORMAT else NULL
        view.ndim = 1
        view.shape = &view.len if flags & PyBUF_ND else NULL
        view.strides = &view.itemsize if (flags & PyBUF_STRIDES) == PyBUF_STRIDES else NULL
        view.suboffsets = NULL
        view.internal = NULL
        self.views += 1

    def __releasebuffer__(self, Py_buffer* view):
        self.views -= 1

    @property
    def is_free(self) -> bool:
        """Tell whether there is no view of the bytes, so that the memory may be used again."""
        return self.views == 0

    cdef PayloadBuffer seal(self):
        # End the writing; the bytes never change from here on.
        self.is_sealed = True
        return self

    cdef int clear(self) except -1:
        # Forget the bytes but keep the memory, for the next payload.
        if self.views:
            raise BufferError(f"{self.views} views of the payload are in use")
        self.size = 0
        self.is_sealed = False
        return 0

    cdef unsigned char* reserve(self, size_t extra) except NULL:
        # Where to write next; the caller may write `extra` bytes there, then adds them to size.
        cdef size_t needed = self.size + extra
        cdef unsigned char* moved
        if self.is_sealed:
            raise BufferError("a sealed payload does not change")
        if needed > self.capacity or self.data == NULL:
            needed = max(needed, self.capacity + self.capacity // 2, <size_t>MIN_CAPACITY)
            moved = <unsigned char*>PyMem_RawRealloc(self.data, needed)
            if moved == NULL:
                raise MemoryError(f"no memory for a payload of {needed:,} bytes")
            self.data = moved
            self.capacity = needed
        return self.data + self.size

    cdef int put_bytes(self, const void* source, size_t length) except -1:
        memcpy(self.reserve(length), source, length)
        self.size += length
        return 0

    cdef bytes to_bytes(self):
        return PyBytes_FromStringAndSize(<char*>self.data, self.size)
