"""Numbers of a text: the whole of a token, of which nothing is left.

A float whose digits fit 53 bits, and whose power of ten is one of the first 22, is the quotient or
product of two doubles that are exact, so it is the nearest one (W. D. Clinger, "How to read
floating point numbers accurately", 1990). All others are read by Python.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    double PyOS_string_to_double(const char*, char**, object) except? -1.0

cdef enum:
    LONGEST = 400     # characters of a float
    EXACT_POWERS = 22
    DIGITS = 19       # that always fit 64 bits

cdef uint64_t EXACT = <uint64_t>1 << 53
cdef uint64_t LARGEST = (<uint64_t>1 << 63) - 1
cdef double[23] POWERS
POWERS[:] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
]


cdef NumberError read_integer(const char* start, const char* stop, int64_t* value) noexcept nogil:
    # Digits with a sign before them, if any.
    cdef bint is_negative = start < stop and start[0] == c"-"
    cdef const char* at = start + (start < stop and (is_negative or start[0] == c"+"))
    cdef uint64_t number = 0
    if at == stop:
        return NO_NUMBER
    while at < stop and at[0] == c"0":
        at += 1
    if stop - at > DIGITS:
        return _digits_or_not(at, stop)
    while at < stop:
        if not c"0" <= at[0] <= c"9":
            return NO_NUMBER
        number = number * 10 + <uint64_t>(at[0] - c"0")
        at += 1
    if number > LARGEST + is_negative:
        return TOO_LARGE
    value[0] = <int64_t>(0 - number if is_negative else number)
    return FINE


cdef NumberError _digits_or_not(const char* at, const char* stop) noexcept nogil:
    while at < stop:
        if not c"0" <= at[0] <= c"9":
            return NO_NUMBER
        at += 1
    return TOO_LARGE


cdef NumberError read_float(const char* start, const char* stop, double* value):
    # A decimal number, without nan and inf.
    cdef const char* at = start
    cdef bint is_negative = False
    cdef uint64_t digits = 0
    cdef Py_ssize_t count = 0, behind = 0, power = 0
    cdef int64_t exponent = 0
    cdef bint is_short = True
    if at < stop and (at[0] == c"-" or at[0] == c"+"):
        is_negative = at[0] == c"-"
        at += 1
    while at < stop and c"0" <= at[0] <= c"9":
        digits = digits * 10 + <uint64_t>(at[0] - c"0")
        count += 1
        at += 1
    if at < stop and at[0] == c".":
        at += 1
        while at < stop and c"0" <= at[0] <= c"9":
            digits = digits * 10 + <uint64_t>(at[0] - c"0")
            count += 1
            behind += 1
            at += 1
    if not count:
        return NO_NUMBER
    if at < stop and (at[0] == c"e" or at[0] == c"E"):
        if read_integer(at + 1, stop, &exponent) == NO_NUMBER:
            return NO_NUMBER
        is_short = -1000 < exponent < 1000 and stop - at < 8
    elif at < stop:
        return NO_NUMBER
    power = <Py_ssize_t>exponent - behind
    if is_short and count <= DIGITS and digits <= EXACT and -EXACT_POWERS <= power <= EXACT_POWERS:
        value[0] = <double>digits
        if power < 0:
            value[0] /= POWERS[-power]
        else:
            value[0] *= POWERS[power]
        if is_negative:
            value[0] = -value[0]
        return FINE
    return _read_by_python(start, stop, value)


cdef NumberError _read_by_python(const char* start, const char* stop, double* value):
    cdef char[LONGEST + 1] text
    cdef Py_ssize_t size = stop - start
    if size > LONGEST:
        return TOO_LARGE
    memcpy(text, start, size)
    text[size] = 0
    try:
        value[0] = PyOS_string_to_double(text, NULL, OverflowError)
    except OverflowError:
        return TOO_LARGE
    except ValueError:
        return NO_NUMBER
    return FINE
