# The bytes of a text of a time, and what came of it.

from libc.stdint cimport int32_t, uint8_t, uint32_t


cpdef enum Status:
    ZONED = 0          # a time that names its offset, or UTC
    LOCAL = 1          # a time that names none
    MISSING = 2        # an empty text
    NO_MATCH = 3
    NO_SUCH_DATE = 4   # 30 February
    NO_SUCH_CLOCK = 5  # 25:00
    BEFORE_1970 = 6
    TOO_LATE = 7       # for 64 bits of its unit
    TOO_FINE = 8       # has more decimals than its unit
    NO_SUCH_ZONE = 9   # a word other than UTC, GMT and Z
    DOUBLED = 10       # set by others: a local time that exists twice
    SKIPPED = 11       # set by others: a local time that does not exist

cpdef enum Directive:
    LITERAL = 0  # its argument is the byte
    BLANKS = 1   # one or more; further directives are their letters, with 1 for a full width


cdef enum:
    NOT_YET = -1  # no such number was read


cdef struct Text:
    const uint8_t* at   # what is not read yet
    const uint8_t* end


cdef inline Status take(
    Text* text, const uint8_t* data, const int32_t* offsets, Py_ssize_t row
) noexcept nogil:
    # The text of a row without blanks around it: `LOCAL` if there is any.
    text.at = data + offsets[row]
    text.end = data + offsets[row + 1]
    return trim(text)


cdef inline Status trim(Text* text) noexcept nogil:
    cdef int width = blank(text.at, text.end)
    while width:
        text.at += width
        width = blank(text.at, text.end)
    while text.at < text.end and ((text.end - 1)[0] <= 32 or (text.end - 1)[0] >= 128):
        if (text.end - 1)[0] <= 32:
            text.end -= 1
        elif text.end - text.at >= 2 and is_wide_blank(text.end - 2, text.end, 2):
            text.end -= 2
        elif text.end - text.at >= 3 and is_wide_blank(text.end - 3, text.end, 3):
            text.end -= 3
        else:
            break
    return MISSING if text.at == text.end else LOCAL


cdef inline int blank(const uint8_t* at, const uint8_t* end) noexcept nogil:
    # Return the bytes of a blank, also of one that does not break; 0 if there is none.
    if at >= end:
        return 0
    if at[0] == 32 or 9 <= at[0] <= 13:
        return 1
    if at[0] < 128:
        return 0
    if is_wide_blank(at, end, 2):
        return 2
    return 3 if is_wide_blank(at, end, 3) else 0


cdef inline bint is_wide_blank(const uint8_t* at, const uint8_t* end, int width) noexcept nogil:
    # U+00A0, and U+2009 and U+202F, which stand before AM and PM
    if end - at < width:
        return False
    if width == 2:
        return at[0] == 0xC2 and at[1] == 0xA0
    return at[0] == 0xE2 and at[1] == 0x80 and (at[2] == 0x89 or at[2] == 0xAF)


cdef inline bint pass_blanks(Text* text) noexcept nogil:
    cdef int width = blank(text.at, text.end)
    cdef bint is_there = width > 0
    while width:
        text.at += width
        width = blank(text.at, text.end)
    return is_there


cdef inline uint32_t digit_at(const uint8_t* at) noexcept nogil:
    # Greater than 9 if it is none.
    return <uint32_t>at[0] - 48


cdef inline int32_t two_digits(const uint8_t* at) noexcept nogil:
    cdef uint32_t tens = digit_at(at), ones = digit_at(at + 1)
    return <int32_t>(tens * 10 + ones) if tens <= 9 and ones <= 9 else NOT_YET
