"""The payload of an insert package that knows which series it holds, and where.

The server refuses a package as a whole and names no series: a batch can be cut in halves, without
encoding anything again, until the bad series is alone.
"""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint32_t

from siridb_fast.batching._ends cimport UNLIKE, Ends, value_keys
from siridb_fast.batching._repeat cimport note_left
from siridb_fast.batching._series cimport Series
from siridb_fast.columns._points cimport PointColumn
from siridb_fast.protocol._buffer cimport PayloadBuffer

from siridb_fast.columns._payload import finish_payload, restart_payload

cdef enum:
    FIRST_ENTRIES = 8
    FIRST_BYTE = 1  # of the first series, behind the code that opens the map


@cython.final
cdef class Batch:
    """Series that are appended to one buffer one after another, then sealed."""

    def __cinit__(self, PayloadBuffer buffer=None, *, double oldest=INFINITY):
        self.buffer = PayloadBuffer() if buffer is None else buffer
        self.names = []
        self.all_series = []
        self.repeats = []
        self.credits = []
        self.oldest = oldest
        restart_payload(self.buffer)

    def __dealloc__(self):
        PyMem_RawFree(self.entries)

    def __len__(self):
        return len(self.names)

    def __repr__(self):
        return f"<Batch of {self.points:,} points of {len(self.names):,} series>"

    @property
    def size(self) -> int:
        """Bytes of the payload so far."""
        return self.buffer.size

    def append_column(self, column, Py_ssize_t start, Py_ssize_t stop) -> int:
        """Encode points of a `PointColumn` from its own memory; return how many there were."""
        return self.append_column_of(None, column, start, stop)

    def append_column_of(
        self, Series series, PointColumn column not None, Py_ssize_t start, Py_ssize_t stop
    ) -> int:
        """Do the same for a series of a writer, which takes note of it."""
        cdef Py_ssize_t points = column.append_to(self.buffer, start, stop)
        cdef Ends ends
        if points:
            ends = Ends(first=column.first_sent, last=column.last_sent, key=0, points=UNLIKE)
            if series is not None:
                keys = value_keys(column.newest_sent(start, stop))
                if keys.count(keys[0]) == len(keys):
                    ends.key, ends.points = keys[0], len(keys)
                note_left(series, &ends, self.repeats)
            self.add(column.name, points, series, &ends)
        return points

    def seal(self) -> PayloadBuffer:
        """Close the package; return its payload."""
        return finish_payload(self.buffer)

    def series(self) -> list:
        """Return (name, points) of each series."""
        return [(name, self.points_of(i)) for i, name in enumerate(self.names)]

    def payload_of(self, Py_ssize_t index) -> bytes:
        """Return a payload of one series alone: a copy of its bytes."""
        if not 0 <= index < <Py_ssize_t>len(self.names):
            raise IndexError(f"no series {index} of {len(self.names)}")
        cdef Py_ssize_t start = self.entries[index - 1].stop if index else FIRST_BYTE
        cdef const unsigned char* data = self.buffer.data
        return data[:FIRST_BYTE] + data[start:self.entries[index].stop]

    def span(self) -> tuple:
        """Return the first and the last time of all points; (0, 0) if there are none."""
        cdef Py_ssize_t i, n = len(self.names)
        cdef int64_t first = self.entries[0].ends.first if n else 0
        cdef int64_t last = first
        for i in range(n):
            first = min(first, self.entries[i].ends.first)
            last = max(last, self.entries[i].ends.last)
        return first, last

    def points_of_long_runs(self, Py_ssize_t length) -> int:
        """Return how many points are in runs of more than ``length`` points."""
        cdef Py_ssize_t i, points = 0
        for i in range(len(self.names)):
            if <Py_ssize_t>self.entries[i].points > length:
                points += self.entries[i].points
        return points

    def credit(self, delivery, Py_ssize_t index, Py_ssize_t points) -> None:
        """Credit so many points of an entry to a delivery that waits for them."""
        self.credits.append((delivery, index, points))

    def note_stored(self, dict notes not None) -> list:
        """Take note that all points are delivered: in the notes, and in the series.

        ``notes`` are those of each series, as `siridb_fast.delivery.repeats` has them. Returns the
        names of series where the points have to be looked at for that, of which nothing is noted.
        """
        cdef Py_ssize_t i
        cdef Series series
        cdef Ends* ends
        cdef list names = []
        for i in range(len(self.names)):
            series = self.all_series[i]
            ends = &self.entries[i].ends
            some = notes.get(self.names[i]) if notes else None
            if series is None or (some is not None and not _count_in(<list>some, ends)):
                names.append(self.names[i])
            elif ends.last == series.sent.last:
                if ends.points == UNLIKE:
                    names.append(self.names[i])
                else:
                    series.sent.key = ends.key
                    series.sent.points = ends.points
        return names

    def halves(self) -> tuple:
        """Return two sealed batches, each with half of the series."""
        cdef Py_ssize_t middle = len(self.names) // 2
        return self._slice(0, middle), self._slice(middle, len(self.names))

    cdef int add(self, str name, Py_ssize_t points, Series series, const Ends* ends) except -1:
        # Note the series that has just been appended to the buffer.
        cdef Py_ssize_t capacity
        cdef Entry* entry
        cdef Entry* moved
        if <Py_ssize_t>len(self.names) == self.capacity:
            capacity = max(<Py_ssize_t>FIRST_ENTRIES, self.capacity * 2)
            moved = <Entry*>PyMem_RawRealloc(self.entries, capacity * sizeof(Entry))
            if moved == NULL:
                raise MemoryError("no memory for the series of a package")
            self.entries = moved
            self.capacity = capacity
        entry = &self.entries[len(self.names)]
        entry.points = <uint32_t>points
        entry.stop = <uint32_t>self.buffer.size
        entry.ends = ends[0]
        self.names.append(name)
        self.all_series.append(series)
        self.points += points
        return 0

    cdef Py_ssize_t points_of(self, Py_ssize_t index) noexcept:
        return self.entries[index].points

    cdef Batch _slice(self, Py_ssize_t start, Py_ssize_t stop):
        cdef Batch half = Batch()
        cdef Py_ssize_t i, begin
        for i in range(start, stop):
            begin = self.entries[i - 1].stop if i else FIRST_BYTE
            half.buffer.put_bytes(self.buffer.data + begin, self.entries[i].stop - begin)
            half.add(
                self.names[i], self.entries[i].points, self.all_series[i], &self.entries[i].ends
            )
        half.oldest = self.oldest
        half.credits = [
            (delivery, index - start, points)
            for delivery, index, points in self.credits if start <= index < stop
        ]
        half.seal()
        return half


cdef bint _count_in(list notes, const Ends* ends) except -1:
    # Count a run in the notes of its series; False, and nothing is done, if that takes a look.
    cdef list at_last = []
    cdef int64_t timestamp
    cdef dict delivered
    for note in notes:
        timestamp = note.first
        if note.delivered is None or timestamp < ends.first or timestamp > ends.last:
            continue
        if timestamp < ends.last or ends.points == UNLIKE:
            return False
        at_last.append(note.delivered)
    for delivered in at_last:
        delivered[ends.key] = delivered.get(ends.key, 0) + ends.points
    return True
