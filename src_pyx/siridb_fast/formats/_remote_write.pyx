"""Prometheus' remote write 1.0 → points, without an object for each of them.

    WriteRequest { repeated TimeSeries timeseries = 1; }
    TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
    Label        { string name = 1; string value = 2; }
    Sample       { double value = 1; int64 timestamp = 2; }      milliseconds

As protobuf has it; other fields are passed over (prompb/types.proto of Prometheus' sources). A
series is looked up by the bytes of its labels. The place of a point is the number of its series in
the request, from 1. Stale markers, which say that a series has ended, give no point.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.formats._point_rows cimport FLOAT, PointRows
from siridb_fast.formats._text_numbers cimport TextNumbers

from siridb_fast.formats.points import BadLine, LineError, ParsedPoints, PointKey

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5
    LAST_SHIFT = 63
    SHOWN = 40

cdef int64_t STALE = 0x7FF0000000000002
NAME = "__name__"
MALFORMED = "the body is no WriteRequest of protobuf"


cdef struct Field:
    int number
    int kind
    uint64_t value           # of a varint, or the bits of what is fixed
    const char* start        # of bytes
    const char* stop


@cython.final
cdef class RemoteWrite:
    """Reads requests, each of them whole."""

    cdef:
        readonly list series     # a PointKey for each number
        public int64_t line      # the number of the next series of a request
        TextNumbers known        # labels, as they stand in a request
        PointRows rows           # of the request that is read

    def __cinit__(self, int64_t line=1):
        self.series = []
        self.known = TextNumbers()
        self.line = line

    def parse(self, bytes block not None, *, bint is_last=False):
        """Return the points of a request, which is whole.

        Raises:
            LineError: It is no request.
        """
        cdef const char* at = PyBytes_AS_STRING(block)
        cdef const char* stop = at + len(block)
        cdef Field field
        cdef Py_ssize_t first
        self.rows = PointRows()
        bad = []
        while at < stop:
            at = _read(at, stop, &field)
            if at == NULL:
                raise LineError(MALFORMED)
            if field.number != 1 or field.kind != BYTES:
                continue
            first = self.rows.count
            try:
                self._series(field.start, field.stop)
            except LineError as exc:
                self.rows.cut(first)
                bad.append(BadLine(self.line, str(exc)))
            self.line += 1
        rows, self.rows = self.rows, None
        return ParsedPoints(*rows.taken(), rows.texts, bad, len(block))

    cdef int _series(self, const char* begin, const char* stop) except -1:
        cdef const char* at = begin
        cdef const char* before
        cdef const char* first = NULL
        cdef const char* behind = NULL
        cdef Field field
        cdef Py_ssize_t number, start = self.rows.count, row
        cdef bint is_apart = False
        while at < stop:
            before = at
            at = _read(at, stop, &field)
            if at == NULL:
                raise LineError(MALFORMED)
            if field.number == 1 and field.kind == BYTES:
                is_apart |= first != NULL and before != behind
                first = before if first == NULL else first
                behind = at
            elif field.number == 2 and field.kind == BYTES:
                self._sample(field.start, field.stop)
            elif field.number == 4:
                raise LineError("native histograms are not taken")
        if first == NULL or is_apart:
            raise LineError("a series has labels, one behind the other")
        number = self.known.find(first, behind - first)
        if number < 0:
            number = self._new_series(first, behind)
        for row in range(start, self.rows.count):
            self.rows.series[row] = <int>number
        return 0

    cdef int _sample(self, const char* at, const char* stop) except -1:
        cdef Field field
        cdef int64_t bits = 0, time = 0
        while at < stop:
            at = _read(at, stop, &field)
            if at == NULL:
                raise LineError(MALFORMED)
            if field.number == 1 and field.kind == FIXED64:
                bits = <int64_t>field.value
            elif field.number == 2 and field.kind == VARINT:
                time = <int64_t>field.value
        if bits == STALE:
            return 0
        self.rows.reserve(1)
        self.rows.add(0, FLOAT, bits, self.line)
        self.rows.end_line(self.rows.count - 1, time)
        return 0

    cdef Py_ssize_t _new_series(self, const char* begin, const char* stop) except -1:
        cdef const char* at = begin
        cdef Field field
        labels = {}
        while at < stop:
            at = _read(at, stop, &field)
            name, value = _label(field.start, field.stop)
            if name in labels:
                raise LineError(f"the label {name!r} is there twice")
            labels[name] = value
        if not labels.get(NAME):
            raise LineError(f"a series has the label {NAME}")
        key = PointKey(labels.pop(NAME), tuple(sorted(labels.items())))
        self.series.append(key)
        return self.known.add(PyBytes_FromStringAndSize(begin, stop - begin))


cdef tuple _label(const char* at, const char* stop):
    cdef Field field
    parts = {1: "", 2: ""}
    while at < stop:
        at = _read(at, stop, &field)
        if at == NULL:
            raise LineError(MALFORMED)
        if field.kind != BYTES or field.number not in parts:
            continue
        raw = PyBytes_FromStringAndSize(field.start, field.stop - field.start)
        if b"\0" in raw:
            raise LineError(f"there is a NUL in {raw[:SHOWN]!r}")
        try:
            parts[field.number] = raw.decode()
        except UnicodeDecodeError:
            raise LineError(f"{raw[:SHOWN]!r} is not UTF-8") from None
    return parts[1], parts[2]


cdef const char* _read(const char* at, const char* stop, Field* field) noexcept nogil:
    # A field; returns what is behind it, or NULL if it is cut off or of an unknown kind.
    cdef uint64_t tag = 0, size = 0
    at = _varint(at, stop, &tag)
    if at == NULL or tag >> 3 == 0 or tag >> 3 > 0x1FFFFFFF:
        return NULL
    field.number, field.kind = <int>(tag >> 3), <int>(tag & 7)
    if field.kind == VARINT:
        return _varint(at, stop, &field.value)
    size = 8 if field.kind == FIXED64 else 4
    if field.kind == BYTES:
        at = _varint(at, stop, &size)
        if at == NULL:
            return NULL
    elif field.kind != FIXED64 and field.kind != FIXED32:
        return NULL
    if size > <uint64_t>(stop - at):
        return NULL
    field.value = 0
    if field.kind != BYTES:
        memcpy(&field.value, at, size)
    field.start, field.stop = at, at + size
    return field.stop


cdef const char* _varint(const char* at, const char* stop, uint64_t* value) noexcept nogil:
    cdef int shift = 0
    value[0] = 0
    while at < stop and shift <= LAST_SHIFT:
        value[0] |= <uint64_t>(at[0] & 0x7F) << shift
        at += 1
        if not (at - 1)[0] & 0x80:
            return at
        shift += 7
    return NULL
