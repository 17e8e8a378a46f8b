# A moment of the calendar → an integer since 1970. The calendar is that of ISO 8601 at all times.

from libc.stdint cimport int32_t, int64_t

from siridb_fast.files._time_texts cimport (
    BEFORE_1970,
    LOCAL,
    NO_SUCH_CLOCK,
    NO_SUCH_DATE,
    NOT_YET,
    TOO_FINE,
    TOO_LATE,
    ZONED,
    Status,
)


cdef enum:
    DAY = 86400
    SECOND = 1000000000    # in nanoseconds
    # What nanoseconds of 64 bits hold.
    LAST_SECOND = 9223372036
    LAST_NANOS = 854775807


cdef struct Moment:
    int32_t year
    int32_t month
    int32_t day
    int32_t day_of_year  # 0: given by month and day
    int32_t hour
    int32_t minute
    int32_t second
    int32_t nanos
    bint is_finer        # than nanoseconds
    int32_t half         # of a clock of 12 hours: 0 or 12
    int32_t offset       # seconds east of UTC
    bint is_zoned


cdef inline void begin(Moment* moment) noexcept nogil:
    moment.month = moment.day = 1
    moment.day_of_year = moment.hour = moment.minute = moment.second = moment.nanos = 0
    moment.half = NOT_YET
    moment.offset = 0
    moment.is_zoned = moment.is_finer = False


cdef inline bint is_leap_year(int32_t year) noexcept nogil:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


cdef inline int64_t days_before_year(int64_t year) noexcept nogil:
    # Since 1 January 1970, of the calendar that ISO 8601 has for all times.
    cdef int64_t before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400 - 719162


cdef inline Status day_of(Moment* moment, int64_t* days) noexcept nogil:
    cdef bint is_leap = is_leap_year(moment.year)
    cdef int32_t length
    if moment.year < 1:
        return NO_SUCH_DATE
    days[0] = days_before_year(moment.year)
    if moment.day_of_year:
        days[0] += moment.day_of_year - 1
        return LOCAL if moment.day_of_year <= 365 + is_leap else NO_SUCH_DATE
    if not 1 <= moment.month <= 12 or moment.day < 1:
        return NO_SUCH_DATE
    if moment.month == 2:
        length = 28 + is_leap
    else:
        length = 30 + (moment.month + (moment.month > 7)) % 2
    if moment.day > length:
        return NO_SUCH_DATE
    days[0] += (367 * moment.month - 362) // 12 + moment.day - 1
    if moment.month > 2:
        days[0] -= 2 - is_leap
    return LOCAL


cdef inline Status time_of(
    Moment* moment, int64_t per_second, int64_t first_second, int64_t* time
) noexcept nogil:
    cdef int64_t seconds = 0
    cdef int32_t nanos_each = <int32_t>(SECOND // per_second)
    cdef Status status = day_of(moment, &seconds)
    if status != LOCAL:
        return status
    if moment.hour >= 24 and (moment.hour > 24 or moment.minute or moment.second or moment.nanos):
        return NO_SUCH_CLOCK
    if moment.minute > 59 or moment.second > 59:
        return NO_SUCH_CLOCK
    seconds = seconds * DAY + moment.hour * 3600 + moment.minute * 60 + moment.second
    seconds -= moment.offset
    if seconds < (0 if moment.is_zoned else first_second):
        return BEFORE_1970
    if per_second == SECOND and seconds >= <int64_t>LAST_SECOND:
        if seconds > <int64_t>LAST_SECOND or moment.nanos > LAST_NANOS:
            return TOO_LATE
    time[0] = seconds * per_second + moment.nanos // nanos_each
    if moment.is_finer or moment.nanos % nanos_each:
        return TOO_FINE
    return ZONED if moment.is_zoned else LOCAL
