"""Different texts → numbers from 0, in the order they come; found without making an object."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef enum:
    FIRST = 64  # texts there is room for; twice as many slots

cdef uint64_t ODD = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio
cdef uint64_t MIX = 0xD6E8FEB86659FD93


@cython.final
cdef class TextNumbers:
    """A table that only grows."""

    def __cinit__(self):
        self.texts = []
        self.capacity = FIRST
        self.mask = 2 * FIRST - 1
        self.entries = <Text*>PyMem_Calloc(self.capacity, sizeof(Text))
        self.slots = <int32_t*>PyMem_Calloc(self.mask + 1, sizeof(int32_t))
        if self.entries == NULL or self.slots == NULL:
            raise MemoryError("no memory for a table of texts")

    def __dealloc__(self):
        PyMem_Free(self.entries)
        PyMem_Free(self.slots)

    cdef Py_ssize_t find(self, const char* start, Py_ssize_t size) noexcept nogil:
        # The number of a text; -1: it has none.
        cdef uint64_t hash = _hash(start, size)
        cdef Py_ssize_t slot = <Py_ssize_t>(hash & <uint64_t>self.mask)
        cdef Text* entry
        while self.slots[slot]:
            entry = &self.entries[self.slots[slot] - 1]
            if entry.hash == hash and entry.size == size and not memcmp(entry.start, start, size):
                return self.slots[slot] - 1
            slot = (slot + 1) & self.mask
        return -1

    cdef Py_ssize_t add(self, bytes text) except -1:
        # Return the number of a text that has none yet.
        cdef Py_ssize_t number = len(self.texts)
        cdef const char* start = PyBytes_AS_STRING(text)
        if number == self.capacity:
            self._grow()
        self.entries[number] = Text(start, len(text), _hash(start, len(text)))
        self.texts.append(text)
        self._put(self.slots, self.mask, <int32_t>number)
        return number

    cdef int _grow(self) except -1:
        cdef Py_ssize_t mask = 4 * self.capacity - 1
        cdef int32_t number
        cdef Text* entries = <Text*>PyMem_Realloc(self.entries, 2 * self.capacity * sizeof(Text))
        cdef int32_t* slots
        if entries == NULL:
            raise MemoryError("no memory for a table of texts")
        self.entries = entries
        slots = <int32_t*>PyMem_Calloc(mask + 1, sizeof(int32_t))
        if slots == NULL:
            raise MemoryError("no memory for a table of texts")
        for number in range(<int32_t>len(self.texts)):
            self._put(slots, mask, number)
        PyMem_Free(self.slots)
        self.slots, self.mask = slots, mask
        self.capacity *= 2
        return 0

    cdef void _put(self, int32_t* slots, Py_ssize_t mask, int32_t number) noexcept nogil:
        cdef Py_ssize_t slot = <Py_ssize_t>(self.entries[number].hash & <uint64_t>mask)
        while slots[slot]:
            slot = (slot + 1) & mask
        slots[slot] = number + 1


cdef uint64_t _hash(const char* text, Py_ssize_t size) noexcept nogil:
    # Eight bytes at a time, the last ones perhaps once more; each step mixes all bits of what came
    # before. Copies are of fixed sizes, which compilers turn into loads.
    cdef uint64_t hash = <uint64_t>size * ODD
    cdef const char* end = text + size
    if size < 8:
        return _mixed(hash, _short_word(text, size))
    while end - text > 8:
        hash = _mixed(hash, _word(text))
        text += 8
    return _mixed(hash, _word(end - 8))


cdef inline uint64_t _mixed(uint64_t hash, uint64_t word) noexcept nogil:
    hash = (hash ^ word) * MIX
    return hash ^ (hash >> 32)


cdef inline uint64_t _word(const char* text) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, text, 8)
    return word


cdef inline uint64_t _short_word(const char* text, Py_ssize_t size) noexcept nogil:
    # Of fewer than eight bytes.
    cdef uint32_t first, last
    if size >= 4:
        memcpy(&first, text, 4)
        memcpy(&last, text + size - 4, 4)
        return (<uint64_t>first << 32) | last
    if not size:
        return 0
    first = (<uint32_t><uint8_t>text[0] << 16) | (<uint32_t><uint8_t>text[size >> 1] << 8)
    return first | <uint8_t>text[size - 1]
