"""InfluxDB's line protocol → points, without an object for each of them.

    measurement[,tag=value…] field=value[,field=value…] [timestamp]

A head (measurement and tags) is looked up by its bytes, and most often the fields of a line are
those of the line before with that head, in the same order: so a line costs one look-up, and a
field a comparison. Knows nothing of files, connections or units.

What separates is escaped by a backslash before it. Ends of line within the quotes of a text belong
to it. A line that is wrong gives no point, and is told; what follows its end is read again. As in
InfluxDB 1 (models/points.go of its sources), but that times and numbers without room in int64, and
bytes that are no UTF-8, are refused.

QuestDB's clients write a dialect of it: a backslash stands before ends of line and backslashes
too, in texts and in tags, and a number that ends in ``t`` or ``n`` is a time.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memchr, memcmp, memcpy

from siridb_fast.formats._point_rows cimport FLOAT, INTEGER, TEXT, PointRows
from siridb_fast.formats._scan cimport FINE, TOO_LARGE, read_float, read_integer
from siridb_fast.formats._text_numbers cimport TextNumbers

from siridb_fast.formats._point_rows import NO_TIME
from siridb_fast.formats.points import BadLine, LineError, ParsedPoints, PointKey
from siridb_fast.formats.point_keys import (
    field_key, influx_head, questdb_head, questdb_text, text_of,
)

cdef enum:
    FIRST_HEADS = 64
    FIRST_FIELDS = 4
    SHOWN = 40       # characters of what is wrong
    LONGEST_TOKEN = 5  # false

NO_FIELD = "there is no field: expected a blank and field=value"


class _Unfinished(Exception):  # noqa: N818 - the block ends within a line; the text says in what
    pass


@cython.final
cdef class LineProtocol:
    """Reads the lines of one text, block by block; of many, if ``line`` is set in between.

    Integers of a field that had a float are floats, unless it ``keeps_types``.
    """

    def __cinit__(self, int64_t line=1, *, bint keeps_types=False, bint is_questdb=False):
        self.series = []
        self.names = []
        self.known = TextNumbers()
        self.fields = {}
        self.numbers = {}
        self.same = {}
        self.has_floats = bytearray()
        self.line = line
        self.keeps_types = keeps_types
        self.is_questdb = is_questdb
        self.capacity = FIRST_HEADS
        self.heads = <Head*>PyMem_Calloc(self.capacity, sizeof(Head))
        if self.heads == NULL:
            raise MemoryError("no memory for the series of a text")

    def __dealloc__(self):
        cdef Py_ssize_t number
        if self.heads != NULL:
            for number in range(self.count):
                PyMem_Free(self.heads[number].fields)
        PyMem_Free(self.heads)

    def parse(self, bytes block not None, *, bint is_last=False):
        """Return the points of the whole lines of a block, and how many bytes these are.

        What is behind them is to come again, before the next block. Of the last block, the last
        line need not end.
        """
        cdef const char* begin = PyBytes_AS_STRING(block)
        cdef const char* line
        cdef Py_ssize_t first
        cdef int64_t number
        self.rows = PointRows()
        self.at = begin
        self.stop = begin + len(block)
        bad = []
        if not is_last:
            self.stop = begin + block.rfind(b"\n") + 1
        while self.at < self.stop:
            line, first, number = self.at, self.rows.count, self.line
            try:
                self._read_line()
            except _Unfinished as exc:
                self.rows.cut(first)
                self.line = number
                if not is_last:
                    self.at = line
                    break
                self.at = self.stop
                bad.append(BadLine(number, str(exc)))
            except LineError as exc:
                self.rows.cut(first)
                self._skip_line()
                bad.append(BadLine(number, str(exc)))
        rows, self.rows = self.rows, None
        return ParsedPoints(*rows.taken(), rows.texts, bad, self.at - begin)

    # ---- a line

    cdef int _read_line(self) except -1:
        cdef Py_ssize_t number, first = self.rows.count
        cdef int32_t index
        cdef int64_t time = NO_TIME
        self.row = self.line
        while self.at < self.stop and self.at[0] in (c" ", c"\t", c"\0"):
            self.at += 1
        if self._is_at_end() or self.at[0] == c"#":
            self._skip_line()
            return 0
        number = self._head()
        index = self.heads[number].next
        while True:
            index = self._field(number, index)
            if self.rows.count == first:
                self.heads[number].next = index
            self.rows.reserve(1)
            self._value(&self.heads[number].fields[index])
            index += 1
            if self._is_at_end():
                break
            if self.at[0] == c" ":
                self._time(&time)
                break
            if self.at[0] != c",":
                raise LineError(f"expected a comma or a blank behind a value, got {self._shown()}")
            self.at += 1
        self.rows.end_line(first, time)
        self._skip_line()
        return 0

    cdef bint _is_at_end(self) noexcept:
        # Of the line; a carriage return before its end is no part of it.
        if self.at == self.stop or self.at[0] == c"\n":
            return True
        return self.at[0] == c"\r" and (self.at + 1 == self.stop or self.at[1] == c"\n")

    cdef void _skip_line(self) noexcept:
        cdef const char* end = <const char*>memchr(self.at, c"\n", self.stop - self.at)
        self.at = self.stop if end == NULL else end + 1
        self.line += 1

    def _shown(self):
        # What stands here, for error texts.
        cdef Py_ssize_t size = min(self.stop - self.at, SHOWN)
        text = PyBytes_FromStringAndSize(self.at, size).split(b"\n")[0].rstrip(b"\r")
        return repr(text.decode("utf-8", "replace")) if text else "the end of the line"

    # ---- measurement and tags

    cdef Py_ssize_t _head(self) except -1:
        # Its number; behind it, and the blanks behind it.
        cdef const char* begin = self.at
        cdef const char* line_end = <const char*>memchr(begin, c"\n", self.stop - begin)
        cdef const char* end = begin
        cdef Py_ssize_t number
        if line_end == NULL:
            line_end = self.stop
        if self.is_questdb:
            end = self._questdb_head_end()
            line_end = self.stop
        while not self.is_questdb:
            end = <const char*>memchr(end, c" ", line_end - end)
            if end == NULL:
                raise LineError(NO_FIELD)
            if (end - 1)[0] != c"\\":
                break
            end += 1
        self.at = end
        while self.at < line_end and self.at[0] == c" ":
            self.at += 1
        number = self.known.find(begin, end - begin)
        return self._new_head(begin, end - begin) if number < 0 else number

    cdef const char* _questdb_head_end(self) except NULL:
        # Where the blank is behind it; an end of line with a backslash before it belongs to a tag.
        cdef const char* end = self.at
        cdef int64_t lines = 0
        while end < self.stop and end[0] not in (c" ", c"\n"):
            if end[0] == c"\\" and self.stop - end > 1:
                end += 1
                lines += end[0] == c"\n"
            end += 1
        if end == self.stop and (end - 1)[0] == c"\n":
            raise _Unfinished("the text ends behind a backslash")
        if end == self.stop or end[0] == c"\n":
            raise LineError(NO_FIELD)
        self.line += lines
        return end

    cdef Py_ssize_t _new_head(self, const char* text, Py_ssize_t size) except -1:
        cdef Head* heads
        cdef Head* head
        raw = PyBytes_FromStringAndSize(text, size)
        names = questdb_head(raw) if self.is_questdb else influx_head(raw)
        if self.count == self.capacity:
            heads = <Head*>PyMem_Realloc(self.heads, 2 * self.capacity * sizeof(Head))
            if heads == NULL:
                raise MemoryError("no memory for the series of a text")
            self.heads = heads
            self.capacity *= 2
        head = &self.heads[self.count]
        head.count, head.capacity, head.next = 0, FIRST_FIELDS, 0
        head.fields = <Field*>PyMem_Calloc(FIRST_FIELDS, sizeof(Field))
        if head.fields == NULL:
            raise MemoryError("no memory for the fields of a series")
        self.count += 1
        self.names.append((*names, self.same.setdefault(names, self.count)))
        return self.known.add(raw)

    # ---- fields

    cdef int32_t _field(self, Py_ssize_t number, int32_t expected) except -1:
        # The index of the field that begins here; behind its key and "=".
        cdef Head* head = &self.heads[number]
        cdef const char* begin = self.at
        cdef Field* field
        if expected < head.count:
            field = &head.fields[expected]
            if (
                self.stop - begin > field.size
                and begin[field.size] == c"="
                and not memcmp(begin, field.key, field.size)
            ):
                self.at = begin + field.size + 1
                return expected
        while self.at < self.stop and self.at[0] not in (c"=", c",", c" ", c"\n", c"\\"):
            self.at += 1
        while self.at < self.stop and self.at[0] == c"\\":
            self.at += 2 if self.stop - self.at > 1 and self.at[1] != c"\n" else 1
            while self.at < self.stop and self.at[0] not in (c"=", c",", c" ", c"\n", c"\\"):
                self.at += 1
        if self.at >= self.stop or self.at[0] != c"=" or self.at == begin:
            self.at = begin
            raise LineError(f"expected field=value, got {self._shown()}")
        self.at += 1
        return self._new_field(number, begin, self.at - 1 - begin)

    cdef int32_t _new_field(self, Py_ssize_t number, const char* key, Py_ssize_t size) except -1:
        # One that was not expected; it may be known.
        cdef Head* head = &self.heads[number]
        cdef Field* fields
        raw = PyBytes_FromStringAndSize(key, size)
        index = self.fields.get((number, raw))
        if index is not None:
            return index
        name = field_key(raw)
        if head.count == head.capacity:
            fields = <Field*>PyMem_Realloc(
                head.fields, 2 * head.capacity * sizeof(Field)
            )
            if fields == NULL:
                raise MemoryError("no memory for the fields of a series")
            head.fields = fields
            head.capacity *= 2
        measurement, tags, same = self.names[number]
        series = self.numbers.setdefault((same, name), len(self.series))
        if series == len(self.series):  # else its tags stood in another order
            self.series.append(PointKey(measurement, tags, name))
            self.has_floats.append(0)
        self.fields[number, raw] = head.count  # which keeps the bytes of the key
        head.fields[head.count] = Field(PyBytes_AS_STRING(raw), size, series)
        head.count += 1
        return head.count - 1

    cdef int _value(self, Field* field) except -1:
        cdef char first
        if self.at == self.stop:
            raise LineError("expected a value behind '=', got the end of the line")
        first = self.at[0]
        if first == c'"':
            return self._text(field)
        if first in (c"t", c"T", c"f", c"F"):
            return self._truth(field)
        return self._number(field)

    cdef int _text(self, Field* field) except -1:
        cdef const char* begin = self.at + 1
        self.at = begin
        while self.at < self.stop and self.at[0] != c'"':
            if self.at[0] == c"\n":
                self.line += 1
            elif self.at[0] == c"\\" and self.stop - self.at > 1 and self.at[1] in (c'"', c"\\"):
                self.at += 1
            self.at += 1
        if self.at >= self.stop:
            raise _Unfinished("the text has no closing quote")
        raw = PyBytes_FromStringAndSize(begin, self.at - begin)
        text = questdb_text(raw) if self.is_questdb else text_of(raw)
        self.at += 1
        self.rows.add(field.series, TEXT, len(self.rows.texts), self.row)
        self.rows.texts.append(text)
        return 0

    cdef int _number(self, Field* field) except -1:
        cdef const char* begin = self.at
        cdef const char* end = begin
        cdef int64_t integer = 0
        cdef double number = 0.0
        cdef bint is_integer
        cdef char* has_floats
        while end < self.stop and end[0] not in (c",", c" ", c"\n", c"\r"):
            end += 1
        is_integer = end > begin and (
            (end - 1)[0] in (c"i", c"u")
            or (self.is_questdb and (end - 1)[0] in (c"t", c"n"))
        )
        if is_integer:
            error = read_integer(begin, end - 1, &integer)
            if error == FINE and integer < 0 and (end - 1)[0] == c"u":
                error = TOO_LARGE
            number = <double>integer
        else:
            error = read_float(begin, end, &number)
        if error == TOO_LARGE:
            room = "64 bits with a sign" if is_integer else "a float of 64 bits"
            raise LineError(f"the value {self._shown()} does not fit {room}")
        if error != FINE:
            raise LineError(
                f"expected a number, true, false or a text in quotes, got {self._shown()}"
            )
        self.at = end
        has_floats = &PyByteArray_AS_STRING(self.has_floats)[field.series]
        has_floats[0] |= not (is_integer or self.keeps_types)
        if is_integer and not has_floats[0]:
            self.rows.add(field.series, INTEGER, integer, self.row)
        else:
            memcpy(&integer, &number, sizeof(double))
            self.rows.add(field.series, FLOAT, integer, self.row)
        return 0

    cdef int _truth(self, Field* field) except -1:
        cdef const char* end = self.at
        while end < self.stop and end[0] not in (c",", c" ", c"\n", c"\r"):
            end += 1
        word = PyBytes_FromStringAndSize(self.at, min(end - self.at, LONGEST_TOKEN + 1))
        if word in (b"t", b"T", b"true", b"True", b"TRUE"):
            self.rows.add(field.series, INTEGER, 1, self.row)
        elif word in (b"f", b"F", b"false", b"False", b"FALSE"):
            self.rows.add(field.series, INTEGER, 0, self.row)
        else:
            raise LineError(
                f"expected a number, true, false or a text in quotes, got {self._shown()}"
            )
        self.at = end
        return 0

    # ---- the time

    cdef int _time(self, int64_t* time) except -1:
        # Of the line, if it has one; up to its end.
        cdef const char* end
        while self.at < self.stop and self.at[0] == c" ":
            self.at += 1
        if self._is_at_end():
            return 0
        end = self.at
        while end < self.stop and end[0] not in (c" ", c"\n", c"\r"):
            end += 1
        error = read_integer(self.at, end, time)
        if error == TOO_LARGE or (error == FINE and time[0] == NO_TIME):
            raise LineError(f"the timestamp {self._shown()} does not fit 64 bits")
        if error != FINE:
            raise LineError(f"expected a timestamp, a whole number, got {self._shown()}")
        self.at = end
        while self.at < self.stop and self.at[0] == c" ":
            self.at += 1
        if not self._is_at_end():
            raise LineError(f"expected the end of the line, got {self._shown()}")
        return 0
