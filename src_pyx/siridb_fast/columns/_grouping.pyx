"""Rows of many series, mixed → the rows of each series together, in their order.

Objects become codes first: a label for each different one, and for each row the number of its
label. Then rows are moved by a counting sort, whose time grows with rows and labels only. Knows
nothing of series, points or packages.
"""

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint64_t

import numpy as np

cdef enum:
    SLOT_BITS = 13
    SLOTS = 1 << SLOT_BITS
    MOST_OBJECTS = SLOTS // 2  # found by their address; further ones are looked up


ctypedef fused Code:
    int8_t
    int16_t
    int32_t


cdef struct Slot:
    PyObject* label
    int32_t code


@cython.final
cdef class _Encoder:
    # Finds the code of a label by its address, or else by what it is.
    cdef:
        Slot* slots
        Py_ssize_t objects   # in the slots
        dict codes           # a str, or (type, label): code
        list labels
        object is_missing

    def __cinit__(self, is_missing):
        self.slots = <Slot*>PyMem_Calloc(SLOTS, sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError("no memory for a table of labels")
        self.codes = {}
        self.labels = []
        self.is_missing = is_missing

    def __dealloc__(self):
        PyMem_Free(self.slots)

    cdef int32_t code_of(self, PyObject* label) except -2:
        cdef uint64_t slot = _slot_of(label)
        cdef int32_t code
        while self.slots[slot].label != NULL:
            if self.slots[slot].label == label:
                return self.slots[slot].code
            slot = (slot + 1) % SLOTS
        code = self._find(<object>label)
        if self.objects < MOST_OBJECTS:
            self.slots[slot].label = label
            self.slots[slot].code = code
            self.objects += 1
        return code

    cdef int32_t _find(self, label) except -2:
        key = label if type(label) is str else (type(label), label)
        code = self.codes.get(key)
        if code is None:
            code = -1 if self.is_missing(label) else len(self.labels)
            self.codes[key] = code
            if code >= 0:
                self.labels.append(label)
        return code


def encode_objects(objects not None, is_missing) -> tuple:
    """Return (codes, labels): the different objects in the order they come, and who has which.

    Args:
        objects: An array of objects that can be hashed, shape (n,), contiguous.
        is_missing: Asked once for each different object; what is missing has the code -1.

    Returns:
        codes: int32, shape (n,). labels: A list, in which 1, 1.0 and True are different.
    """
    cdef _Encoder encoder = _Encoder(is_missing)
    cdef Py_ssize_t i, n = len(objects)
    codes = np.empty(n, np.int32)
    cdef int32_t[::1] into = codes
    cdef Py_buffer view
    PyObject_GetBuffer(objects, &view, PyBUF_C_CONTIGUOUS)
    try:
        for i in range(n):
            into[i] = encoder.code_of((<PyObject**>view.buf)[i])
    finally:
        PyBuffer_Release(&view)
    return codes, encoder.labels


def count(const int32_t[::1] codes not None, Py_ssize_t labels) -> tuple:
    """Return how many rows each code has, and whether codes never go down from row to row.

    Args:
        codes: Of the rows, 0 to ``labels`` - 1.
        labels: How many there are.

    Raises:
        IndexError: A code is none of these.
    """
    counts_array = np.zeros(labels, np.int64)
    cdef int64_t[::1] counts = counts_array
    cdef Py_ssize_t bad
    cdef bint is_ascending = True
    with nogil:
        bad = _count(codes, counts, labels, &is_ascending)
    if bad >= 0:
        raise IndexError(f"code {codes[bad]} of row {bad}: there are {labels} labels")
    return counts_array, is_ascending


def present(const Code[::1] codes not None, Py_ssize_t labels) -> list:
    """Return the codes that some row has, ascending; stops once it has seen all.

    Args:
        codes: Of the rows, 0 to ``labels`` - 1.
        labels: How many there are.

    Raises:
        IndexError: A code that it came across is none of these.
    """
    is_there_array = np.zeros(labels, np.uint8)
    cdef uint8_t[::1] is_there = is_there_array
    cdef Py_ssize_t i, left = labels
    for i in range(codes.shape[0]):
        if left == 0:
            return list(range(labels))
        if not 0 <= codes[i] < labels:
            raise IndexError(f"code {codes[i]} of row {i}: there are {labels} labels")
        left -= not is_there[codes[i]]
        is_there[codes[i]] = True
    return np.flatnonzero(is_there_array).tolist()


def group(const int32_t[::1] codes not None, Py_ssize_t labels) -> tuple:
    """Return where each row goes, so that the rows of a code are together, in their order.

    Args:
        codes: Of the rows, 0 to ``labels`` - 1.
        labels: How many there are.

    Returns:
        (present, stops, indices): the codes that have rows, ascending, shape (k,); where the rows
        of each of them end, shape (k,); and the new index of each row, int32, shape (n,).
        ``indices`` is None where rows are together already, in the order of ``present``.

    Raises:
        IndexError: A code is none of these.
    """
    counts_array, is_grouped = count(codes, labels)
    cdef int64_t[::1] counts = counts_array
    present = np.flatnonzero(counts_array)
    stops = np.cumsum(counts_array[present])
    if is_grouped:
        return present, stops, None
    counts_array[present] = stops - counts_array[present]  # where the next of each code goes
    indices_array = np.empty(codes.shape[0], np.int32)
    cdef int32_t[::1] indices = indices_array
    with nogil:
        _number_rows(codes, counts, indices)
    return present, stops, indices_array


def scatter(const int64_t[::1] values not None, const int32_t[::1] indices not None):
    """Return a copy of ``values``, shape (n,), each at its new index."""
    cdef Py_ssize_t i, n = values.shape[0]
    if indices.shape[0] != n:
        raise ValueError(f"{indices.shape[0]} indices for {n} values")
    moved = np.empty(n, np.int64)
    cdef int64_t[::1] into = moved
    with nogil:
        for i in range(n):
            into[indices[i]] = values[i]
    return moved


cdef inline uint64_t _slot_of(PyObject* label) noexcept:
    # Fibonacci hashing of the address, whose lowest bits are always 0
    return ((<uint64_t><size_t>label >> 4) * <uint64_t>0x9E3779B97F4A7C15) >> (64 - SLOT_BITS)


cdef Py_ssize_t _count(
    const int32_t[::1] codes, int64_t[::1] counts, Py_ssize_t labels, bint* is_ascending
) noexcept nogil:
    # Returns the first row whose code is out of range, or -1.
    cdef Py_ssize_t i
    cdef int32_t code, last = 0
    cdef bint never_down = True
    for i in range(codes.shape[0]):
        code = codes[i]
        if code < 0 or code >= labels:
            return i
        counts[code] += 1
        never_down &= code >= last
        last = code
    is_ascending[0] = never_down
    return -1


cdef void _number_rows(
    const int32_t[::1] codes, int64_t[::1] starts, int32_t[::1] indices
) noexcept nogil:
    cdef Py_ssize_t i
    cdef int32_t code
    for i in range(codes.shape[0]):
        code = codes[i]
        indices[i] = <int32_t>starts[code]
        starts[code] += 1
