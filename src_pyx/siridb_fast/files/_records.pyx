"""Where the records of CSV text end: at an end of line that is not within quotes."""

from libc.stdint cimport uint8_t
from libc.string cimport memchr

cdef enum:
    NEWLINE = 10
    RETURN = 13
    QUOTE = 34


def scan_records(const uint8_t[::1] text, uint8_t delimiter):
    """Find the end of the last whole record of a text that begins with a record.

    A quote is one only where a field begins, as in pyarrow's parser; elsewhere it is a character
    like others.

    Args:
        text: Any bytes.
        delimiter: Of fields; one byte.

    Returns:
        The bytes up to that end, 0 if there is none; and whether the text ends within quotes.
    """
    cdef Py_ssize_t size = text.shape[0], stop = 0, outside = 0
    cdef bint is_inside = False
    cdef const uint8_t* first
    cdef const uint8_t* at
    if not size:
        return 0, False
    first = &text[0]
    with nogil:
        at = <const uint8_t*> memchr(first, QUOTE, size)
        while at != NULL:
            if is_inside:
                is_inside = False
                outside = at + 1 - first
            elif at == first or at == first + outside or opens((at - 1)[0], delimiter):
                stop = end_of_line(first, outside, at - first, stop)
                is_inside = True
            at += 1
            at = <const uint8_t*> memchr(at, QUOTE, size - (at - first))
        if not is_inside:
            stop = end_of_line(first, outside, size, stop)
    return stop, bool(is_inside)


cdef inline bint opens(uint8_t before, uint8_t delimiter) noexcept nogil:
    return before == delimiter or before == NEWLINE or before == RETURN


cdef inline Py_ssize_t end_of_line(
    const uint8_t* text, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t otherwise
) noexcept nogil:
    # Behind the last end of line between two offsets, outside of quotes.
    cdef Py_ssize_t at = stop - 1
    while at >= start:
        if text[at] == NEWLINE:
            return at + 1
        at -= 1
    return otherwise
