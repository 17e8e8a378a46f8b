"""Texts of times → integers since 1970, exactly, and for each row what came of it.

ISO 8601 in its usual dress, or a format of `strptime` (as directives, see
`siridb_fast.files.csv.time_forms`). Texts are those of an Arrow array: offsets and
bytes. Knows nothing of zones but offsets: a time that names none is given as it reads.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from siridb_fast.files._calendar cimport Moment, begin, time_of

cdef enum:
    DECIMALS = 9      # of a second
    LONGEST_WORD = 9  # September, Wednesday

cdef int32_t* POWERS = [
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000
]

# Nine letters each.
cdef const char* MONTHS = (
    b"january  february march    april    may      june     "
    b"july     august   septemberoctober  november december "
)
cdef const char* WEEKDAYS = b"monday   tuesday  wednesdaythursday friday   saturday sunday   "


def read_iso(
    const int32_t[::1] offsets,
    const uint8_t[::1] data,
    int64_t per_second,
    int64_t first_second,
    int64_t[::1] times,
    uint8_t[::1] statuses,
) -> None:
    """Read times in ISO 8601.

    Args:
        offsets: Of the rows in ``data``, and the end of the last.
        data: UTF-8.
        per_second: Of the unit of ``times``.
        first_second: Since 1970, of local times; earlier ones are `BEFORE_1970`.
        times: Where they are written.
        statuses: A `Status` for each.
    """
    cdef Py_ssize_t row
    cdef Text text
    cdef Moment moment
    with nogil:
        for row in range(times.shape[0]):
            times[row] = 0
            statuses[row] = take(&text, &data[0], &offsets[0], row)
            if statuses[row] == LOCAL:
                statuses[row] = _iso(&text, &moment)
            if statuses[row] == LOCAL:
                statuses[row] = time_of(&moment, per_second, first_second, &times[row])


def read_form(
    const uint8_t[::1] directives,
    const uint8_t[::1] arguments,
    const int32_t[::1] offsets,
    const uint8_t[::1] data,
    int64_t per_second,
    int64_t first_second,
    int64_t[::1] times,
    uint8_t[::1] statuses,
) -> None:
    """Read times of a form, given as `Directive` numbers and their arguments."""
    cdef Py_ssize_t row
    cdef Text text
    cdef Moment moment
    with nogil:
        for row in range(times.shape[0]):
            times[row] = 0
            statuses[row] = take(&text, &data[0], &offsets[0], row)
            if statuses[row] == LOCAL:
                statuses[row] = _form(&text, &moment, directives, arguments)
            if statuses[row] == LOCAL:
                statuses[row] = time_of(&moment, per_second, first_second, &times[row])


cdef inline Status _iso(Text* text, Moment* moment) noexcept nogil:
    cdef Status status
    begin(moment)
    if not _iso_date(text, moment):
        return NO_MATCH
    if text.at == text.end:
        return LOCAL
    if text.at[0] | 32 == c"t":
        text.at += 1
    elif not pass_blanks(text):
        return NO_MATCH
    if not _iso_clock(text, moment):
        return NO_MATCH
    if text.at == text.end:
        return LOCAL
    pass_blanks(text)
    status = _zone(text, moment)
    return NO_MATCH if status == LOCAL and text.at != text.end else status


cdef inline bint _iso_date(Text* text, Moment* moment) noexcept nogil:
    cdef const uint8_t* at = text.at
    cdef Py_ssize_t width = text.end - at
    if width < 8:
        return False
    moment.year = two_digits(at) * 100 + two_digits(at + 2)
    if two_digits(at) < 0 or two_digits(at + 2) < 0:
        return False
    if at[4] == c"-":
        if width < 10 or at[7] != c"-":
            return False
        moment.month = two_digits(at + 5)
        moment.day = two_digits(at + 8)
        text.at += 10
    else:
        moment.month = two_digits(at + 4)
        moment.day = two_digits(at + 6)
        text.at += 8
    return moment.month >= 0 and moment.day >= 0


cdef inline bint _iso_clock(Text* text, Moment* moment) noexcept nogil:
    # hh, hh:mm, hh:mm:ss, hhmm or hhmmss, and decimals of seconds
    cdef int colon
    if text.end - text.at < 2:
        return False
    moment.hour = two_digits(text.at)
    text.at += 2
    colon = text.at < text.end and text.at[0] == c":"
    if moment.hour < 0 or not _next_two(text, colon, &moment.minute):
        return False
    if moment.minute < 0:
        moment.minute = 0
        return not colon
    colon = text.at < text.end and text.at[0] == c":"
    if not _next_two(text, colon, &moment.second):
        return False
    if moment.second < 0:
        moment.second = 0
        return not colon
    if text.at < text.end and (text.at[0] == c"." or text.at[0] == c","):
        text.at += 1
        return _fraction(text, moment)
    return True


cdef inline bint _next_two(Text* text, int colon, int32_t* number) noexcept nogil:
    # Read two digits behind a colon or none; none are there: it is -1.
    number[0] = NOT_YET
    if text.end - text.at < 2 + colon or digit_at(text.at + colon) > 9:
        return not colon
    number[0] = two_digits(text.at + colon)
    text.at += 2 + colon
    return number[0] >= 0


cdef inline bint _fraction(Text* text, Moment* moment) noexcept nogil:
    # Read decimals of seconds.
    cdef int32_t nanos = 0
    cdef int digits = 0
    cdef uint32_t digit = 0
    cdef const uint8_t* first = text.at
    while text.at < text.end:
        digit = digit_at(text.at)
        if digit > 9:
            break
        if digits < DECIMALS:
            nanos = nanos * 10 + <int32_t>digit
            digits += 1
        elif digit:
            moment.is_finer = True
        text.at += 1
    moment.nanos = nanos * POWERS[DECIMALS - digits]
    return text.at > first


cdef Status _zone(Text* text, Moment* moment) noexcept nogil:
    # Z, UTC, GMT, +hh, +hhmm, +hh:mm; also UTC+hh.
    cdef Py_ssize_t width = 0
    while text.at + width < text.end and c"a" <= text.at[width] | 32 <= c"z":
        width += 1
    if width:
        if not _is_utc(text.at, width):
            return NO_SUCH_ZONE
        moment.is_zoned = True
        text.at += width
        return LOCAL
    return LOCAL if _offset(text, moment) else NO_MATCH


cdef inline bint _is_utc(const uint8_t* at, Py_ssize_t width) noexcept nogil:
    if width == 1:
        return at[0] | 32 == c"z"
    if width != 3:
        return False
    if at[0] | 32 == c"u":
        return at[1] | 32 == c"t" and at[2] | 32 == c"c"
    return at[0] | 32 == c"g" and at[1] | 32 == c"m" and at[2] | 32 == c"t"


cdef inline bint _offset(Text* text, Moment* moment) noexcept nogil:
    cdef int32_t hours, minutes
    cdef bint is_west
    if text.end - text.at < 3 or (text.at[0] != c"+" and text.at[0] != c"-"):
        return False
    is_west = text.at[0] == c"-"
    hours = two_digits(text.at + 1)
    text.at += 3
    if not _next_two(text, text.at < text.end and text.at[0] == c":", &minutes):
        return False
    minutes = max(minutes, 0)
    moment.offset = (hours * 60 + minutes) * 60
    if is_west:
        moment.offset = -moment.offset
    moment.is_zoned = True
    return 0 <= hours <= 23 and minutes <= 59


cdef Status _form(
    Text* text, Moment* moment, const uint8_t[::1] directives, const uint8_t[::1] arguments
) noexcept nogil:
    cdef Py_ssize_t step
    cdef Status status = LOCAL
    begin(moment)
    for step in range(directives.shape[0]):
        if directives[step] == LITERAL:
            if text.at == text.end or text.at[0] != arguments[step]:
                return NO_MATCH
            text.at += 1
        elif directives[step] == BLANKS:
            if not pass_blanks(text):
                return NO_MATCH
        else:
            status = _directive(text, moment, directives[step], arguments[step])
            if status != LOCAL:
                return status
    if text.at != text.end:
        return NO_MATCH
    if moment.half != NOT_YET:
        if not 1 <= moment.hour <= 12:
            return NO_SUCH_CLOCK
        moment.hour = moment.hour % 12 + moment.half
    return LOCAL


cdef Status _directive(
    Text* text, Moment* moment, uint8_t directive, bint is_full
) noexcept nogil:
    cdef int32_t number = 0
    if directive == c"Y":
        return _digits(text, 4, True, &moment.year)
    if directive == c"y":
        if _digits(text, 2, True, &number) != LOCAL:
            return NO_MATCH
        moment.year = number + (1900 if number >= 69 else 2000)  # as strptime has it
        return LOCAL
    if directive == c"m":
        return _digits(text, 2, is_full, &moment.month)
    if directive == c"d":
        return _digits(text, 2, is_full, &moment.day)
    if directive == c"j":
        if _digits(text, 3, is_full, &moment.day_of_year) != LOCAL:
            return NO_MATCH
        return LOCAL if moment.day_of_year else NO_SUCH_DATE
    if directive == c"H" or directive == c"I":
        return _digits(text, 2, is_full, &moment.hour)
    if directive == c"M":
        return _digits(text, 2, is_full, &moment.minute)
    if directive == c"S":
        return _digits(text, 2, is_full, &moment.second)
    return _word(text, moment, directive)


cdef Status _word(Text* text, Moment* moment, uint8_t directive) noexcept nogil:
    # What is not of digits alone.
    cdef int32_t number = 0
    if directive == c"f":
        return LOCAL if _fraction(text, moment) else NO_MATCH
    if directive == c"p":
        return _half(text, moment)
    if directive == c"z":
        return _zone(text, moment)
    if directive == c"b":
        return _name(text, MONTHS, 12, &moment.month)
    if directive == c"a":
        return _name(text, WEEKDAYS, 7, &number)
    return NO_MATCH


cdef inline Status _digits(
    Text* text, int most, bint is_full, int32_t* number
) noexcept nogil:
    cdef int width = 0
    number[0] = 0
    while width < most and text.at < text.end and digit_at(text.at) <= 9:
        number[0] = number[0] * 10 + <int32_t>digit_at(text.at)
        text.at += 1
        width += 1
    return LOCAL if width == most or (width and not is_full) else NO_MATCH


cdef Status _half(Text* text, Moment* moment) noexcept nogil:
    # AM, pm, a.m.
    cdef bint has_point
    if text.end - text.at < 2:
        return NO_MATCH
    if text.at[0] | 32 != c"a" and text.at[0] | 32 != c"p":
        return NO_MATCH
    moment.half = 0 if text.at[0] | 32 == c"a" else 12
    has_point = text.at[1] == c"."
    text.at += 1 + has_point
    if text.at == text.end or text.at[0] | 32 != c"m":
        return NO_MATCH
    text.at += 1
    if has_point and text.at < text.end and text.at[0] == c".":
        text.at += 1
    return LOCAL


cdef Status _name(Text* text, const char* names, int count, int32_t* number) noexcept nogil:
    # The first three letters of a name, or more of it.
    cdef int width = 0, index, same
    while text.at + width < text.end and c"a" <= text.at[width] | 32 <= c"z":
        width += 1
    if not 3 <= width <= LONGEST_WORD:
        return NO_MATCH
    for index in range(count):
        same = 0
        while same < width and names[LONGEST_WORD * index + same] == text.at[same] | 32:
            same += 1
        if same == width:
            number[0] = index + 1
            text.at += width
            return LOCAL
    return NO_MATCH
