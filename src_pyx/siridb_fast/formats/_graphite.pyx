"""Graphite's plaintext protocol → points, without an object for each of them.

    path[;tag=value…] value timestamp

All values are floats; nan is left out, as whoever writes it has no value. Timestamps are seconds
unless another unit is said, with a fraction if a sender has one, and become nanoseconds; -1 says
none, as in carbon. Knows nothing of files and connections. A line that is wrong gives no point,
and is told.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.string cimport memchr, memcpy

from siridb_fast.formats._point_rows cimport FLOAT, PointRows
from siridb_fast.formats._scan cimport FINE, NO_NUMBER, TOO_LARGE, read_float, read_integer
from siridb_fast.formats._text_numbers cimport TextNumbers

from siridb_fast.formats._point_rows import NO_TIME
from siridb_fast.formats.point_keys import graphite_path
from siridb_fast.formats.points import BadLine, LineError, ParsedPoints, PointKey

cdef enum:
    FRACTION = 9     # digits of a second, down to nanoseconds
    SHOWN = 40

cdef int64_t SECOND = 1_000_000_000
cdef int64_t LAST = (<int64_t>1 << 62) - 1 + (<int64_t>1 << 62)


@cython.final
cdef class Graphite:
    """Reads the lines of one text, block by block; of many, if ``line`` is set in between."""

    cdef:
        readonly list series     # a PointKey for each number
        public int64_t line      # the next one that is read
        int64_t unit             # nanoseconds of one of a timestamp
        TextNumbers known        # paths with their tags, as they stand in the text
        PointRows rows           # of the block that is read

    def __cinit__(self, int64_t line=1, int64_t unit=SECOND):
        self.series = []
        self.known = TextNumbers()
        self.line = line
        self.unit = unit

    def parse(self, bytes block not None, *, bint is_last=False):
        """Return the points of the whole lines of a block, and how many bytes these are.

        What is behind them is to come again, before the next block. Of the last block, the last
        line need not end.
        """
        cdef const char* begin = PyBytes_AS_STRING(block)
        cdef const char* at = begin
        cdef const char* end
        cdef const char* stop = begin + len(block)
        self.rows = PointRows()
        bad = []
        while at < stop:
            end = <const char*>memchr(at, c"\n", stop - at)
            if end == NULL:
                if not is_last:
                    break
                end = stop
            try:
                self._read_line(at, end)
            except LineError as exc:
                bad.append(BadLine(self.line, str(exc)))
            self.line += 1
            at = min(end + 1, stop)
        rows, self.rows = self.rows, None
        return ParsedPoints(*rows.taken(), rows.texts, bad, at - begin)

    cdef int _read_line(self, const char* begin, const char* stop) except -1:
        cdef const char* path = _behind_blanks(begin, stop)
        cdef const char* path_end = _to_blank(path, stop)
        cdef const char* value = _behind_blanks(path_end, stop)
        cdef const char* value_end = _to_blank(value, stop)
        cdef const char* time = _behind_blanks(value_end, stop)
        cdef const char* time_end = _to_blank(time, stop)
        cdef Py_ssize_t number
        cdef int64_t at = 0, bits = 0
        cdef double read = 0.0
        if path == stop or path[0] == c"#":
            return 0
        if time == stop or _behind_blanks(time_end, stop) != stop:
            raise LineError(f"expected path, value and timestamp, got {_shown(path, stop)}")
        at = _time(time, time_end, self.unit)
        number = self.known.find(path, path_end - path)
        if number < 0:
            number = self._new_series(path, path_end)
        error = read_float(value, value_end, &read)
        if error == TOO_LARGE:
            shown = _shown(value, value_end)
            raise LineError(f"the value {shown} does not fit a float of 64 bits")
        if error != FINE:
            if _is_nan(value, value_end):
                return 0
            raise LineError(f"expected a number, got {_shown(value, value_end)}")
        memcpy(&bits, &read, sizeof(double))
        self.rows.reserve(1)
        self.rows.add(<int>number, FLOAT, bits, self.line)
        self.rows.end_line(self.rows.count - 1, at)
        return 0

    cdef Py_ssize_t _new_series(self, const char* path, const char* end) except -1:
        raw = PyBytes_FromStringAndSize(path, end - path)
        key = PointKey(*graphite_path(raw))
        self.series.append(key)
        return self.known.add(raw)


cdef int64_t _time(const char* begin, const char* end, int64_t unit) except? -1:
    # In nanoseconds.
    cdef const char* point = <const char*>memchr(begin, c".", end - begin)
    cdef const char* whole = end if point == NULL else point
    cdef int64_t seconds = 0, fraction = 0
    cdef int digits = 0
    error = read_integer(begin, whole, &seconds)
    if error != NO_NUMBER and point != NULL:
        point += 1
        while point < end and c"0" <= point[0] <= c"9":
            if digits < FRACTION:
                fraction = fraction * 10 + (point[0] - c"0")
                digits += 1
            elif point[0] != c"0":
                break
            point += 1
        error = FINE if point == end else NO_NUMBER
    if error == TOO_LARGE or not -(LAST // unit) < seconds < LAST // unit:
        raise LineError(
            f"the timestamp {_shown(begin, end)} does not fit 64 bits of nanoseconds; unit= "
            "(--unit) says what it is of"
        )
    if error != FINE:
        raise LineError(f"expected a timestamp, got {_shown(begin, end)}")
    if seconds == -1 and point == NULL:
        return NO_TIME
    while digits < FRACTION:
        fraction *= 10
        digits += 1
    fraction //= SECOND // unit
    return seconds * unit + (-fraction if begin[0] == c"-" else fraction)


cdef const char* _behind_blanks(const char* at, const char* stop) noexcept nogil:
    while at < stop and at[0] in (c" ", c"\t", c"\r"):
        at += 1
    return at


cdef const char* _to_blank(const char* at, const char* stop) noexcept nogil:
    while at < stop and at[0] not in (c" ", c"\t", c"\r"):
        at += 1
    return at


cdef bint _is_nan(const char* begin, const char* end):
    return PyBytes_FromStringAndSize(begin, end - begin).lower() in (b"nan", b"-nan", b"none")


cdef str _shown(const char* begin, const char* end):
    cdef Py_ssize_t size = end - begin
    text = PyBytes_FromStringAndSize(begin, min(size, <Py_ssize_t>SHOWN))
    return repr(text.rstrip().decode("utf-8", "replace"))
