# Frames: how a journal lies in its file.

from libc.stdint cimport uint64_t


cpdef enum Layout:
    PAGE_BYTES = 4096              # a frame takes whole ones: nothing on disk is written twice
    UNIT_BYTES = 4 * 1024 * 1024   # of the file, that are one segment's


# What a frame begins with; its records follow. Little-endian.
cdef struct Frame:
    uint64_t magic
    uint64_t checksum    # of what follows, in the frame's header and its records
    uint64_t journal     # the number of the journal
    uint64_t segment     # that the records are of
    uint64_t live_from   # the first segment whose points do not all have a fate
    uint64_t position    # of the first record, in bytes of all records of one opening of the file
    uint64_t length      # bytes of records
    uint64_t points
    uint64_t spool_mark  # rows of the spool behind it may have points of this frame
    uint64_t opening     # counts how often the journal was opened


cdef enum:
    MAGIC = 0x314C4E524A425344  # "DSBJRNL1"
    UNSUMMED = 16               # bytes, of the magic and the checksum


cdef uint64_t checksum(const unsigned char* data, Py_ssize_t size) noexcept nogil
cdef Py_ssize_t pages(Py_ssize_t size) noexcept nogil
