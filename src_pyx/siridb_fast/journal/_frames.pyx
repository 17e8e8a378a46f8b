"""Frames: records of one block, with what tells whether they are sound, and still count.

Knows nothing of files and of what is in a record.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef enum:
    LANES = 4


def find_frames(const unsigned char[::1] data not None, uint64_t journal) -> list:
    """Return the sound frames of a journal's file, in the order in which they lie there.

    Each is (opening, segment, live_from, position, points, spool_mark, offset of the records,
    their length). ``journal`` is the number of the journal; 0 takes those of any.
    """
    cdef Py_ssize_t offset = 0, size = data.shape[0]
    cdef Frame frame
    found = []
    while offset + <Py_ssize_t>sizeof(Frame) <= size:
        memcpy(&frame, &data[offset], sizeof(Frame))
        if frame.magic != MAGIC or (journal and frame.journal != journal) or (
            frame.length > <uint64_t>(size - offset) - sizeof(Frame)
        ) or checksum(
            &data[offset + UNSUMMED], sizeof(Frame) - UNSUMMED + <Py_ssize_t>frame.length
        ) != frame.checksum:
            offset += PAGE_BYTES
            continue
        found.append((
            frame.opening, frame.segment, frame.live_from, frame.position, frame.points,
            frame.spool_mark, offset + <Py_ssize_t>sizeof(Frame), frame.length,
        ))
        offset += pages(sizeof(Frame) + <Py_ssize_t>frame.length)
    return found


cdef Py_ssize_t pages(Py_ssize_t size) noexcept nogil:
    # The bytes of the pages that so many bytes take.
    return (size + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES


cdef inline uint64_t _mixed(uint64_t sum_, uint64_t word) noexcept nogil:
    sum_ = (sum_ ^ word) * <uint64_t>0x9E3779B97F4A7C15
    return sum_ ^ sum_ >> 29


cdef uint64_t checksum(const unsigned char* data, Py_ssize_t size) noexcept nogil:
    # Of a multiple of eight bytes. Four sums side by side, as one waits for the last product.
    cdef uint64_t[LANES] sums
    cdef uint64_t word
    cdef Py_ssize_t i, lane, words = size // 8
    for lane in range(LANES):
        sums[lane] = <uint64_t>size + <uint64_t>lane
    for i in range(words // LANES):
        for lane in range(LANES):
            memcpy(&word, data + (i * LANES + lane) * 8, 8)
            sums[lane] = _mixed(sums[lane], word)
    for i in range(words // LANES * LANES, words):
        memcpy(&word, data + i * 8, 8)
        sums[0] = _mixed(sums[0], word)
    for lane in range(1, LANES):
        sums[0] = _mixed(sums[0], sums[lane])
    return sums[0]
