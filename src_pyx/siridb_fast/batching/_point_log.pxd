# PointLog: points as records for a journal, once they are accepted until they are on disk.

from libc.stdint cimport uint32_t, uint64_t

from cpython.pythread cimport PyThread_type_lock

from libc.string cimport memcpy

from siridb_fast.batching._series cimport STRING, Sample, Series


cdef enum:
    BLOCK_BYTES = 65_536  # of records, in most blocks
    HEADER = 8            # bytes, of each record
    ONE_NUMBER = 24       # bytes, of a record of one point that is a number
    KIND_SHIFT = 24
    NAMED_TWICE = 1       # in the tag of a series; above it its type, above that the segment
    TYPE_SHIFT = 1
    SEGMENT_SHIFT = 4


# A record begins with a word of each: the series (or the bytes of a payload), and what it is with
# how many there are. What follows is filled up to eight bytes.
cpdef enum RecordKind:
    NUMBERS = 1  # n times int64 timestamp, 8 bytes of value
    TEXTS = 2    # n times int64 timestamp, uint64 length, bytes
    NAME = 3     # n bytes of a name; a byte behind them is the type of the points to come
    PAYLOAD = 4  # of an insert package, as many bytes as the first word says


# Records that one thread fills (that which has the GIL) and another one takes. They lie behind it.
cdef struct LogBlock:
    LogBlock* next      # set once this one is full
    uint64_t segment    # that its records are of
    Py_ssize_t capacity
    Py_ssize_t filled   # bytes of whole records; published when they are there
    Py_ssize_t taken    # of those, by whoever writes them; its own
    Py_ssize_t points   # in them, as `filled`
    Py_ssize_t counted  # as `taken`
    Py_ssize_t written  # bytes and points of what is written and not synced yet; its own
    Py_ssize_t points_written


cdef extern from *:
    """
    /* Between the two threads: what was written before `publish` is seen after `observe`. */
    #if defined(_MSC_VER)
    #include <intrin.h>
    #define SF_PUBLISH(p, v) do { _ReadWriteBarrier(); *(p) = (v); } while (0)
    #define SF_OBSERVE(p) (*(p))
    #define SF_SWAP(p, v) _InterlockedExchange((long*)(p), (v))
    #else
    #define SF_PUBLISH(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define SF_OBSERVE(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define SF_SWAP(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
    #endif
    """
    void publish_size "SF_PUBLISH"(Py_ssize_t* p, Py_ssize_t value) noexcept nogil
    Py_ssize_t observe_size "SF_OBSERVE"(Py_ssize_t* p) noexcept nogil
    void publish_count "SF_PUBLISH"(uint64_t* p, uint64_t value) noexcept nogil
    uint64_t observe_count "SF_OBSERVE"(uint64_t* p) noexcept nogil
    void publish_block "SF_PUBLISH"(LogBlock** p, LogBlock* value) noexcept nogil
    LogBlock* observe_block "SF_OBSERVE"(LogBlock** p) noexcept nogil
    int swap_flag "SF_SWAP"(int* p, int value) noexcept nogil
    int observe_flag "SF_OBSERVE"(int* p) noexcept nogil
    void publish_flag "SF_PUBLISH"(int* p, int value) noexcept nogil


cdef inline unsigned char* records_of(LogBlock* block) noexcept nogil:
    return <unsigned char*>(block + 1)


cdef class PointLog:
    cdef:
        LogBlock* first          # of the thread that takes
        LogBlock* last           # of the thread that fills
        readonly uint64_t segment  # of the records to come; those of one name their series anew
        Py_ssize_t segment_bytes   # so far, but for the last block
        Py_ssize_t segment_limit   # bytes, from which on another segment begins
        uint32_t next_id         # of a series, in this segment
        uint32_t blocks          # that were begun
        uint64_t former_points   # that ever came, but for those of the last block
        uint64_t former_bytes    # of their records
        uint64_t taken_bytes     # of those that are on disk; set by the thread that takes
        uint64_t taken_points
        uint64_t groups          # that are on disk, each with one sync; the same thread's
        PyThread_type_lock alarm   # held by the thread that takes while it waits for records
        int is_waiting           # it does; whoever clears this releases the alarm

    cdef unsigned char* _room(self, Py_ssize_t size) noexcept
    cdef void _publish(self, Py_ssize_t size, Py_ssize_t points) noexcept
    cdef void add_slowly(self, Series series) noexcept
    cdef bint _name(self, Series series) noexcept
    cdef bint _add_run(self, Series series, Py_ssize_t n) noexcept
    cdef void _begin_segment(self) noexcept
    cdef void ring(self) noexcept nogil
    cdef uint32_t _place(self) noexcept
    cdef Py_ssize_t _filled(self) noexcept
    cdef uint64_t bytes(self) noexcept
    cdef Py_ssize_t backlog(self) noexcept


cdef inline void add_points(PointLog log, Series series) noexcept:
    # All points of a series that came since the last call; that is usually one. Runs no Python.
    cdef LogBlock* block = log.last
    cdef unsigned char* p
    cdef uint64_t tag = log.segment << SEGMENT_SHIFT | series.type << TYPE_SHIFT | NAMED_TWICE
    if (
        series.log_tag == tag and series.type != STRING and block.segment == log.segment
        and block.capacity - block.filled >= ONE_NUMBER
        and series.logged + 1 == series.taken + series.points
    ):
        p = records_of(block) + block.filled
        (<uint32_t*>p)[0] = series.log_id
        (<uint32_t*>p)[1] = <uint32_t>NUMBERS << KIND_SHIFT | 1
        memcpy(p + HEADER, series.slot - 1, sizeof(Sample))
        series.logged += 1
        block.points += 1
        publish_size(&block.filled, block.filled + ONE_NUMBER)
        if log.is_waiting:
            log.ring()
    else:
        log.add_slowly(series)


cdef inline uint64_t padded(uint64_t size) noexcept nogil:
    return (size + 7) & ~<uint64_t>7


cdef void free_block(LogBlock* block) noexcept nogil
