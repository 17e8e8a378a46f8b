# Series: what is pending of one series, its run of samples in a chain of chunks.

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int32_t, int64_t, uint32_t, uint64_t

from siridb_fast.batching._ends cimport Ends
from siridb_fast.protocol._buffer cimport PayloadBuffer


cdef enum:
    FIRST_CAPACITY = 2    # samples: of a million series most may have one point pending
    MAX_CAPACITY = 512    # samples of a chunk that grows by single points
    TEXT_OVERHEAD = 40    # bytes of memory that a text takes beside its own


cpdef enum SeriesType:
    NO_TYPE  # no point was written yet
    INTEGER
    FLOAT
    STRING


cdef union Value:
    int64_t integer
    double real
    PyObject* text  # bytes, of which the sample owns a reference


cdef struct Sample:
    int64_t timestamp
    Value value


# Its samples lie right behind it.
cdef struct Chunk:
    Chunk* next
    int32_t stop      # samples filled; in the last chunk brought up to date by seal_tail()
    int32_t capacity
    double since      # no sample was written before, see `Coalescer.epoch`


# Full-sized chunks that are free. Memory that is used again costs no page faults.
cdef struct ChunkCache:
    Chunk* first
    Py_ssize_t chunks
    Py_ssize_t limit


cdef class Series:
    # What every append touches comes first, to lie in one cache line.
    cdef:
        Sample* slot           # of the next sample, in the last chunk
        Sample* end            # of that chunk
        int64_t last           # timestamp of the newest sample
        readonly Py_ssize_t points  # pending
        Py_ssize_t mark        # so many points lift the run to the next class
        SeriesType type
        bint is_disordered     # a sample is older than the one before it
        bint is_resolved       # the type is the database's, or the database has none
        int8_t class_          # -1 if in none
        # And what an append touches with a journal.
        Py_ssize_t lift_at     # `mark`, where that is 0 to see every append
        Py_ssize_t taken       # points that ever left
        Py_ssize_t logged      # points that ever came into the log; as `taken`
        uint64_t log_tag       # the segment of the log that has its name, and its type there
        uint32_t log_id        # its number there
        uint32_t log_place     # where it was named first
        Chunk* head
        Chunk* tail
        Py_ssize_t start       # samples of `head` that were taken
        Py_ssize_t package     # the last that took some of its points
        Py_ssize_t text_bytes  # of the pending texts
        Ends sent              # of what left; `points` and `key` of what was delivered of it
        readonly double since  # when the first pending sample was written
        PyObject* older        # neighbours by age; borrowed, the table owns all series
        PyObject* newer
        PyObject* before       # neighbours in the class of runs of this length
        PyObject* after
        readonly str name
        int64_t newest         # timestamp that left or is stored, if late points are compared


cdef inline Sample* samples_of(Chunk* chunk) noexcept nogil:
    return <Sample*>(chunk + 1)


cdef inline Py_ssize_t chunk_bytes(Py_ssize_t capacity) noexcept nogil:
    # what a C library's allocator takes for it: 24 bytes of chunk, 8 of its own
    return 32 + capacity * <Py_ssize_t>sizeof(Sample)


cdef inline Py_ssize_t column_bytes(Py_ssize_t points) noexcept nogil:
    # the same for so many samples in full-sized chunks
    return 32 * (points // MAX_CAPACITY + 1) + points * <Py_ssize_t>sizeof(Sample)


cdef inline void seal_tail(Series series) noexcept:
    # Note in the last chunk how far it is filled; before anybody walks the chunks.
    if series.tail != NULL:
        series.tail.stop = <int32_t>(series.slot - samples_of(series.tail))


cdef inline bint has_slot(Series series) noexcept:
    return series.slot != series.end


cdef inline Py_ssize_t free_slots(Series series) noexcept:
    return series.end - series.slot


cdef inline void put_sample(Series series, int64_t timestamp, Value value) noexcept:
    # where has_slot() is true
    series.slot.timestamp = timestamp
    series.slot.value = value
    series.slot += 1
    series.is_disordered |= timestamp < series.last
    series.last = timestamp
    series.points += 1


cdef inline void put_samples(
    Series series, const int64_t* timestamps, const int64_t* values, Py_ssize_t n
) noexcept:
    # where there are so many free_slots(), at least one; values by their bits
    cdef Sample* slot = series.slot
    cdef int64_t last = series.last
    cdef bint is_disordered = False
    cdef Py_ssize_t i
    for i in range(n):
        slot[i].timestamp = timestamps[i]
        slot[i].value.integer = values[i]
        is_disordered |= timestamps[i] < last
        last = timestamps[i]
    series.slot = slot + n
    series.is_disordered |= is_disordered
    series.last = last
    series.points += n


cdef Py_ssize_t next_capacity(Series series, Py_ssize_t limit) noexcept
cdef int add_chunk(Series series, Py_ssize_t capacity, ChunkCache* cache) except -1
cdef Py_ssize_t even_piece(Series series, Py_ssize_t bound, Py_ssize_t budget) except -1
cdef const int64_t[::1] bits_of(SeriesType type_, values)
cdef size_t run_bound(Series series, Py_ssize_t points) except 0
cdef int put_run(
    Series series, Py_ssize_t points, PayloadBuffer buffer, Ends* ends
) except -1
cdef int put_points(
    Series series, const int64_t[::1] timestamps, const int64_t[::1] values, PayloadBuffer buffer,
    Py_ssize_t bound, Ends* ends
) except -1
cdef Py_ssize_t drop_points(Series series, Py_ssize_t points, ChunkCache* cache) noexcept
cdef void empty_cache(ChunkCache* cache) noexcept
cdef tuple arrays_of(Series series, Py_ssize_t points)
cdef tuple typed_arrays_of(Series series, Py_ssize_t first)
cdef Py_ssize_t replace_values(
    Series series, SeriesType type_, const int64_t[::1] values
) except? -1
cdef Py_ssize_t own_text(Series series, PyObject* text) noexcept
