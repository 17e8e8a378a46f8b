"""Where the records of CSV text end: at an end of line that is not within quotes.

And what else is asked of a whole block of text, several bytes at a time.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memchr

# Quotes mostly are a few bytes apart: a call for each takes longer than to find it.
cdef extern from *:
    """
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    static inline const unsigned char *siridb_next_quote(
        const unsigned char *at, const unsigned char *end
    ) {
        const __m128i quotes = _mm_set1_epi8('"');
        for (; end - at >= 16; at += 16) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)at);
            const int found = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, quotes));
            if (found) return at + __builtin_ctz(found);
        }
        while (at != end && *at != '"') at++;
        return at;
    }
    #else
    static inline const unsigned char *siridb_next_quote(
        const unsigned char *at, const unsigned char *end
    ) {
        const void *found = at == end ? NULL : memchr(at, '"', end - at);
        return found ? (const unsigned char *)found : end;
    }
    #endif
    """
    const uint8_t* next_quote "siridb_next_quote"(const uint8_t*, const uint8_t*) noexcept nogil

cdef enum:
    NEWLINE = 10
    RETURN = 13
    KEPT = 64      # places outside of quotes, of which the last one mostly has an end of line
    STEP = 192     # bytes whose ends of line are counted in one byte


cdef struct Place:
    # Outside of quotes.
    Py_ssize_t start, stop


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
    cdef Py_ssize_t size = text.shape[0], stop
    cdef bint is_inside = False
    if not size:
        return 0, False
    with nogil:
        stop = last_end(&text[0], size, delimiter, &is_inside)
    return stop, bool(is_inside)


def count_ends(const uint8_t[::1] text) -> int:
    """Return how many lines end in a text."""
    cdef Py_ssize_t size = text.shape[0], count = 0, at = 0, i
    cdef uint8_t some
    cdef const uint8_t* first
    if not size:
        return 0
    first = &text[0]
    with nogil:
        while at + STEP <= size:
            some = 0
            for i in range(STEP):
                some += first[at + i] == NEWLINE
            count += some
            at += STEP
        while at < size:
            count += first[at] == NEWLINE
            at += 1
    return count


def is_ascii(const uint8_t[::1] text) -> bool:
    """Tell whether no byte of a text has its highest bit set."""
    cdef Py_ssize_t size = text.shape[0], i
    cdef uint8_t all_bits = 0
    cdef const uint8_t* first
    if not size:
        return True
    first = &text[0]
    with nogil:
        for i in range(size):
            all_bits |= first[i]
    return all_bits < 128


def has_byte(const uint8_t[::1] text, uint8_t byte) -> bool:
    """Tell whether a byte is in a text."""
    cdef bint found
    if not text.shape[0]:
        return False
    with nogil:
        found = memchr(&text[0], byte, text.shape[0]) != NULL
    return found


cdef Py_ssize_t last_end(
    const uint8_t* first, Py_ssize_t size, uint8_t delimiter, bint* is_inside
) noexcept nogil:
    cdef Place[KEPT] kept
    cdef Py_ssize_t places = 0, outside = 0, stop = 0
    cdef const uint8_t* end = first + size
    cdef const uint8_t* at = next_quote(first, end)
    while at != end:
        if is_inside[0]:
            is_inside[0] = False
            outside = at + 1 - first
        elif at == first or at == first + outside or opens((at - 1)[0], delimiter):
            if places % KEPT == 0:  # those are forgotten
                stop = end_in(first, kept, places, stop)
            kept[places % KEPT] = Place(outside, at - first)
            places += 1
            is_inside[0] = True
        at = next_quote(at + 1, end)
    if not is_inside[0]:
        stop = end_in(first, kept, places, stop)
        return end_of_line(first, outside, size, stop)
    return end_in(first, kept, places, stop)


cdef inline Py_ssize_t end_in(
    const uint8_t* text, const Place* kept, Py_ssize_t places, Py_ssize_t otherwise
) noexcept nogil:
    # Behind the last end of line in the last places.
    cdef Py_ssize_t place = places, found
    while place > 0 and place > places - KEPT:
        place -= 1
        found = end_of_line(text, kept[place % KEPT].start, kept[place % KEPT].stop, 0)
        if found:
            return found
    return otherwise


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
