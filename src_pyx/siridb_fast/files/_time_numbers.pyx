"""Texts of numbers → integers since 1970, exactly: with decimals and exponents, but no float."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from siridb_fast.files._time_texts cimport (
    BEFORE_1970,
    LOCAL,
    NO_MATCH,
    TOO_FINE,
    TOO_LATE,
    ZONED,
    Status,
    Text,
    digit_at,
    take,
)

cdef enum:
    MOST_DIGITS = 19             # of a number without a sign that fits in 64 bits
    LARGEST_EXPONENT = 999
    LARGEST = 9223372036854775807


def read_epoch(
    const int32_t[::1] offsets,
    const uint8_t[::1] data,
    int shift,
    int64_t[::1] times,
    uint8_t[::1] statuses,
) -> None:
    """Read numbers; multiply them by ``10 ** shift``; those that are not whole are `TOO_FINE`."""
    cdef Py_ssize_t row
    cdef Text text
    with nogil:
        for row in range(times.shape[0]):
            times[row] = 0
            statuses[row] = take(&text, &data[0], &offsets[0], row)
            if statuses[row] == LOCAL:
                statuses[row] = _number(&text, shift, &times[row])


cdef inline Status _number(Text* text, int shift, int64_t* number) noexcept nogil:
    cdef uint64_t value = 0
    cdef int exponent = 0
    cdef bint is_negative = text.at[0] == c"-"
    cdef Status status
    if is_negative or text.at[0] == c"+":
        text.at += 1
    status = _decimals(text, &value, &exponent)
    if status != LOCAL:
        return status
    if text.at < text.end and not _exponent(text, &exponent):
        return NO_MATCH
    return _scaled(value, exponent + shift, is_negative, number)


cdef inline Status _decimals(Text* text, uint64_t* value, int* exponent) noexcept nogil:
    # Read digits, and a point or a comma among them: a value of 64 bits and an exponent.
    cdef int digits = 0
    cdef bint has_point = False
    cdef uint32_t digit
    cdef const uint8_t* first = text.at
    while text.at < text.end:
        digit = digit_at(text.at)
        if digit <= 9:
            if digits < MOST_DIGITS:
                value[0] = value[0] * 10 + digit
                digits += value[0] > 0
                exponent[0] -= has_point
            elif digit:
                return TOO_FINE if has_point else TOO_LATE
            else:
                exponent[0] += not has_point
        elif (text.at[0] == c"." or text.at[0] == c",") and not has_point:
            has_point = True
        else:
            break
        text.at += 1
    return LOCAL if text.at - first > has_point else NO_MATCH


cdef bint _exponent(Text* text, int* exponent) noexcept nogil:
    cdef bint is_negative
    cdef int given = 0
    if text.at[0] | 32 != c"e":
        return False
    text.at += 1
    is_negative = text.at < text.end and text.at[0] == c"-"
    if is_negative or (text.at < text.end and text.at[0] == c"+"):
        text.at += 1
    if text.at == text.end:
        return False
    while text.at < text.end and digit_at(text.at) <= 9:
        given = min(given * 10 + <int>digit_at(text.at), LARGEST_EXPONENT)
        text.at += 1
    exponent[0] += -given if is_negative else given
    return text.at == text.end


cdef inline Status _scaled(
    uint64_t value, int exponent, bint is_negative, int64_t* number
) noexcept nogil:
    while exponent < 0 and value and value % 10 == 0:
        value //= 10
        exponent += 1
    if value and exponent < 0:
        return TOO_FINE
    while exponent > 0 and value:
        if value > LARGEST // 10:
            return TOO_LATE
        value *= 10
        exponent -= 1
    if value > LARGEST:
        return TOO_LATE
    if value and is_negative:
        return BEFORE_1970
    number[0] = <int64_t>value
    return ZONED
