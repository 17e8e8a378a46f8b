"""Where the records of CSV text end: at an end of line that is not within quotes."""

from libc.stdint cimport uint8_t

cdef enum:
    NEWLINE = 10
    RETURN = 13
    QUOTE = 34                   # all that ends a field or a line is not larger


def scan_records(const uint8_t[::1] text, uint8_t delimiter):
    """Find the end of the last whole record of a text that begins with a record.

    A quote is one only where a field begins, as in pyarrow's parser; elsewhere it is a character
    like others.

    Args:
        text: Any bytes.
        delimiter: Of fields; one byte.

    Returns:
        The bytes up to that end, 0 if there is none; how many lines end in them; and whether the
        text ends within quotes.
    """
    cdef Py_ssize_t at, stop = 0, closed = -2
    cdef Py_ssize_t ends = 0, ends_before_stop = 0
    cdef bint is_inside = False
    cdef uint8_t byte, before = NEWLINE
    with nogil:
        for at in range(text.shape[0]):
            byte = text[at]
            if byte > QUOTE:
                continue
            if byte == NEWLINE:
                ends += 1
                if not is_inside:
                    stop = at + 1
                    ends_before_stop = ends
            elif byte == QUOTE:
                if is_inside:
                    is_inside = False
                    closed = at
                else:
                    before = text[at - 1] if at > 0 else NEWLINE
                    is_inside = (
                        closed == at - 1
                        or before == delimiter
                        or before == NEWLINE
                        or before == RETURN
                    )
    return stop, ends_before_stop, bool(is_inside)
