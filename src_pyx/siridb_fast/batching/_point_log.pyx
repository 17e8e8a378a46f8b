"""Points as records for a journal, from the moment they are accepted until they are on disk.

One thread at a time fills blocks of records: whoever has the GIL. Another one, which does not need
the GIL, takes them. A series is named before its first record of a segment, and once more in a
later frame: the others can be read when one of them is damaged. Where there is no
memory for a record, its points are added with the next ones of their series.

Knows nothing of files. Little-endian, as the machine is.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.pythread cimport (
    WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
    PyThread_release_lock,
)
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.batching._series cimport STRING, Chunk, Sample, Series, samples_of, seal_tail

cdef enum:
    SEGMENT_BYTES = 16 * 1024 * 1024
    LONGEST_RUN = 512       # points in one record
    ELSEWHERE = 2


@cython.final
cdef class PointLog:
    """The points of one coalescer that are not on disk yet.

    ``first_segment`` is the number of the first segment; they count up.
    """

    def __cinit__(self, first_segment=1, Py_ssize_t segment_bytes=SEGMENT_BYTES):
        self.segment = first_segment
        self.segment_limit = segment_bytes
        self.alarm = PyThread_allocate_lock()
        self.first = self.last = _new_block(BLOCK_BYTES, self.segment)
        if self.first == NULL or self.alarm == NULL:
            raise MemoryError("no memory for the journal")
        PyThread_acquire_lock(self.alarm, WAIT_LOCK)

    def __dealloc__(self):
        cdef LogBlock* block
        while self.first != NULL:
            block = self.first
            self.first = block.next
            PyMem_RawFree(block)
        if self.alarm != NULL:
            PyThread_free_lock(self.alarm)

    @property
    def points(self) -> int:
        """How many ever came."""
        return self.former_points + <uint64_t>self.last.points

    @property
    def points_taken(self) -> int:
        """How many points are on disk, of `points`."""
        return observe_count(&self.taken_points)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of records that are not on disk."""
        return self.backlog()

    @property
    def is_segment_empty(self) -> bool:
        """Tell whether the segment has no record yet."""
        return self.segment_bytes == 0 and not self._filled()

    def begin_segment(self) -> None:
        """Begin another segment, if this one has records."""
        if not self.is_segment_empty:
            self._begin_segment()

    def add_payload(self, const unsigned char[::1] payload not None, Py_ssize_t points) -> None:
        """Add the points of a sealed insert package, which were in no run.

        Raises:
            MemoryError: There is no memory for that.
        """
        cdef Py_ssize_t size = payload.shape[0]
        cdef unsigned char* p = self._room(HEADER + padded(size))
        if p == NULL:
            raise MemoryError(f"no memory for a record of {size:,} bytes")
        _put_header(p, <uint32_t>size, PAYLOAD, 0)
        memcpy(p + HEADER, &payload[0], size)
        self._publish(HEADER + padded(size), points)

    cdef void add_slowly(self, Series series) noexcept:
        # Whatever `add_points` cannot add at once.
        cdef Py_ssize_t new = series.taken + series.points - series.logged
        cdef Py_ssize_t n
        if series.logged < series.taken:  # there was no memory for some, and they have left
            series.logged = series.taken
            new = series.points
        while new > 0:
            n = min(new, <Py_ssize_t>LONGEST_RUN)
            if not self._name(series) or not self._add_run(series, n):
                return
            series.logged += n
            new -= n

    cdef bint _name(self, Series series) noexcept:
        # See that the segment has its name, and its type; False without memory.
        cdef uint64_t tag = self.segment << SEGMENT_SHIFT | <uint64_t>series.type << TYPE_SHIFT
        cdef Py_ssize_t length = 0, size
        cdef const char* name
        cdef unsigned char* p
        if series.log_tag & ~<uint64_t>NAMED_TWICE == tag:
            if series.log_tag & NAMED_TWICE or self._place() - series.log_place < ELSEWHERE:
                return True
            tag |= NAMED_TWICE
        name = PyUnicode_AsUTF8AndSize(series.name, &length)  # it was made when it was written
        size = HEADER + padded(length + 1)
        p = self._room(size)
        if p == NULL:
            return False
        if series.log_tag >> SEGMENT_SHIFT != self.segment:  # or it has become another one
            tag = self.segment << SEGMENT_SHIFT | <uint64_t>series.type << TYPE_SHIFT
            series.log_id = self.next_id
            self.next_id += 1
        elif not tag & NAMED_TWICE:  # of another type now
            series.log_id = self.next_id
            self.next_id += 1
        series.log_tag = tag
        series.log_place = self._place()
        _put_header(p, series.log_id, NAME, length)
        memcpy(p + HEADER, name, length)
        p[HEADER + length] = <unsigned char>series.type
        self._publish(size, 0)
        return True

    cdef bint _add_run(self, Series series, Py_ssize_t n) noexcept:
        # A record of the first `n` points that were not added; False without memory.
        cdef Chunk* chunk = series.head
        cdef Py_ssize_t skip = series.start + series.logged - series.taken
        cdef Py_ssize_t index, size = HEADER + n * <Py_ssize_t>sizeof(Sample)
        cdef Sample* sample
        cdef unsigned char* p
        cdef Py_ssize_t length
        seal_tail(series)
        if n <= series.slot - samples_of(series.tail) and (
            series.taken + series.points - series.logged == n
        ):
            chunk = series.tail  # as it is nearly always
            skip = chunk.stop - n
        while skip >= chunk.stop:
            skip -= chunk.stop
            chunk = chunk.next
        if series.type == STRING:
            size = HEADER + _texts_bytes(chunk, skip, n)
        p = self._room(size)
        if p == NULL:
            return False
        if series.log_tag >> SEGMENT_SHIFT != self.segment:  # the room is in a new segment
            return self._name(series) and self._add_run(series, n)
        _put_header(p, series.log_id, TEXTS if series.type == STRING else NUMBERS, n)
        p += HEADER
        index = skip
        for _ in range(n):
            while index == chunk.stop:
                chunk = chunk.next
                index = 0
            sample = &samples_of(chunk)[index]
            index += 1
            if series.type != STRING:
                memcpy(p, sample, sizeof(Sample))
                p += sizeof(Sample)
                continue
            length = PyBytes_GET_SIZE(<bytes>sample.value.text)
            (<int64_t*>p)[0] = sample.timestamp
            (<uint64_t*>p)[1] = <uint64_t>length
            memcpy(p + 16, PyBytes_AS_STRING(<bytes>sample.value.text), length)
            p += 16 + padded(length)
        self._publish(size, n)
        return True

    cdef unsigned char* _room(self, Py_ssize_t size) noexcept:
        # For a record: where it begins; NULL without memory. Nothing is taken before it is
        # published.
        cdef LogBlock* block = self.last
        cdef LogBlock* fresh
        if block.capacity - block.filled >= size and block.segment == self.segment:
            return records_of(block) + block.filled
        if self.segment_bytes + self._filled() >= self.segment_limit:
            self._begin_segment()
        fresh = _new_block(max(size, <Py_ssize_t>BLOCK_BYTES), self.segment)
        if fresh == NULL:
            return NULL
        self.segment_bytes += self._filled()
        self.former_bytes += block.filled
        self.former_points += block.points
        self.blocks += 1
        self.last = fresh
        publish_block(&block.next, fresh)
        return records_of(fresh)

    cdef void _publish(self, Py_ssize_t size, Py_ssize_t points) noexcept:
        cdef LogBlock* block = self.last
        publish_size(&block.points, block.points + points)
        publish_size(&block.filled, block.filled + size)
        if observe_flag(&self.is_waiting):
            self.ring()

    cdef void _begin_segment(self) noexcept:
        self.segment += 1
        self.segment_bytes = 0
        self.next_id = 0

    cdef void ring(self) noexcept nogil:
        # Wake the thread that takes, if it waits.
        if swap_flag(&self.is_waiting, 0):
            PyThread_release_lock(self.alarm)

    cdef uint32_t _place(self) noexcept:
        # Where the next record comes to lie; one that is ELSEWHERE is in another frame. A group
        # that is being written now has begun before, or after, the record.
        return self.blocks + <uint32_t>observe_count(&self.groups)

    cdef Py_ssize_t _filled(self) noexcept:
        # Bytes of the last block, if it is of this segment.
        return self.last.filled if self.last.segment == self.segment else 0

    cdef uint64_t bytes(self) noexcept:
        # Of all records that ever came.
        return self.former_bytes + <uint64_t>self.last.filled

    cdef Py_ssize_t backlog(self) noexcept:
        return <Py_ssize_t>(self.bytes() - observe_count(&self.taken_bytes))


cdef void _put_header(
    unsigned char* p, uint32_t first, RecordKind kind, Py_ssize_t n
) noexcept nogil:
    (<uint32_t*>p)[0] = first
    (<uint32_t*>p)[1] = <uint32_t>kind << KIND_SHIFT | <uint32_t>n


cdef LogBlock* _new_block(Py_ssize_t capacity, uint64_t segment) noexcept nogil:
    cdef LogBlock* block = <LogBlock*>PyMem_RawMalloc(sizeof(LogBlock) + capacity)
    if block != NULL:
        block.next = NULL
        block.segment = segment
        block.capacity = capacity
        block.filled = block.taken = block.points = block.counted = 0
        block.written = block.points_written = 0
    return block


cdef void free_block(LogBlock* block) noexcept nogil:
    PyMem_RawFree(block)


cdef Py_ssize_t _texts_bytes(Chunk* chunk, Py_ssize_t index, Py_ssize_t n) noexcept:
    cdef Py_ssize_t size = 0
    for _ in range(n):
        while index == chunk.stop:
            chunk = chunk.next
            index = 0
        size += 16 + padded(PyBytes_GET_SIZE(<bytes>samples_of(chunk)[index].value.text))
        index += 1
    return size
