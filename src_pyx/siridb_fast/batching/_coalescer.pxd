# Coalescer: all series of a writer, what is pending of them, and what should leave next.

from libc.stdint cimport int64_t

from siridb_fast.batching._batch cimport Batch
from siridb_fast.batching._point_log cimport PointLog
from siridb_fast.batching._run_queue cimport RunQueue
from siridb_fast.batching._series cimport ChunkCache, Series, Value, put_sample, put_samples
from siridb_fast.batching._series_table cimport SeriesTable
from siridb_fast.batching._waiters cimport PendingDeliveries


cdef class Coalescer:
    cdef:
        readonly Py_ssize_t points        # pending, of all series
        Py_ssize_t packages               # that were begun to be filled
        Py_ssize_t moved                  # points that were ever taken or dropped
        readonly Py_ssize_t run_bytes     # memory of what is pending
        public Py_ssize_t sealed_bytes    # memory of packages that have left but are not finished
        readonly Py_ssize_t max_buffered  # bytes of both at most
        readonly Py_ssize_t package_bytes
        readonly double linger            # seconds
        readonly double flushed_until     # on the clock: what is older is due
        readonly bint is_closed
        readonly bint is_barred           # closed, or plain calls are refused for now
        readonly bint is_hungry           # there was nothing to take the last time
        bint has_news                     # the writer is to be notified
        public object on_blocked          # called with bytes that find no room, or once closed
        public object notify              # called when something may be taken, or a type asked for
        object clock
        public double epoch               # no point to come was written before; for a journal
        SeriesTable table                 # by name
        PendingDeliveries deliveries      # who waits for pending points
        list unresolved                   # series whose type has to be asked for
        ChunkCache cache                  # at most an eighth of `max_buffered`
        Py_ssize_t chunk_limit            # samples; smaller the more series there are
        int fast                          # class from which on the server takes a run fast
        int worthy                        # and from which on it is worth sending by itself
        public bint is_hasty              # send what is fast, to a server that has nothing to do
        Batch late                        # takes late points while runs are taken; None: none is
        RunQueue queue                    # the runs of series whose type is resolved
        readonly PointLog log             # of what is accepted, for a journal; None without one

    cpdef Series find(self, str name)
    cdef Series create(self, str name)
    cpdef bint may_take(self, Py_ssize_t extra) noexcept
    cdef Py_ssize_t _used(self) noexcept
    cdef bint is_short(self) noexcept
    cdef bint _has_to_wait(self, Py_ssize_t need) noexcept
    cdef bint wait_for(self, Py_ssize_t need) except -1
    cdef bint make_slot(self, Series series, Py_ssize_t text_bytes) except -1
    cdef bint reserve(self, Series series, Py_ssize_t points, Py_ssize_t text_bytes) except -1
    cdef void append_text(self, Series series, int64_t timestamp, bytes text) noexcept
    cdef int wake(self) except -1
    cdef int add_slots(self, Series series, Py_ssize_t capacity) except -1
    cdef void _begin(self, Series series) noexcept
    cdef void _lift(self, Series series) noexcept
    cdef void _forget_run(self, Series series) noexcept
    cdef int _least(self) noexcept
    cdef bint _take_old(self, Batch batch, double until) except -1
    cdef bint _add(self, Batch batch, Series series) except -1


cdef inline void append_sample(
    Coalescer coalescer, Series series, int64_t timestamp, Value value
) noexcept:
    # Where there is a slot. Runs no Python, so that no other thread comes in between.
    if series.points == 0:
        coalescer._begin(series)
    put_sample(series, timestamp, value)
    coalescer.points += 1
    if series.points >= series.mark:
        coalescer._lift(series)


cdef inline void append_samples(
    Coalescer coalescer, Series series, const int64_t* timestamps, const int64_t* values,
    Py_ssize_t n,
) noexcept:
    # The same for so many, where there are slots for all in the last chunk.
    if series.points == 0:
        coalescer._begin(series)
    put_samples(series, timestamps, values, n)
    coalescer.points += n
    if series.points >= series.mark:
        coalescer._lift(series)
