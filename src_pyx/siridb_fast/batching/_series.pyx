"""The pending run of one series: samples are appended to chunks, and leave as bytes of a package.

A chunk is twice as large as the one before it, so that one point costs little and a long run no
copying. A run that came in order is encoded as it lies; one out of order is sorted first (stable),
because the server's insertion sort takes time that grows with the square. Knows nothing of other
series, of time or of limits.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stddef cimport size_t
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t
from libc.string cimport memcpy

from siridb_fast.batching._ends cimport Ends, see_end
from siridb_fast.columns._arrays cimport BLOCK
from siridb_fast.protocol._buffer cimport PayloadBuffer
from siridb_fast.columns._records cimport MAX_RECORD, SLACK, Block, Seen, put_block, put_timestamp
from siridb_fast.protocol._wire cimport (
    MAX_RAW_HEADER, QP_ARRAY_CLOSE, QP_ARRAY_OPEN, put_raw_header,
)

import numpy as np


@cython.final
@cython.no_gc
cdef class Series:
    """One series of a writer: its name, its type, and its points that have not left yet."""

    def __cinit__(self, str name not None):
        self.name = name
        self.class_ = -1
        self.type = NO_TYPE
        self.newest = INT64_MAX
        self.sent = Ends(first=INT64_MAX, last=INT64_MIN, key=0, points=0)

    def __dealloc__(self):
        drop_points(self, self.points, NULL)
        while self.head != NULL:
            _free_head(self, NULL)

    def __repr__(self):
        return f"<Series {self.name!r}, {self.points:,} points pending>"

    @property
    def newest_sent(self) -> int:
        """The newest timestamp of those that left in packages; negative if none did."""
        return self.sent.last

    def note_stored(self, int64_t key, Py_ssize_t points) -> None:
        """Take note that so many equal points at `newest_sent` are delivered."""
        self.sent.key = key
        self.sent.points = points


cdef Py_ssize_t next_capacity(Series series, Py_ssize_t limit) noexcept:
    # Twice the last chunk's, up to `limit`.
    if series.tail == NULL:
        return FIRST_CAPACITY
    return max(<Py_ssize_t>FIRST_CAPACITY, min(<Py_ssize_t>series.tail.capacity * 2, limit))


cdef int add_chunk(Series series, Py_ssize_t capacity, ChunkCache* cache) except -1:
    cdef Chunk* chunk
    if capacity == MAX_CAPACITY and cache.first != NULL:
        chunk = cache.first
        cache.first = chunk.next
        cache.chunks -= 1
    else:
        chunk = <Chunk*>PyMem_RawMalloc(sizeof(Chunk) + capacity * sizeof(Sample))
    if chunk == NULL:
        raise MemoryError(f"no memory for {capacity:,} points of series {series.name!r}")
    chunk.next = NULL
    chunk.capacity = <int>capacity
    seal_tail(series)
    series.slot = samples_of(chunk)
    series.end = series.slot + capacity
    if series.tail == NULL:
        series.head = chunk
        series.start = 0
    else:
        series.tail.next = chunk
    series.tail = chunk
    return 0


cdef Py_ssize_t even_piece(Series series, Py_ssize_t bound, Py_ssize_t budget) except -1:
    # How many points make one of the even pieces of a run of `bound` bytes, that take `budget` at
    # most. One text may take more.
    cdef Py_ssize_t pieces = bound // budget + 1
    cdef Py_ssize_t points = (series.points + pieces - 1) // pieces
    return max(<Py_ssize_t>1, min(points, _points_within(series, budget)))


cdef Py_ssize_t _points_within(Series series, Py_ssize_t budget) except -1:
    # How many of the first points take `budget` bytes at most.
    cdef Chunk* chunk = series.head
    cdef Py_ssize_t index = series.start, points = 0
    seal_tail(series)
    budget -= run_bound(series, 0)
    if series.type != STRING:
        return max(<Py_ssize_t>0, min(series.points, budget // MAX_RECORD))
    while points < series.points:
        while index == chunk.stop:
            chunk = chunk.next
            index = 0
        budget -= MAX_RECORD + PyBytes_GET_SIZE(<bytes>samples_of(chunk)[index].value.text)
        if budget < 0:
            break
        index += 1
        points += 1
    return points


cdef size_t run_bound(Series series, Py_ssize_t points) except 0:
    # What the first `points` take in a package at most.
    cdef Chunk* chunk = series.head
    cdef Py_ssize_t length = 0, index = series.start, left = points
    cdef size_t texts = 0
    seal_tail(series)
    PyUnicode_AsUTF8AndSize(series.name, &length)
    if series.type == STRING and points == series.points:
        texts = series.text_bytes
    elif series.type == STRING:
        while left:
            while index == chunk.stop:
                chunk = chunk.next
                index = 0
            texts += PyBytes_GET_SIZE(<bytes>samples_of(chunk)[index].value.text)
            index += 1
            left -= 1
    return MAX_RAW_HEADER + length + 2 + SLACK + <size_t>points * MAX_RECORD + texts


cdef int put_run(
    Series series, Py_ssize_t points, PayloadBuffer buffer, Ends* ends
) except -1:
    # Write the first `points` as one series; they stay. While numpy sorts, others may append.
    cdef unsigned char* begin = buffer.reserve(run_bound(series, points))  # seals the tail
    cdef unsigned char* p = _put_name(begin, series)
    if series.is_disordered:
        p = _put_sorted(p, series, points, ends)
    else:
        p = _put_in_order(p, series, points, ends)
    p[0] = QP_ARRAY_CLOSE
    buffer.size += p + 1 - begin
    return 0


cdef int put_points(
    Series series, const int64_t[::1] timestamps, const int64_t[::1] values, PayloadBuffer buffer,
    Py_ssize_t bound, Ends* ends
) except -1:
    # Write these as one series, at least one and in order; values by their bits. They take `bound`
    # bytes at most, the name and all.
    cdef unsigned char* begin = buffer.reserve(bound)
    cdef unsigned char* p = _put_all(_put_name(begin, series), series, timestamps, values, ends)
    p[0] = QP_ARRAY_CLOSE
    buffer.size += p + 1 - begin
    return 0


cdef Py_ssize_t drop_points(Series series, Py_ssize_t points, ChunkCache* cache) noexcept:
    # Forget the first `points`; return the bytes of memory that became free.
    cdef Py_ssize_t freed = 0, n
    cdef Chunk* head
    seal_tail(series)
    series.points -= points
    series.taken += points
    while points:
        head = series.head
        n = min(points, head.stop - series.start)
        if series.type == STRING:
            freed += _drop_texts(series, samples_of(head) + series.start, n)
        series.start += n
        points -= n
        if series.start == head.stop:
            freed += chunk_bytes(head.capacity)
            _free_head(series, cache)
    while series.points == 0 and series.head != NULL:  # slots that were not used
        freed += chunk_bytes(series.head.capacity)
        _free_head(series, cache)
    return freed


cdef tuple arrays_of(Series series, Py_ssize_t points):
    # (timestamps, values): int64 arrays of the first `points`; doubles and texts are their bits.
    timestamps, values = np.empty(points, np.int64), np.empty(points, np.int64)
    cdef int64_t[::1] into_timestamps = timestamps
    cdef int64_t[::1] into_values = values
    cdef Chunk* chunk = series.head
    cdef Py_ssize_t start = series.start, n, done = 0
    seal_tail(series)
    while done < points:
        n = min(chunk.stop - start, points - done)
        _copy_samples(samples_of(chunk) + start, n, &into_timestamps[done], &into_values[done])
        done += n
        chunk = chunk.next
        start = 0
    return timestamps, values


cdef tuple typed_arrays_of(Series series, Py_ssize_t first):
    # (timestamps, values) from the `first` on, as what they are; texts as a list of bytes.
    timestamps, values = arrays_of(series, series.points)
    timestamps, values = timestamps[first:], values[first:]
    if series.type == FLOAT:
        values = values.view(np.float64)
    elif series.type == STRING:
        values = [<bytes><PyObject*><size_t>bits for bits in values.tolist()]
    return timestamps, values


cdef const int64_t[::1] bits_of(SeriesType type_, values):
    # Of an int64 or float64 array, or of a list of bytes, which has to live on.
    if type_ == STRING:
        addresses = [<size_t><PyObject*>text for text in values]
        return np.array(addresses, np.uint64).view(np.int64)
    return values.view(np.int64)


cdef Py_ssize_t replace_values(
    Series series, SeriesType type_, const int64_t[::1] values
) except? -1:
    # Give all points values of another type, by their bits; return the bytes of memory it took.
    cdef Chunk* chunk = series.head
    cdef Py_ssize_t index = series.start, i, grown = 0
    cdef Value* value
    cdef Value old
    seal_tail(series)
    for i in range(series.points):
        while index == chunk.stop:
            chunk = chunk.next
            index = 0
        value = &samples_of(chunk)[index].value
        index += 1
        old = value[0]
        value.integer = values[i]
        if type_ == STRING:
            grown += own_text(series, value.text)
        if series.type == STRING:
            grown -= disown_text(series, old.text)
    series.type = type_
    return grown


cdef unsigned char* _put_name(unsigned char* p, Series series) except NULL:
    cdef Py_ssize_t length = 0
    cdef const char* name = PyUnicode_AsUTF8AndSize(series.name, &length)
    p = put_raw_header(p, length)
    memcpy(p, name, length)
    p[length] = QP_ARRAY_OPEN
    return p + length + 1


cdef unsigned char* _put_in_order(
    unsigned char* p, Series series, Py_ssize_t points, Ends* ends
) noexcept:
    cdef int64_t[BLOCK] timestamps
    cdef int64_t[BLOCK] values
    cdef Chunk* chunk = series.head
    cdef Py_ssize_t start = series.start, n, filled = 0
    cdef bint is_all = True, is_text
    ends.first = INT64_MAX
    while points:
        n = min(chunk.stop - start, min(points, BLOCK - filled))
        _copy_samples(samples_of(chunk) + start, n, timestamps + filled, values + filled)
        filled += n
        start += n
        points -= n
        if start == chunk.stop:
            chunk = chunk.next
            start = 0
        if filled == BLOCK or points == 0:
            p = _put(p, series.type, timestamps, values, filled)
            ends.first = min(ends.first, timestamps[0])
            if points == 0:
                is_text = series.type == STRING
                see_end(ends, timestamps, values, filled, is_all, series.type == FLOAT, is_text)
            is_all = False
            filled = 0
    return p


cdef unsigned char* _put_sorted(
    unsigned char* p, Series series, Py_ssize_t points, Ends* ends
) except NULL:
    timestamps, values = arrays_of(series, points)
    order = np.argsort(timestamps, kind="stable")
    return _put_all(p, series, timestamps[order], values[order], ends)


cdef unsigned char* _put_all(
    unsigned char* p, Series series, const int64_t[::1] timestamps, const int64_t[::1] values,
    Ends* ends
) except NULL:
    cdef Py_ssize_t n, done = 0, points = timestamps.shape[0]
    cdef bint is_text = series.type == STRING
    while done < points:
        n = min(<Py_ssize_t>BLOCK, points - done)
        p = _put(p, series.type, &timestamps[done], &values[done], n)
        done += n
    ends.first = timestamps[0]
    see_end(ends, &timestamps[0], &values[0], points, True, series.type == FLOAT, is_text)
    return p


cdef unsigned char* _put(
    unsigned char* p, SeriesType type_, const int64_t* timestamps, const int64_t* values,
    Py_ssize_t n,
) noexcept:
    cdef Block block
    cdef Seen seen
    cdef Py_ssize_t i
    if type_ == STRING:
        for i in range(n):
            p = put_timestamp(p, timestamps[i], True)
            p = _put_text(p, <PyObject*><size_t>values[i])
        return p
    block.timestamps = timestamps
    block.integers = values
    block.doubles = <const double*>values
    block.n = block.given = n
    block.first = 0
    seen = Seen(bits=0, disorder=0, last=0)
    return put_block(p, type_ == FLOAT, &block, &seen)


cdef unsigned char* _put_text(unsigned char* p, PyObject* text) noexcept:
    cdef Py_ssize_t length = PyBytes_GET_SIZE(<bytes>text)
    p = put_raw_header(p, length)
    memcpy(p, PyBytes_AS_STRING(<bytes>text), length)
    return p + length


cdef void empty_cache(ChunkCache* cache) noexcept:
    cdef Chunk* chunk
    while cache.first != NULL:
        chunk = cache.first
        cache.first = chunk.next
        PyMem_RawFree(chunk)
    cache.chunks = 0


cdef void _free_head(Series series, ChunkCache* cache) noexcept:
    cdef Chunk* head = series.head
    series.head = head.next
    series.start = 0
    if cache != NULL and head.capacity == MAX_CAPACITY and cache.chunks < cache.limit:
        head.next = cache.first
        cache.first = head
        cache.chunks += 1
    else:
        PyMem_RawFree(head)
    if series.head == NULL:
        series.tail = NULL
        series.slot = series.end = NULL
        series.is_disordered = False
        series.last = 0


cdef inline void _copy_samples(
    const Sample* samples, Py_ssize_t n, int64_t* timestamps, int64_t* values
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        timestamps[i] = samples[i].timestamp
        values[i] = samples[i].value.integer


cdef Py_ssize_t _drop_texts(Series series, Sample* samples, Py_ssize_t n) noexcept:
    cdef Py_ssize_t i, freed = 0
    for i in range(n):
        freed += disown_text(series, samples[i].value.text)
    return freed


cdef Py_ssize_t own_text(Series series, PyObject* text) noexcept:
    Py_INCREF(<bytes>text)
    series.text_bytes += PyBytes_GET_SIZE(<bytes>text)
    return PyBytes_GET_SIZE(<bytes>text) + TEXT_OVERHEAD


cdef Py_ssize_t disown_text(Series series, PyObject* text) noexcept:
    cdef Py_ssize_t length = PyBytes_GET_SIZE(<bytes>text)
    series.text_bytes -= length
    Py_DECREF(<bytes>text)
    return length + TEXT_OVERHEAD
