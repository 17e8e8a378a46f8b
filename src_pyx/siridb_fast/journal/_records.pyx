"""The records of sound frames → the points that they have.

Numbers come as arrays, with a code for the series of each. Points of a series whose name is in no
sound frame are counted, and left out. Knows nothing of files and frames.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.batching._point_log cimport NAME, NUMBERS, PAYLOAD, TEXTS, padded
from siridb_fast.batching._series cimport FLOAT, INTEGER, STRING

import numpy as np

cdef enum:
    HEADER = 8
    KIND_SHIFT = 24
    COUNT_MASK = (1 << 24) - 1
    UNNAMED = -1

TYPES = {<int>INTEGER: "integer", <int>FLOAT: "float", <int>STRING: "string"}


cdef class PointReader:
    """Reads the records of one journal, in their order.

    Attributes:
        series: A (name, type) for each code.
        texts: By the code of their series: timestamps, and values as bytes.
        payloads: Of insert packages, as bytes.
        lost: How many points have no name.
    """

    cdef:
        readonly list series
        readonly dict texts
        readonly list payloads
        readonly Py_ssize_t lost
        dict codes      # by (segment, the number of the series there)
        dict by_series  # by (name, type)
        Py_ssize_t numbers

    def __init__(self):
        self.series, self.texts, self.payloads = [], {}, []
        self.codes, self.by_series = {}, {}

    def read_names(self, uint64_t segment, const unsigned char[::1] records) -> None:
        """Learn the names that a frame of a segment has; all of them, before `read`."""
        cdef Py_ssize_t at = 0, n
        cdef uint32_t first, second
        while _next(records, at, &first, &second):
            n = second & COUNT_MASK
            if second >> KIND_SHIFT == NAME:
                name = bytes(records[at + HEADER:at + HEADER + n]).decode("utf-8", "replace")
                self._learn(segment, first, name, TYPES.get(records[at + HEADER + n], "float"))
            elif second >> KIND_SHIFT == NUMBERS:
                self.numbers += n
            at += _size(records, at, first, second)

    def read(self, frames) -> tuple:
        """Return (codes, timestamps, values) of all numbers, the values by their bits.

        Args:
            frames: (segment, records) of those that `read_names` had.

        Returns:
            int32, int64 and int64, shape (n,).
        """
        codes = np.empty(self.numbers, np.int32)
        timestamps, values = np.empty(self.numbers, np.int64), np.empty(self.numbers, np.int64)
        done = 0
        for segment, records in frames:
            done = self._read(segment, records, codes, timestamps, values, done)
        return codes[:done], timestamps[:done], values[:done]

    def _learn(self, segment, number, name, type_):
        code = self.by_series.setdefault((name, type_), len(self.series))
        if code == len(self.series):
            self.series.append((name, type_))
        self.codes[segment, number] = code

    cdef Py_ssize_t _read(
        self, uint64_t segment, const unsigned char[::1] records, int32_t[::1] codes,
        int64_t[::1] timestamps, int64_t[::1] values, Py_ssize_t done,
    ) except -1:
        cdef Py_ssize_t at = 0, n, i
        cdef uint32_t first, second, last = 0
        cdef int32_t code = UNNAMED
        cdef bint is_known = False
        while _next(records, at, &first, &second):
            n = second & COUNT_MASK
            if second >> KIND_SHIFT == PAYLOAD:
                self.payloads.append(bytes(records[at + HEADER:at + HEADER + first]))
            elif second >> KIND_SHIFT != NAME:
                if not is_known or first != last:
                    code = self.codes.get((segment, first), UNNAMED)
                    last, is_known = first, True
                if code == UNNAMED:
                    self.lost += n
                elif second >> KIND_SHIFT == TEXTS:
                    self._read_texts(code, records, at + HEADER, n)
                else:
                    for i in range(n):
                        codes[done] = code
                        memcpy(&timestamps[done], &records[at + HEADER + i * 16], 8)
                        memcpy(&values[done], &records[at + HEADER + i * 16 + 8], 8)
                        done += 1
            at += _size(records, at, first, second)
        return done

    cdef int _read_texts(
        self, int32_t code, const unsigned char[::1] records, Py_ssize_t at, Py_ssize_t n
    ) except -1:
        cdef int64_t timestamp
        cdef uint64_t length
        timestamps, values = self.texts.setdefault(code, ([], []))
        for _ in range(n):
            memcpy(&timestamp, &records[at], 8)
            memcpy(&length, &records[at + 8], 8)
            timestamps.append(timestamp)
            values.append(bytes(records[at + 16:at + 16 + <Py_ssize_t>length]))
            at += 16 + padded(length)
        return 0


cdef bint _next(
    const unsigned char[::1] records, Py_ssize_t at, uint32_t* first, uint32_t* second
) noexcept:
    # The two words of the record there; False at the end.
    if at + HEADER > records.shape[0]:
        return False
    memcpy(first, &records[at], 4)
    memcpy(second, &records[at + 4], 4)
    return True


cdef Py_ssize_t _size(
    const unsigned char[::1] records, Py_ssize_t at, uint32_t first, uint32_t second
) noexcept:
    cdef Py_ssize_t n = second & COUNT_MASK, end = at + HEADER
    cdef uint32_t kind = second >> KIND_SHIFT
    cdef uint64_t length
    if kind == NUMBERS:
        return HEADER + n * 16
    if kind == NAME:
        return HEADER + padded(n + 1)
    if kind == PAYLOAD:
        return HEADER + padded(first)
    for _ in range(n):
        memcpy(&length, &records[end + 8], 8)
        end += 16 + padded(length)
    return end - at
