"""Writes a log to the file of a journal: all that came in the last milliseconds, then one sync.

The file is a row of units of `UNIT_BYTES`, each of one segment of the log; those of released
segments are used again. A new unit is filled with zeros first: then a sync writes what is in a
frame, and nothing about the file. What could not be written stays in memory, and is tried again.

One thread runs here, which has the GIL only to tell of what has happened. Knows nothing of points,
and of when a segment has no use any more.
"""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.pythread cimport WAIT_LOCK, PyThread_acquire_lock, PyThread_release_lock
from libc.errno cimport EINTR, ENOMEM, ENOSPC, errno
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from siridb_fast.batching._point_log cimport (
    LogBlock, PointLog, free_block, observe_block, observe_count, observe_flag, observe_size,
    publish_count, publish_flag, records_of, swap_flag,
)
from siridb_fast.journal._frames cimport MAGIC, UNIT_BYTES, UNSUMMED, Frame, checksum, pages
from siridb_fast.journal._system cimport (
    PyThread_acquire_lock_timed, sf_microseconds, sf_rest, sf_sync, sf_write,
)

import logging

cdef enum:
    RETRY_INTERVAL = 500_000  # microseconds after the disk did not take something
    GROUP_BYTES = 8 * 1024 * 1024
    ZEROS = 256 * 1024
    SETTLING = 100          # microseconds, in which every core has seen what another one wrote
    IDLE = 200_000

cdef unsigned char[ZEROS] zeros

logger = logging.getLogger("siridb_fast")


@cython.final
cdef class JournalAppender:
    """The thread of one journal is in its `run`; all others may be called from any.

    Args:
        log: Whose records are written.
        file: The descriptor of the file, to be written; it has a header of one unit.
        units: How many units it has beside that.
        journal, opening: For the frames, see `Frame`.
        interval: Seconds between the beginnings of two groups.
        max_bytes: Of the file.
        on_event: Called in the thread, when something of what is `watch`ed may have changed.
    """

    def __cinit__(
        self, PointLog log not None, int file, Py_ssize_t units, uint64_t journal,
        uint64_t opening, double interval, Py_ssize_t max_bytes, on_event,
    ):
        self.log = log
        self.file = file
        self.journal = journal
        self.opening = opening
        self.interval = <long>(interval * 1e6)
        self.max_bytes = max_bytes
        self.on_event = on_event
        self.released = self.marked = log.segment - 1
        self.wants_mark = 1  # what the file has of former openings has no use any more
        self.capacity = max(units, <Py_ssize_t>64)
        self.owners = <uint64_t*>PyMem_RawMalloc(self.capacity * sizeof(uint64_t))
        if self.owners == NULL:
            raise MemoryError("no memory for the units of the journal")
        memset(self.owners, 0, self.capacity * sizeof(uint64_t))
        self.units = units

    def __dealloc__(self):
        PyMem_RawFree(self.owners)
        PyMem_RawFree(self.staging)

    def run(self) -> None:
        """Write until `stop`, in the thread that calls this."""
        with nogil:
            self._run()
        self._tell()

    def stop(self) -> None:
        """Have `run` end once everything is on disk, or the disk does not take it."""
        publish_flag(&self.stopping, 1)
        self.hurry()

    def hurry(self) -> None:
        """Write what there is now, however short ago the last group was."""
        publish_flag(&self.is_hurried, 1)
        self.log.ring()
        if swap_flag(&self.is_pausing, 0):
            PyThread_release_lock(self.log.alarm)

    def hold(self) -> None:
        """Return once nothing is written any more, until `go_on`; from any thread but its own."""
        publish_flag(&self.is_held, 1)
        self.hurry()
        with nogil:
            while not observe_flag(&self.is_holding) and not observe_flag(&self.stopping):
                sf_rest(SETTLING)

    def go_on(self) -> None:
        """Write again."""
        publish_flag(&self.is_held, 0)

    def watch(self) -> None:
        """Have ``on_event`` called after the next group, and when it cannot be written.

        What is asked after this is not missed.
        """
        swap_flag(&self.is_watched, 1)

    def release(self, uint64_t segment, *, bint is_last=False) -> None:
        """Use the place of all segments up to this one again.

        If it ``is_last``, that is written to disk by itself; else with the next group.
        """
        publish_count(&self.released, segment)
        if is_last:
            publish_flag(&self.wants_mark, 1)
            self.log.ring()

    def note_spool(self, uint64_t last) -> None:
        """Take note of the last row of the spool that has no point of the records to come."""
        publish_count(&self.spool_mark, last)

    @property
    def bytes_accepted(self) -> int:
        """How many bytes of records ever came."""
        return self.log.bytes()

    @property
    def bytes_written(self) -> int:
        """How many of those are on disk."""
        return observe_count(&self.log.taken_bytes)

    @property
    def groups_written(self) -> int:
        """How many groups were written."""
        return observe_count(&self.log.groups)

    @property
    def used_bytes(self) -> int:
        """Bytes of the units that hold segments."""
        return observe_count(&self.used_units) * UNIT_BYTES

    @property
    def error_number(self) -> int:
        """The errno of the last attempt to write; 0 if it went well."""
        return observe_flag(&self.error)

    def take_segment_wish(self) -> bool:
        """Tell once that the segment fills its unit, and another one should begin."""
        return swap_flag(&self.wants_segment, 0)

    # ---- in the thread

    cdef void _run(self) noexcept nogil:
        cdef long begun, rest
        while True:
            while observe_flag(&self.is_held) and not observe_flag(&self.stopping):
                publish_flag(&self.is_holding, 1)
                sf_rest(SETTLING)
            publish_flag(&self.is_holding, 0)
            if not self._has_records() and not observe_flag(&self.wants_mark):
                if observe_flag(&self.stopping):
                    return
                publish_flag(&self.is_hurried, 0)  # there was nothing
                self._pause(&self.log.is_waiting, -1)
                if observe_flag(&self.is_held):
                    continue
                if not observe_flag(&self.is_hurried):
                    self._pause(&self.is_pausing, self.interval)
                continue
            begun = sf_microseconds()
            publish_flag(&self.is_hurried, 0)
            if not self._write_group():
                if observe_flag(&self.stopping):
                    return
                self._pause(&self.is_pausing, RETRY_INTERVAL)
                continue
            rest = begun + self.interval - sf_microseconds()
            if rest > 0 and not observe_flag(&self.is_hurried):
                self._pause(&self.is_pausing, rest)

    cdef bint _has_records(self) noexcept nogil:
        cdef LogBlock* block = self.log.first
        while True:
            if observe_size(&block.filled) > block.taken:
                return True
            block = observe_block(&block.next)
            if block == NULL:
                return False

    cdef void _pause(self, int* flag, long microseconds) noexcept nogil:
        # Until somebody clears the flag, or so long; below 0: about as long as nothing comes.
        publish_flag(flag, 1)
        if microseconds < 0:  # whoever has filled a block just now has to see that
            sf_rest(SETTLING)
        if observe_flag(&self.is_hurried) or observe_flag(&self.stopping) or (
            microseconds < 0 and (self._has_records() or observe_flag(&self.wants_mark))
        ):
            if swap_flag(flag, 0):
                return
        elif PyThread_acquire_lock_timed(
            self.log.alarm, microseconds if microseconds >= 0 else IDLE, 0
        ) or swap_flag(flag, 0):
            return
        PyThread_acquire_lock(self.log.alarm, WAIT_LOCK)  # somebody is about to release it

    cdef bint _write_group(self) noexcept nogil:
        # What there is now; tell whether it is on disk.
        cdef Py_ssize_t offset = self.offset, end = self.end
        cdef uint64_t segment = self.segment
        cdef int error = self._write_frames()
        if error == 0 and sf_sync(self.file) != 0:
            error = errno
        if error:
            self._forget_written()
            if segment == self.segment:
                self.offset, self.end = offset, end
        else:
            self._end_group()
        publish_flag(&self.error, error)
        if swap_flag(&self.is_watched, 0) or error != self.had_error:
            with gil:
                self._tell()
        self.had_error = error
        return error == 0

    cdef int _write_frames(self) noexcept nogil:
        # One for each block that has something new; return an errno.
        cdef LogBlock* block = self.log.first
        cdef LogBlock* following
        cdef Py_ssize_t filled, points, size = 0
        cdef uint64_t position = self.position
        cdef int error = 0
        if swap_flag(&self.wants_mark, 0):
            self.marked = 0  # has to be written
        while block != NULL and error == 0 and size < GROUP_BYTES:
            following = observe_block(&block.next)  # if there is one, this block is complete
            points = observe_size(&block.points)
            filled = observe_size(&block.filled)
            if filled > block.taken:
                error = self._write_frame(
                    records_of(block) + block.taken, filled - block.taken,
                    points - block.counted, block.segment, position,
                )
                if error == 0:
                    position += filled - block.taken
                    size += filled - block.taken
                    block.written = filled
                    block.points_written = points
            block = following
        if error == 0 and size == 0 and self.marked == 0:
            error = self._write_frame(NULL, 0, 0, self.released + 1, position)
        if error and self.marked == 0:
            publish_flag(&self.wants_mark, 1)
        return error if size == 0 else 0  # what found no place is met again by the next group

    cdef int _write_frame(
        self, const unsigned char* records, Py_ssize_t length, Py_ssize_t points,
        uint64_t segment, uint64_t position,
    ) noexcept nogil:
        # Return an errno.
        cdef Py_ssize_t size = pages(sizeof(Frame) + length), done = 0, n
        cdef Frame* frame
        cdef unsigned char* grown
        cdef int error = self._place(segment, size)
        if error:
            return error
        if size > self.staging_bytes:
            grown = <unsigned char*>PyMem_RawRealloc(self.staging, size)
            if grown == NULL:
                return ENOMEM
            self.staging = grown
            self.staging_bytes = size
        frame = <Frame*>self.staging
        frame.magic = MAGIC
        frame.journal = self.journal
        frame.segment = segment
        frame.live_from = observe_count(&self.released) + 1
        frame.position = position
        frame.length = <uint64_t>length
        frame.points = <uint64_t>points
        frame.spool_mark = observe_count(&self.spool_mark)
        frame.opening = self.opening
        if length:
            memcpy(self.staging + sizeof(Frame), records, length)
        memset(self.staging + sizeof(Frame) + length, 0, size - sizeof(Frame) - length)
        frame.checksum = checksum(self.staging + UNSUMMED, sizeof(Frame) - UNSUMMED + length)
        while done < size:
            n = sf_write(self.file, self.staging + done, size - done, self.offset + done)
            if n < 0 and errno == EINTR:
                continue
            if n <= 0:
                return errno if n < 0 else ENOSPC
            done += n
        self.offset += size
        self.marked = frame.live_from
        return 0

    cdef void _forget_written(self) noexcept nogil:
        # What was written of the group may not be there.
        cdef LogBlock* block = self.log.first
        while block != NULL:
            block.written, block.points_written = block.taken, block.counted
            block = observe_block(&block.next)

    cdef void _end_group(self) noexcept nogil:
        # What was written is on disk; its memory is free.
        cdef LogBlock* block = self.log.first
        cdef LogBlock* following
        cdef uint64_t size = 0, points = 0
        while block != NULL:
            if block.written > block.taken:
                size += block.written - block.taken
                points += block.points_written - block.counted
                block.taken, block.counted = block.written, block.points_written
            following = observe_block(&block.next)
            if following != NULL and block == self.log.first and (
                block.taken == observe_size(&block.filled)
            ):
                self.log.first = following
                free_block(block)
            block = following
        self.position += size
        publish_count(&self.log.taken_points, self.log.taken_points + points)
        publish_count(&self.log.taken_bytes, self.log.taken_bytes + size)
        publish_count(&self.log.groups, self.log.groups + 1)

    cdef int _place(self, uint64_t segment, Py_ssize_t size) noexcept nogil:
        # Set `offset` to where a frame goes; return an errno.
        cdef Py_ssize_t i, n = (size + UNIT_BYTES - 1) // UNIT_BYTES
        cdef uint64_t released = observe_count(&self.released)
        cdef int error
        if segment == self.segment and self.offset + size <= self.end:
            return 0
        i = self.units
        if n == 1:
            i = 0
            while i < self.units and self.owners[i] > released:
                i += 1
        if i == self.units:
            error = self._extend(n)
            if error:
                return error
        if segment == self.segment:
            publish_flag(&self.wants_segment, 1)
        memset(&self.owners[i], 0, n * sizeof(uint64_t))
        self.segment = segment
        self.offset = (1 + i) * UNIT_BYTES  # behind the header
        self.end = self.offset + n * UNIT_BYTES
        while n:
            n -= 1
            self.owners[i + n] = segment
        self._count_units()
        return 0

    cdef int _extend(self, Py_ssize_t units) noexcept nogil:
        # Add units to the file, filled with zeros; return an errno.
        cdef Py_ssize_t size = (1 + self.units + units) * UNIT_BYTES, n
        cdef Py_ssize_t at = (1 + self.units) * UNIT_BYTES
        cdef uint64_t* grown
        if size > self.max_bytes:
            return ENOSPC
        while self.units + units > self.capacity:
            grown = <uint64_t*>PyMem_RawRealloc(
                self.owners, self.capacity * 2 * sizeof(uint64_t)
            )
            if grown == NULL:
                return ENOMEM
            self.owners = grown
            self.capacity *= 2
        while at < size:
            n = sf_write(self.file, zeros, min(<Py_ssize_t>ZEROS, size - at), at)
            if n < 0 and errno == EINTR:
                continue
            if n <= 0:
                return errno if n < 0 else ENOSPC
            at += n
        self.units += units
        return 0

    cdef void _count_units(self) noexcept nogil:
        cdef Py_ssize_t i
        cdef uint64_t used = 0, released = observe_count(&self.released)
        for i in range(self.units):
            used += self.owners[i] > released
        publish_count(&self.used_units, used)

    cdef void _tell(self) noexcept:
        try:
            self.on_event()
        except Exception:
            logger.exception("the journal has news, and nobody takes them")
