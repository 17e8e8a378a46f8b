"""The payload of an insert package that knows which series it holds, and where.

The server refuses a package as a whole and names no series: a batch can be cut in halves, without
encoding anything again, until the bad series is alone.
"""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.math cimport INFINITY

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
        cdef Py_ssize_t points = column.append_to(self.buffer, start, stop)
        if points:
            self.add(column.name, points)
        return points

    def seal(self) -> PayloadBuffer:
        """Close the package; return its payload."""
        return finish_payload(self.buffer)

    def series(self) -> list:
        """Return (name, points) of each series."""
        return [(name, self.entry(i).points) for i, name in enumerate(self.names)]

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

    def halves(self) -> tuple:
        """Return two sealed batches, each with half of the series."""
        cdef Py_ssize_t middle = len(self.names) // 2
        return self._slice(0, middle), self._slice(middle, len(self.names))

    cdef int add(self, str name, Py_ssize_t points) except -1:
        # Note the series that has just been appended to the buffer.
        cdef Py_ssize_t capacity
        cdef Entry* moved
        if <Py_ssize_t>len(self.names) == self.capacity:
            capacity = max(<Py_ssize_t>FIRST_ENTRIES, self.capacity * 2)
            moved = <Entry*>PyMem_RawRealloc(self.entries, capacity * sizeof(Entry))
            if moved == NULL:
                raise MemoryError("no memory for the series of a package")
            self.entries = moved
            self.capacity = capacity
        self.entries[len(self.names)] = Entry(points=points, stop=self.buffer.size)
        self.names.append(name)
        self.points += points
        return 0

    cdef Entry entry(self, Py_ssize_t index):
        return self.entries[index]

    cdef Batch _slice(self, Py_ssize_t start, Py_ssize_t stop):
        cdef Batch half = Batch()
        cdef Py_ssize_t i, begin
        for i in range(start, stop):
            begin = self.entries[i - 1].stop if i else FIRST_BYTE
            half.buffer.put_bytes(self.buffer.data + begin, self.entries[i].stop - begin)
            half.add(self.names[i], self.entries[i].points)
        half.oldest = self.oldest
        half.credits = [
            (delivery, index - start, points)
            for delivery, index, points in self.credits if start <= index < stop
        ]
        half.seal()
        return half
