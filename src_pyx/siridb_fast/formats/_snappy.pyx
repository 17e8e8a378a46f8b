"""Snappy's block format → the bytes that were compressed (google/snappy, format_description.txt).

Knows nothing of what they mean. Each element is checked before it is written.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.formats.points import LineError

cdef enum:
    LONGEST_VARINT = 5   # bytes of 32 bits


def decompressed(bytes data not None, Py_ssize_t limit) -> bytes:
    """Return the bytes that were compressed, no more than a ``limit``.

    Raises:
        LineError: It is no such block, or there are more.
    """
    cdef const unsigned char* at = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef const unsigned char* stop = at + len(data)
    cdef uint64_t size = 0
    cdef int shift = 0
    while True:
        if at == stop or shift >= 7 * LONGEST_VARINT:
            raise LineError("the body is not compressed by snappy")
        size |= <uint64_t>(at[0] & 0x7F) << shift
        at += 1
        shift += 7
        if (at - 1)[0] < 0x80:
            break
    if size > <uint64_t>limit:
        raise LineError(f"the body has {size:,} bytes, of {limit:,} that are taken (max_body)")
    found = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>size)
    if not _fill(at, stop, <unsigned char*>PyBytes_AS_STRING(found), <Py_ssize_t>size):
        raise LineError("the body is not compressed by snappy, or is cut off")
    return found


cdef bint _fill(
    const unsigned char* at, const unsigned char* stop, unsigned char* begin, Py_ssize_t size
) noexcept nogil:
    # Whether the elements made just as many bytes.
    cdef unsigned char* to = begin
    cdef unsigned char* end = begin + size
    cdef Py_ssize_t length, offset, extra
    cdef uint32_t more
    while at < stop:
        if at[0] & 3 == 0:  # a literal
            length = (at[0] >> 2) + 1
            at += 1
            if length > 60:
                extra = length - 60
                if stop - at < extra:
                    return False
                more = 0
                memcpy(&more, at, extra)
                length = <Py_ssize_t>more + 1
                at += extra
            if stop - at < length or end - to < length:
                return False
            memcpy(to, at, length)
            at += length
            to += length
            continue
        extra = 1 if at[0] & 3 == 1 else (2 if at[0] & 3 == 2 else 4)
        if stop - at < 1 + extra:
            return False
        more = 0
        memcpy(&more, at + 1, extra)
        if extra == 1:
            length = ((at[0] >> 2) & 7) + 4
            offset = <Py_ssize_t>more | (<Py_ssize_t>(at[0] >> 5) << 8)
        else:
            length = (at[0] >> 2) + 1
            offset = <Py_ssize_t>more
        at += 1 + extra
        if offset == 0 or offset > to - begin or end - to < length:
            return False
        if offset >= length:
            memcpy(to, to - offset, length)
            to += length
        else:  # what is copied is made meanwhile
            while length:
                to[0] = (to - offset)[0]
                to += 1
                length -= 1
    return to == end
