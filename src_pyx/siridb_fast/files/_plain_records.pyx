"""Records of plain numbers and texts → columns, in one pass over the text and without the GIL.

Plain is what most files of most programs are: each field a number of digits with a point, or a
text without quotes in it; each line a record of as many fields. Anything else ends the pass, and
whoever asked reads the text in another way. Numbers are exactly those that any correct reader
takes: one of up to 15 digits is an integer divided by a power of ten, which rounds once; one that
may have to be rounded twice is left to Python.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.math cimport NAN, isinf
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.formats._text_numbers cimport TextNumbers

import numpy as np

cdef enum Kind:
    LEFT_OUT = 0
    FLOAT = 1
    INTEGER = 2
    TEXT = 3

cdef enum:
    MOST_DIGITS = 18            # of a float, with leading zeros
    MOST_OF_INTEGER = 19        # fit in 64 bits without a sign, whatever they are
    MOST_EXPONENT_DIGITS = 3
    LARGEST_POWER = 22          # of ten that a float is equal to
    MOST_HARD = 4096            # numbers of a text that are left to Python
    NEWLINE = 10
    RETURN = 13
    QUOTE = 34

cdef uint64_t ZEROS = 0x3030303030303030, SIXES = 0x0606060606060606
cdef uint64_t HIGH_HALVES = 0xF0F0F0F0F0F0F0F0, PAIRS = 0x000000FF000000FF
cdef uint64_t LOW_PAIRS = 100 + (<uint64_t>1000000 << 32), HIGH_PAIRS = 1 + (<uint64_t>10000 << 32)
cdef uint64_t EXACT = <uint64_t>1 << 53  # below it every integer is a float
cdef double[LARGEST_POWER + 1] POWERS
POWERS[:] = [10.0 ** power for power in range(LARGEST_POWER + 1)]


cdef struct Hard:
    # A number whose float is yet to be found.
    Py_ssize_t start, stop
    double* value


cdef struct Target:
    # Where what is read goes; of each column of numbers, or of texts, one row after another.
    const uint8_t* kinds
    Py_ssize_t fields
    Py_ssize_t rows
    int64_t* numbers
    int64_t* missing
    int32_t* starts
    int32_t* stops
    Hard* hard
    Py_ssize_t hard_count


cdef struct Reader:
    const uint8_t* text
    const uint8_t* end
    uint8_t delimiter
    uint8_t point


def read_plain(
    const uint8_t[::1] text not None,
    uint8_t delimiter,
    uint8_t point,
    const uint8_t[::1] kinds not None,
    int64_t[:, ::1] numbers not None,
    int64_t[::1] missing not None,
    int32_t[:, ::1] starts not None,
    int32_t[:, ::1] stops not None,
) -> bool:
    """Read records; tell whether all of the text is plain. If not, what was written is of no use.

    Args:
        text: Whole lines.
        delimiter: Of fields; one byte.
        point: The decimal sign; one byte.
        kinds: Of each field of a record: 0: left out, 1: float, 2: integer, 3: text.
        numbers: Shape (fields of numbers, rows): floats, as their bits, and integers. A float
            that is not there is NaN.
        missing: How many floats are not there, of each field of numbers.
        starts: Shape (fields of texts, rows): where each begins, in bytes.
        stops: Where each ends; before its beginning if it is not there.
    """
    cdef Reader reader
    cdef Target target
    cdef bint is_plain
    cdef double value
    cdef Py_ssize_t i
    if not text.shape[0] or text[text.shape[0] - 1] != NEWLINE:  # nothing goes beyond that
        return False
    reader.text = &text[0]
    reader.end = reader.text + text.shape[0]
    reader.delimiter, reader.point = delimiter, point
    target.fields, target.rows = kinds.shape[0], numbers.shape[1]
    if not target.fields or not target.rows:
        return False
    target.kinds = &kinds[0]
    target.numbers = &numbers[0, 0] if numbers.shape[0] else NULL
    target.missing = &missing[0] if missing.shape[0] else NULL
    target.starts = &starts[0, 0] if starts.shape[0] else NULL
    target.stops = &stops[0, 0] if stops.shape[0] else NULL
    target.hard_count = 0
    target.hard = <Hard*>PyMem_RawMalloc(MOST_HARD * sizeof(Hard))
    if target.hard == NULL:
        raise MemoryError("no memory for numbers of many digits")
    try:
        with nogil:
            is_plain = _read(&reader, &target)
        for i in range(target.hard_count if is_plain else 0):
            number = bytes(text[target.hard[i].start:target.hard[i].stop])
            target.hard[i].value[0] = float(number.replace(bytes([point]), b"."))
            value = target.hard[i].value[0]
            is_plain = is_plain and value != 0 and not isinf(value)
        return is_plain
    finally:
        PyMem_RawFree(target.hard)


def numbered_texts(
    const uint8_t[::1] text not None,
    const int32_t[::1] starts not None,
    const int32_t[::1] stops not None,
) -> tuple:
    """Return (codes, labels): the different ones of some texts as bytes, and which each row has.

    Args:
        text: Has them.
        starts: Where each begins, shape (n,).
        stops: Where each ends; all of them are there.

    Returns:
        codes: int32, shape (n,). labels: A list of bytes.
    """
    cdef TextNumbers labels = TextNumbers()
    cdef const char* data = <const char*>&text[0]
    cdef Py_ssize_t row = 0, rows = starts.shape[0], found
    array = np.empty(rows, np.int32)
    cdef int32_t[::1] codes = array
    while row < rows:
        found = 0
        with nogil:
            while row < rows:
                found = labels.find(data + starts[row], stops[row] - starts[row])
                if found < 0:
                    break
                codes[row] = <int32_t>found
                row += 1
        if row < rows:
            labels.add(data[starts[row]:stops[row]])
    return array, labels.texts


def joined_texts(
    const uint8_t[::1] text not None,
    const int32_t[::1] starts not None,
    const int32_t[::1] stops not None,
) -> tuple:
    """Return some texts one behind the other, as Arrow has them.

    Args:
        text: Has them.
        starts: Where each begins, shape (n,).
        stops: Where each ends; before its beginning if it is not there.

    Returns:
        offsets: int32, shape (n + 1,). data: uint8. is_there: bool, shape (n,).
    """
    cdef const uint8_t* data = &text[0]
    cdef Py_ssize_t row, rows = starts.shape[0]
    cdef int32_t size, total = 0
    offsets_array = np.empty(rows + 1, np.int32)
    there_array = np.empty(rows, np.uint8)
    cdef int32_t[::1] offsets = offsets_array
    cdef uint8_t[::1] is_there = there_array
    for row in range(rows):
        offsets[row] = total
        is_there[row] = stops[row] >= starts[row]
        total += stops[row] - starts[row] if is_there[row] else 0
    offsets[rows] = total
    data_array = np.empty(max(total, 1), np.uint8)
    cdef uint8_t[::1] into = data_array
    with nogil:
        for row in range(rows):
            size = offsets[row + 1] - offsets[row]
            if size:
                memcpy(&into[offsets[row]], data + starts[row], size)
    return offsets_array, data_array, there_array.view(np.bool_)


cdef bint _read(Reader* reader, Target* target) noexcept nogil:
    cdef const uint8_t* at = reader.text
    cdef Py_ssize_t row
    for row in range(target.rows):
        if at >= reader.end or at[0] == NEWLINE or at[0] == RETURN:
            return False
        at = _read_record(reader, target, at, row)
        if at == NULL:
            return False
    return at == reader.end


cdef inline const uint8_t* _read_record(
    Reader* reader, Target* target, const uint8_t* at, Py_ssize_t row
) noexcept nogil:
    # Returns where the next record begins; NULL if this one is not plain. Whatever is read stops
    # at an end of line, and the text ends with one.
    cdef Py_ssize_t field, last = target.fields - 1, number = row, span = row, column = 0
    cdef uint8_t kind
    for field in range(target.fields):
        kind = target.kinds[field]
        if kind == FLOAT:
            at = _read_float(reader, target, at, <double*>&target.numbers[number], column)
            number += target.rows
            column += 1
        elif kind == INTEGER:
            at = _read_integer(reader, at, &target.numbers[number])
            number += target.rows
            column += 1
        elif kind == TEXT:
            at = _read_text(reader, at, &target.starts[span], &target.stops[span])
            span += target.rows
        else:
            at = _pass_over(reader, at)
        if at == NULL:
            return NULL
        if field < last:
            if at[0] != reader.delimiter:
                return NULL
            at += 1
    at += at[0] == RETURN
    return at + 1 if at[0] == NEWLINE else NULL


cdef inline bint _is_digit(uint8_t character) noexcept nogil:
    return <uint8_t>(character - c"0") <= 9


cdef inline const uint8_t* _read_float(
    Reader* reader, Target* target, const uint8_t* at, double* value, Py_ssize_t column
) noexcept nogil:
    cdef const uint8_t* start = at
    cdef const uint8_t* first
    cdef uint64_t digits = 0
    cdef int power = 0
    cdef bint is_negative = at[0] == c"-", is_integer = True
    cdef Py_ssize_t count
    at += is_negative
    first = at
    while _is_digit(at[0]):
        digits = digits * 10 + (at[0] - c"0")
        at += 1
    count = at - first
    if not count:
        if is_negative or not _is_end_of_field(reader, at):
            return NULL
        value[0] = NAN
        target.missing[column] += 1
        return at
    if at[0] == reader.point:
        at += 1
        first = at
        while _is_digit(at[0]):
            digits = digits * 10 + (at[0] - c"0")
            at += 1
        if at == first:
            return NULL
        power = -<int>(at - first)
        count += at - first
        is_integer = False
    if at[0] == c"e" or at[0] == c"E":
        at = _read_exponent(at + 1, &power)
        if at == NULL:
            return NULL
        is_integer = False
    if count <= MOST_DIGITS and digits < EXACT and -LARGEST_POWER <= power <= LARGEST_POWER:
        value[0] = <double>digits
        if power < 0:
            value[0] /= POWERS[-power]
        else:
            value[0] *= POWERS[power]
        if is_negative:
            value[0] = -value[0]
        return at
    if is_integer or target.hard_count == MOST_HARD:  # it may be one that is rounded
        return NULL
    target.hard[target.hard_count] = Hard(start - reader.text, at - reader.text, value)
    target.hard_count += 1
    return at


cdef inline const uint8_t* _read_exponent(const uint8_t* at, int* power) noexcept nogil:
    cdef bint is_negative = at[0] == c"-"
    cdef const uint8_t* first
    cdef int exponent = 0
    if is_negative or at[0] == c"+":
        at += 1
    first = at
    while _is_digit(at[0]) and at - first <= MOST_EXPONENT_DIGITS:
        exponent = exponent * 10 + (at[0] - c"0")
        at += 1
    if not 0 < at - first <= MOST_EXPONENT_DIGITS:
        return NULL
    power[0] += -exponent if is_negative else exponent
    return at


cdef inline const uint8_t* _read_integer(
    Reader* reader, const uint8_t* at, int64_t* value
) noexcept nogil:
    cdef bint is_negative = at[0] == c"-"
    cdef const uint8_t* first
    cdef uint64_t digits = 0
    at += is_negative
    first = at
    if reader.end - at >= 8 and _are_eight_digits(at):  # as of times
        digits = _eight_digits(at)
        at += 8
    while _is_digit(at[0]) and at - first <= MOST_OF_INTEGER:
        digits = digits * 10 + (at[0] - c"0")
        at += 1
    if not 0 < at - first <= MOST_OF_INTEGER or (first[0] == c"0" and at - first > 1):
        return NULL
    if digits > INT64_MAX:
        return NULL
    value[0] = -<int64_t>digits if is_negative else <int64_t>digits
    return at


cdef inline bint _are_eight_digits(const uint8_t* at) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, at, 8)
    return (word & HIGH_HALVES) == ZEROS and ((word + SIXES) & HIGH_HALVES) == ZEROS


cdef inline uint64_t _eight_digits(const uint8_t* at) noexcept nogil:
    # By pairs, pairs of pairs, and all of them: three multiplications.
    cdef uint64_t word
    memcpy(&word, at, 8)
    word -= ZEROS
    word = word * 10 + (word >> 8)
    word = ((word & PAIRS) * LOW_PAIRS + ((word >> 16) & PAIRS) * HIGH_PAIRS) >> 32
    return <uint32_t>word


cdef inline const uint8_t* _read_text(
    Reader* reader, const uint8_t* at, int32_t* start, int32_t* stop
) noexcept nogil:
    cdef const uint8_t* first = at
    cdef bint is_quoted = at[0] == QUOTE
    at = _pass_over(reader, at)
    if at == NULL:
        return NULL
    start[0] = <int32_t>(first - reader.text) + is_quoted
    stop[0] = <int32_t>(at - reader.text) - is_quoted
    if at == first:
        stop[0] = start[0] - 1
    return at


cdef inline const uint8_t* _pass_over(Reader* reader, const uint8_t* at) noexcept nogil:
    # Behind a field: quoted without quotes in it, or without quotes where it begins.
    if at[0] == QUOTE:
        at += 1
        while at[0] != QUOTE:
            if _ends_line(at[0]):
                return NULL
            at += 1
        return at + 1
    while not _is_end_of_field(reader, at):
        at += 1
    return at


cdef inline bint _is_end_of_field(Reader* reader, const uint8_t* at) noexcept nogil:
    return at[0] == reader.delimiter or _ends_line(at[0])


cdef inline bint _ends_line(uint8_t character) noexcept nogil:
    # Most characters are beyond both: one comparison.
    return character <= RETURN and (character == RETURN or character == NEWLINE)
