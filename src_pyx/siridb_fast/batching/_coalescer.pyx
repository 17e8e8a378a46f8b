"""Which points wait, in which series, and what leaves next.

Points wait in the run of their series. A run leaves when it is long enough for the server's fast
path, when its oldest point has waited for ``linger`` seconds, when memory runs short (longest
first) or when everything is flushed; the writer asks for the next package whenever a connection
has room, so under load runs grow by themselves. No run is in the queue whose type is not resolved.

Knows nothing of connections, event loops or clocks, which are given. Every method runs under the
GIL without a break, so any thread may append.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.math cimport INFINITY
from libc.stdint cimport int64_t

from siridb_fast.batching._batch cimport Batch
from siridb_fast.batching._late cimport add_compared
from siridb_fast.batching._leaving cimport add_run
from siridb_fast.batching._point_log cimport PointLog, add_points
from siridb_fast.batching._run_queue cimport CLASS_BITS, RunQueue, set_mark
from siridb_fast.columns._records cimport bit_length
from siridb_fast.batching._series cimport (
    FLOAT, INTEGER, MAX_CAPACITY, NO_TYPE, STRING, Series, SeriesType, Value, add_chunk, bits_of,
    chunk_bytes, drop_points, empty_cache, free_slots, has_slot, next_capacity, own_text,
    replace_values, typed_arrays_of,
)
from siridb_fast.batching._series_table cimport SeriesTable, chunk_limit
from siridb_fast.batching._waiters cimport PendingDeliveries

from siridb_fast.errors import BufferFullError

cdef enum:
    WORTH_SENDING = 512     # points from which on a run gains little by waiting (server-facts 3)
    LARGEST_CACHE = 1 << 26  # bytes of `max_buffered` beyond which the cache does not grow
    BYTES_PER_CHUNK = 65_536  # one chunk of 8 kB for so many bytes of `max_buffered`

cdef Py_ssize_t NEVER = PY_SSIZE_T_MAX  # a mark that no run reaches; too large for an enum of C
cdef double EARLY = 0.75  # of `linger`: what is that old leaves with what is due

TYPE_NAMES = {NO_TYPE: None, INTEGER: "integer", FLOAT: "float", STRING: "string"}
TYPES = {name: type_ for type_, name in TYPE_NAMES.items()}


@cython.final
cdef class Coalescer:
    """The series of one writer; takes no points until it is opened.

    ``clock`` returns seconds and never goes back.
    """

    def __cinit__(
        self, *, clock, Py_ssize_t max_buffered, double linger, Py_ssize_t package_bytes,
        Py_ssize_t max_idle,
    ):
        self.clock = clock
        self.max_buffered = max_buffered
        self.linger = linger
        self.package_bytes = package_bytes
        self.flushed_until = -INFINITY
        self.is_hungry = True
        self.table = SeriesTable(max_idle)
        self.deliveries = PendingDeliveries()
        self.unresolved = []
        self.queue = RunQueue()
        self.chunk_limit = MAX_CAPACITY
        self.cache.limit = min(max_buffered, <Py_ssize_t>LARGEST_CACHE) // BYTES_PER_CHUNK
        self.is_closed = self.is_barred = True

    def __dealloc__(self):
        empty_cache(&self.cache)

    def __repr__(self):
        return f"<Coalescer of {len(self.table.by_name):,} series, {self.points:,} points pending>"

    def open(self, Py_ssize_t buffer_points, PointLog log=None) -> None:
        """Take points, into the ``log`` too; ``buffer_points`` as for `set_buffer`."""
        self.set_buffer(buffer_points)
        cdef Series series
        self.log = log
        self.queue.sees_all = log is not None
        for series in self.table.by_name.values():  # of handles that were made before
            set_mark(self.queue, series, series.mark)
        self.is_closed = self.is_barred = False

    def set_buffer(self, Py_ssize_t buffer_points) -> None:
        """Learn that only a run of over ``buffer_points`` takes the server's fast path."""
        self.fast = max(0, bit_length(buffer_points) - CLASS_BITS)
        self.worthy = max(self.fast, bit_length(WORTH_SENDING - 1) - CLASS_BITS)

    def close(self) -> None:
        """Refuse further points."""
        self.is_closed = self.is_barred = True

    def bar(self, bint is_barred) -> None:
        """Have ``on_blocked`` called by each plain call that begins, or no more."""
        self.is_barred = is_barred or self.is_closed

    @property
    def series_count(self) -> int:
        """How many series are known; those without points may be forgotten."""
        return len(self.table.by_name)

    @property
    def accepted(self) -> int:
        """How many points ever came."""
        return self.points + self.moved

    @property
    def buffered_bytes(self) -> int:
        """What the bound is about: memory of runs, of packages not finished, of a log."""
        return self._used()

    @property
    def is_crowded(self) -> bool:
        """Tell whether half of the memory is in use."""
        return self.is_short()

    @property
    def oldest_since(self) -> float:
        """When the oldest run that may leave was begun; infinity if there is none."""
        return (<Series>self.queue.oldest).since if self.queue.oldest != NULL else INFINITY

    def series(self, str name not None) -> Series:
        """Return the series of this name, a new one if need be."""
        cdef Series series = self.find(name)
        return self.create(name) if series is None else series

    # ---- what leaves

    def take(self, double now, Batch batch not None, Batch late=None) -> bool:
        """Move the runs that should leave next into an empty batch; tell whether there are any.

        With another one for what is ``late``: may be in the database, or in what left before.
        """
        cdef double due = max(now - self.linger, self.flushed_until)
        cdef double early = max(now - self.linger * EARLY, self.flushed_until)
        cdef bint is_open = True, is_short = self.is_short()
        cdef PyObject* longest
        self.packages += 1
        self.late = late
        if self.oldest_since <= due:
            is_open = self._take_old(batch, early)
        while is_open:
            longest = self.queue.longest(self._least())
            if longest == NULL:
                break
            is_open = self._add(batch, <Series>longest)
        if is_open and is_short:
            self._take_old(batch, INFINITY)
        self.is_hungry = len(batch.names) == 0 and (late is None or len(late.names) == 0)
        self.late = None
        return not self.is_hungry

    def flush(self, double now) -> None:
        """Make due whatever is pending now."""
        self.flushed_until = now

    # ---- the type of a series

    def take_unresolved(self) -> list:
        """Return the series whose type has to be asked for; each is given out once."""
        unresolved, self.unresolved = self.unresolved, []
        return unresolved

    def is_resolved(self, Series series not None) -> bool:
        """Tell whether the type is known to be the database's."""
        return series.is_resolved

    def pin(self, Series series not None, str type_) -> None:
        """Give a series without points its type."""
        if series.type == NO_TYPE:
            series.type = TYPES[type_]

    def type_of(self, Series series not None) -> str | None:
        """Return "integer", "float" or "string"; None if no point was written yet."""
        return TYPE_NAMES[series.type]

    def resolve_type(self, Series series not None, str type_) -> bool:
        """Take the database's type of a series, None if it has no such series.

        Tells whether what is pending is of that type; if not, `recast` or `drop` it. Nothing of
        the series leaves before its type is resolved.
        """
        if type_ is not None and series.type != TYPES[type_]:
            if series.points:
                return False
            series.type = TYPES[type_]
        if series.points and not series.is_resolved:
            self.has_news |= self.queue.join(series)
            self._lift(series)
        series.is_resolved = True
        self.wake()
        return True

    def forget_type(self, Series series not None) -> None:
        """Take back that the type of a series is known."""
        self._forget_run(series)
        set_mark(self.queue, series, NEVER)
        series.is_resolved = False

    def forget_types(self, *, bint is_open=False) -> None:
        """Take back that the types of all series are known; each is asked for before it is needed.

        If it ``is_open``, a series without points may get another type meanwhile.
        """
        cdef Series series
        for series in self.table.by_name.values():
            self.forget_type(series)
            if series.points:
                self.unresolved.append(series)
            elif is_open:
                series.type = NO_TYPE

    def ask_type(self, Series series not None) -> None:
        """Have the type of a series asked for, unless it is known."""
        if not series.is_resolved:
            self.unresolved.append(series)

    def names(self) -> list:
        """Return the names of all series."""
        return list(self.table.by_name)

    def pending(self, Series series not None, Py_ssize_t first=0) -> tuple:
        """Return (timestamps, values) of a series as arrays, texts as a list of bytes.

        From the ``first`` pending point on.
        """
        return typed_arrays_of(series, first)

    def recast(self, Series series not None, str type_, values) -> bool:
        """Give the pending points of a series other values, of another type.

        Values are an int64 or float64 array, or a list of bytes. Tells whether there is one for
        each point: if not, nothing is done, since another thread has written meanwhile.
        """
        cdef SeriesType series_type = TYPES[type_]
        cdef const int64_t[::1] bits = bits_of(series_type, values)
        if bits.shape[0] != series.points:
            return False
        self.run_bytes += replace_values(series, series_type, bits)
        return True

    def drop(self, Series series not None) -> tuple:
        """Forget the pending points of a series; return them, and [(delivery, points), …]."""
        timestamps, values = typed_arrays_of(series, 0)
        cdef Py_ssize_t points = len(timestamps)
        waiting = self.deliveries.drop(series)
        self.points -= points
        self.moved += points
        self._forget_run(series)
        self.run_bytes -= drop_points(series, points, &self.cache)
        return timestamps, values, waiting

    def pending_series(self) -> list:
        """Return the series with pending points."""
        return [series for series in self.table.by_name.values() if (<Series>series).points]

    # ---- for the intake

    cpdef Series find(self, str name):
        """Return the series of this name, None if there is none."""
        return self.table.by_name.get(name)

    cdef Series create(self, str name):
        cdef Series series = self.table.add(name)
        set_mark(self.queue, series, NEVER)
        self.unresolved.append(series)
        self.chunk_limit = chunk_limit(self.max_buffered, len(self.table.by_name))
        self.has_news |= len(self.unresolved) == 1
        return series

    cpdef bint may_take(self, Py_ssize_t extra) noexcept:
        """Tell whether there is room for so many bytes."""
        return self._used() + extra <= self.max_buffered

    cdef Py_ssize_t _used(self) noexcept:
        cdef Py_ssize_t used = self.run_bytes + self.sealed_bytes
        return used if self.log is None else used + self.log.backlog()

    cdef bint is_short(self) noexcept:  # of memory
        return (self.run_bytes + self.sealed_bytes) * 2 > self.max_buffered

    # Each of these tells whether it had to wait, so that all may differ: types too, and then there
    # is no slot yet. What it made slots for has to be appended before any Python runs.

    cdef bint wait_for(self, Py_ssize_t need) except -1:
        if need > self.max_buffered:
            raise BufferFullError(
                f"this needs {need:,} bytes at once, max_buffered is {self.max_buffered:,}"
            )
        cdef bint has_waited = False
        while self._has_to_wait(need):
            self.on_blocked(need)
            has_waited = True
        return has_waited

    cdef bint _has_to_wait(self, Py_ssize_t need) noexcept:
        return self.is_closed or (need > 0 and not self.may_take(need))

    cdef bint make_slot(self, Series series, Py_ssize_t text_bytes) except -1:
        # For one more sample.
        cdef Py_ssize_t capacity = 0
        if series.points == 0:
            series.since = self.clock()
        if not has_slot(series):
            capacity = next_capacity(series, self.chunk_limit)
        if self.wait_for(text_bytes + (chunk_bytes(capacity) if capacity else 0)):
            return True
        if capacity:
            self.add_slots(series, capacity)
        return False

    cdef bint reserve(self, Series series, Py_ssize_t points, Py_ssize_t text_bytes) except -1:
        # For so many samples in one piece.
        cdef bint is_there = free_slots(series) >= points
        if series.points == 0:
            series.since = self.clock()
        if self.wait_for(text_bytes + (0 if is_there else chunk_bytes(points))):
            return True
        if not is_there:
            self.add_slots(series, points)
        return False

    cdef int add_slots(self, Series series, Py_ssize_t capacity) except -1:
        add_chunk(series, capacity, &self.cache)
        series.tail.since = self.epoch
        self.run_bytes += chunk_bytes(capacity)
        self.has_news |= self.is_hungry and self.is_short()
        return 0

    cdef void append_text(self, Series series, int64_t timestamp, bytes text) noexcept:
        cdef Value value
        value.text = <PyObject*>text
        self.run_bytes += own_text(series, value.text)
        self.has_news |= self.is_hungry and self.is_short()
        append_sample(self, series, timestamp, value)

    cdef int wake(self) except -1:
        # Notify the writer, if append() noted something.
        if self.has_news:
            self.has_news = False
            self.notify()
        return 0

    # ---- the queue

    cdef void _begin(self, Series series) noexcept:
        # A run gets its first point. If its type was forgotten, it is asked for now.
        if series.is_resolved:
            self.has_news |= self.queue.join(series)
        else:
            self.unresolved.append(series)
            self.has_news |= len(self.unresolved) == 1

    cdef void _lift(self, Series series) noexcept:
        # A run has grown to the length of its mark; with a log, this is for every append.
        if self.log is not None:
            add_points(self.log, series)
            if series.points < series.lift_at:
                return
        self.queue.classify(series)
        self.has_news |= self.is_hungry and series.class_ >= self._least()

    cdef void _forget_run(self, Series series) noexcept:
        if series.is_resolved and series.points:
            self.queue.leave(series)

    cdef int _least(self) noexcept:
        # The class from which on runs leave for their length.
        return 0 if self.is_short() else self.fast if self.is_hasty else self.worthy

    # ---- taking

    cdef bint _take_old(self, Batch batch, double until) except -1:
        # Add the runs by age; tell whether there is room left.
        while self.queue.oldest != NULL and (<Series>self.queue.oldest).since <= until:
            if not self._add(batch, <Series>self.queue.oldest):
                return False
        return True

    cdef bint _add(self, Batch batch, Series series) except -1:
        # Move a run, or a part of it; False if it has to wait for the next package.
        if self.late is None:
            return add_run(self, batch, series)
        return add_compared(self, batch, self.late, series)
