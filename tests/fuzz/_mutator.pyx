"""Seeded changes of an input: of its bytes, and of what they mean in qpack and in packages.

Knows the type codes and the header of a package, so that changes go deeper than the first check:
lengths next to what is left, runs of openers, whole records, check bytes that are right again.
Knows nothing of who reads the input.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

cdef enum:
    HEADER_SIZE = 8
    OPS = 13
    MAX_STEPS = 4
    STRETCH_ODDS = 65_536
    LONG_STREAM_ODDS = 512
    DEEPEST = 600

# Bodies next to the limits of a session: copied or received in place, its buffer, its answers.
cdef uint32_t[8] LENGTHS = [0, 100, 10_000, 32_768, 50_000, 98_304, 100_000, 131_064]
cdef uint64_t[12] EDGES = [
    0, 1, 99, 100, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff,
    0x7fffffffffffffff, 0xffffffffffffffff,
]
TOKENS = [
    bytes.fromhex(text)
    for text in (
        "8a5f5f74696d6569745f5f", "fcf581618162",  # "__timeit__", the timing of a server
        "8161fc", "8162ed", "8163f2",              # a name, and an array begins
        "efebffffffffffffff7fec000000000000f87f",  # [max, NaN]
        "efea0000000100", "ef00ec0000000000000840", "ef7f01", "efe8017d", "efe901027e",
        "ef0a8178", "efeb000000000000000082c3a4",  # points of text
        "83eda080", "84f09f9880", "81ff", "80",    # a surrogate, an emoji, no UTF-8, nothing
        "e400", "e50100", "e600000000", "e70000000000000000",
        "f4f4f4", "eeee", "f3", "ed", "fcfe", "fdff", "fe", "ff", "7c",
        "00000000010002fd", "03000000010000ff", "01000000020041be",
        "ff7f000003000000ff", "0080000001000000ff", "0180000001000000ff",
    )
]
OPENERS = [bytes.fromhex(text) for text in ("fc", "fd00", "ee", "f400", "f2", "ed", "f3", "fc00")]


cdef class Mutator:
    """Random changes, the same for the same seed and the same parents."""

    def __cinit__(self, uint64_t seed, bint is_stream=False):
        self.is_stream = is_stream
        self.state = (seed + 1) * <uint64_t>0x9E3779B97F4A7C15 | 1
        self.data = <unsigned char*>malloc(MAX_SIZE)
        if self.data == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.data)

    def changed(self, bytes parent, bytes other) -> bytes:
        """Return a changed ``parent``, with parts of ``other`` perhaps."""
        self.load(parent)
        self.mutate(other)
        return self.data[:self.size]

    cdef uint64_t below(self, uint64_t limit) noexcept:
        self.state ^= self.state << 13
        self.state ^= self.state >> 7
        self.state ^= self.state << 17
        return (self.state >> 11) % limit if limit else 0

    cdef int load(self, bytes parent) except -1:
        self.size = min(PyBytes_GET_SIZE(parent), <Py_ssize_t>MAX_SIZE)
        memcpy(self.data, PyBytes_AS_STRING(parent), self.size)
        return 0

    cdef int mutate(self, bytes other) except -1:
        cdef int steps = 1 + <int>self.below(MAX_STEPS)
        while steps:
            self._step(other)
            steps -= 1
        if self.is_stream and self.below(4):
            self._mend_packages()
        if self.is_stream and self.below(LONG_STREAM_ODDS) == 0:
            self._put_packages_before()
        elif self.below(STRETCH_ODDS) == 0:
            self._stretch()
        return 0

    cdef int _step(self, bytes other) except -1:
        cdef uint64_t op = self.below(OPS)
        cdef Py_ssize_t at = self.below(self.size + 1)
        cdef Py_ssize_t left = self.size - at
        cdef Py_ssize_t length = 1 + self.below(1 << self.below(7))
        if op == 0 and left:
            self.data[at] ^= 1 << self.below(8)
        elif op == 1 and left:
            self.data[at] = self._code()
        elif op == 2 and left:
            self.data[at] += <uint8_t>(self.below(33) - 16)
        elif op == 3 and left:
            self._put_number(at, left)
        elif op == 4:
            self._remove(at, min(length, left))
        elif op == 5:
            self._repeat(at, min(length, left))
        elif op == 6:
            self._insert_codes(at, min(length, <Py_ssize_t>8))
        elif op == 7:
            self._insert_token(at, TOKENS[self.below(len(TOKENS))], 1)
        elif op == 8 and self.below(4) == 0:
            length = self.below(DEEPEST) >> self.below(9)
            self._insert_token(at, OPENERS[self.below(len(OPENERS))], length)
        elif op == 9:
            self._insert_part(at, other)
        elif op == 10 and self.below(3) == 0:
            self.size = at
        elif op == 11:
            self._overwrite(at, other)
        elif left:
            self.data[at] = <uint8_t>self.below(256)
        return 0

    cdef unsigned char _code(self) noexcept:
        # a type code, those behind the small integers more often
        return <uint8_t>(124 + self.below(132) if self.below(8) else self.below(124))

    cdef int _put_number(self, Py_ssize_t at, Py_ssize_t left) except -1:
        # a length or number of 1, 2, 4 or 8 bytes: an edge, or next to what is left
        cdef uint64_t number = EDGES[self.below(12)]
        cdef Py_ssize_t width = 1 << self.below(4)
        if self.below(2):
            number = <uint64_t>(left - width)
        number += self.below(5) - 2
        memcpy(self.data + at, &number, min(width, left))
        return 0

    cdef int _remove(self, Py_ssize_t at, Py_ssize_t length) except -1:
        memmove(self.data + at, self.data + at + length, self.size - at - length)
        self.size -= length
        return 0

    cdef unsigned char* _gap(self, Py_ssize_t at, Py_ssize_t length) noexcept:
        # Make room at `at`; NULL where there is none.
        if length <= 0 or self.size + length > USUAL_SIZE:
            return NULL
        memmove(self.data + at + length, self.data + at, self.size - at)
        self.size += length
        return self.data + at

    cdef int _repeat(self, Py_ssize_t at, Py_ssize_t length) except -1:
        if self._gap(at, length) != NULL:
            memcpy(self.data + at, self.data + at + length, length)
        return 0

    cdef int _insert_codes(self, Py_ssize_t at, Py_ssize_t length) except -1:
        cdef unsigned char* p = self._gap(at, length)
        cdef Py_ssize_t i
        if p != NULL:
            for i in range(length):
                p[i] = self._code()
        return 0

    cdef int _insert_token(self, Py_ssize_t at, bytes token, Py_ssize_t times) except -1:
        cdef Py_ssize_t length = PyBytes_GET_SIZE(token)
        cdef unsigned char* p = self._gap(at, times * length)
        cdef Py_ssize_t i
        if p != NULL:
            for i in range(times):
                memcpy(p + i * length, PyBytes_AS_STRING(token), length)
        return 0

    cdef int _insert_part(self, Py_ssize_t at, bytes other) except -1:
        cdef Py_ssize_t begin = self.below(PyBytes_GET_SIZE(other) + 1)
        cdef Py_ssize_t length = self.below(PyBytes_GET_SIZE(other) - begin + 1)
        cdef unsigned char* p = self._gap(at, length)
        if p != NULL:
            memcpy(p, PyBytes_AS_STRING(other) + begin, length)
        return 0

    cdef int _overwrite(self, Py_ssize_t at, bytes other) except -1:
        cdef Py_ssize_t begin = self.below(PyBytes_GET_SIZE(other) + 1)
        cdef Py_ssize_t length = self.below(PyBytes_GET_SIZE(other) - begin + 1)
        memcpy(self.data + at, PyBytes_AS_STRING(other) + begin, min(length, self.size - at))
        return 0

    cdef int _mend_packages(self) except -1:
        # Make the check bytes right, and lengths that reach behind the end shorter, mostly.
        cdef Py_ssize_t at = 0, left
        cdef uint32_t length
        while self.size - at >= HEADER_SIZE and self.below(64):
            left = self.size - at - HEADER_SIZE
            memcpy(&length, self.data + at, 4)
            if length > left and self.below(4):
                length = <uint32_t>self.below(left + 1)
                memcpy(self.data + at, &length, 4)
            self.data[at + 7] = self.data[at + 6] ^ 255
            at += HEADER_SIZE + <int64_t>length
        return 0

    cdef int _put_packages_before(self) except -1:
        # Long packages, as many as there is room for, and then the input.
        cdef Py_ssize_t goal = self.below(MAX_SIZE), at = 0
        memmove(self.data + MAX_SIZE - self.size, self.data, self.size)
        while at < goal and self._put_package(&at):
            pass
        memmove(self.data + at, self.data + MAX_SIZE - self.size, self.size)
        self.size += at
        return 0

    cdef bint _put_package(self, Py_ssize_t* at) noexcept:
        # Tell whether there was room for one.
        cdef uint32_t length = LENGTHS[self.below(8)] + <uint32_t>self.below(3)
        cdef unsigned char* p = self.data + at[0]
        cdef Py_ssize_t i
        if at[0] + HEADER_SIZE + <Py_ssize_t>length + self.size > MAX_SIZE:
            return False
        memcpy(p, &length, 4)
        p[4], p[5] = self.below(8), 0
        p[6], p[7] = 0, 255
        for i in range(length):
            p[HEADER_SIZE + i] = <uint8_t>(i * 31 + (i >> 8) + at[0])
        at[0] += HEADER_SIZE + length
        return True

    cdef int _stretch(self) except -1:
        # Repeat the end of the input until it is a long one.
        cdef Py_ssize_t period = 1 + self.below(self.size)
        cdef Py_ssize_t goal = self.below(MAX_SIZE)
        if self.size == 0:
            return 0
        while self.size < goal:
            self.data[self.size] = self.data[self.size - period]
            self.size += 1
        return 0
