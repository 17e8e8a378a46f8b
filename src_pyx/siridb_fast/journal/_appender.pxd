# JournalAppender: writes a log to the file of a journal, in a thread that does not need the GIL.

from libc.stdint cimport uint64_t

from siridb_fast.batching._point_log cimport PointLog


cdef class JournalAppender:
    cdef:
        readonly PointLog log
        readonly int file           # its descriptor
        uint64_t journal            # the number of the journal
        uint64_t opening
        long interval               # microseconds between the beginnings of two groups
        readonly Py_ssize_t max_bytes  # of the file
        object on_event             # called in the thread, with the GIL
        # Of the thread alone:
        uint64_t* owners            # of the units of the file: the segment that has it, 0 for none
        Py_ssize_t units
        Py_ssize_t capacity         # of `owners`
        unsigned char* staging      # one frame
        Py_ssize_t staging_bytes
        uint64_t segment            # that writes now
        Py_ssize_t offset           # where its next frame goes
        Py_ssize_t end              # of the unit
        uint64_t position           # bytes of records before the group
        uint64_t marked             # `released`, as the file says
        int had_error
        # Between the threads:
        uint64_t released           # segments up to this one have no use any more
        uint64_t spool_mark
        uint64_t used_units
        int error                   # errno of the last attempt; 0: it went well
        int stopping
        int is_pausing
        int is_hurried
        int is_watched              # `on_event` is called after the next group
        int wants_segment           # this segment has more than one unit
        int wants_mark              # `released` is to be on disk
        int is_held                 # nothing is to be written
        int is_holding              # and nothing is

    cdef void _run(self) noexcept nogil
    cdef bint _has_records(self) noexcept nogil
    cdef void _pause(self, int* flag, long microseconds) noexcept nogil
    cdef bint _write_group(self) noexcept nogil
    cdef int _write_frames(self) noexcept nogil
    cdef int _write_frame(
        self, const unsigned char* records, Py_ssize_t length, Py_ssize_t points,
        uint64_t segment, uint64_t position,
    ) noexcept nogil
    cdef void _forget_written(self) noexcept nogil
    cdef void _end_group(self) noexcept nogil
    cdef int _place(self, uint64_t segment, Py_ssize_t size) noexcept nogil
    cdef int _extend(self, Py_ssize_t units) noexcept nogil
    cdef void _count_units(self) noexcept nogil
    cdef void _tell(self) noexcept
