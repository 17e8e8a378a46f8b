"""Whole columns of points → the runs of their series.

All of a call is appended or nothing; where there is no room, the coalescer's ``on_blocked`` waits
for it. Values have the types of their series: that is the caller's business.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from siridb_fast.batching._coalescer cimport Coalescer, append_samples
from siridb_fast.batching._series cimport (
    MAX_CAPACITY, TEXT_OVERHEAD, Series, column_bytes, free_slots, has_slot,
)


def room_for(Py_ssize_t points, Py_ssize_t series=1, Py_ssize_t text_bytes=0) -> int:
    """Return the bytes that so many points of so many series need at most."""
    cdef Py_ssize_t texts = text_bytes + points * TEXT_OVERHEAD if text_bytes else 0
    return column_bytes(points) + series * column_bytes(0) + texts


def append_column(
    Coalescer coalescer not None, Series series not None,
    const int64_t[::1] timestamps not None, const int64_t[::1] values not None, delivery=None,
) -> None:
    """Append points of one series; values are int64, or doubles viewed as such.

    ``delivery`` is somebody who waits for them: `Coalescer.take` and `drop` name them.
    """
    while coalescer.wait_for(column_bytes(timestamps.shape[0])):
        pass
    _append(coalescer, series, timestamps, values, 0, timestamps.shape[0], delivery)
    coalescer.wake()


def append_rows(
    Coalescer coalescer not None, list all_series not None, const int64_t[::1] stops not None,
    const int64_t[::1] timestamps not None, const int64_t[::1] values not None, delivery=None,
) -> None:
    """Append points of many series at once, as `append_column` does.

    Those of ``all_series[i]`` end before ``stops[i]``, in their order.
    """
    cdef Py_ssize_t k, start = 0
    while coalescer.wait_for(room_for(timestamps.shape[0], len(all_series))):
        pass
    for k in range(len(all_series)):
        _append(coalescer, <Series>all_series[k], timestamps, values, start, stops[k], delivery)
        start = stops[k]
    coalescer.wake()


def append_texts(
    Coalescer coalescer not None, Series series not None,
    const int64_t[::1] timestamps not None, list texts not None, delivery=None,
) -> None:
    """Append points of one series whose values are bytes."""
    cdef Py_ssize_t i, first, n = timestamps.shape[0], text_bytes = room_of_texts(texts)
    while coalescer.reserve(series, n, text_bytes):
        pass
    first = series.taken + series.points
    for i in range(n):
        coalescer.append_text(series, timestamps[i], texts[i])
    coalescer.deliveries.add(series, first, first + n, delivery)
    coalescer.wake()


cdef Py_ssize_t room_of_texts(list texts) except -1:
    # What the bytes in a list of bytes and None take.
    cdef Py_ssize_t i, room = 0
    for i in range(len(texts)):
        if texts[i] is not None:
            room += PyBytes_GET_SIZE(<bytes>texts[i]) + TEXT_OVERHEAD
    return room


cdef int _append(
    Coalescer coalescer, Series series, const int64_t[::1] timestamps,
    const int64_t[::1] values, Py_ssize_t start, Py_ssize_t stop, delivery,
) except -1:
    # The samples from `start` to `stop`, for which there is room.
    cdef Py_ssize_t n, i = start, first = series.taken + series.points
    if series.points == 0:
        series.since = coalescer.clock()
    while i < stop:
        if not has_slot(series):
            coalescer.add_slots(series, min(<Py_ssize_t>MAX_CAPACITY, stop - i))
        n = min(free_slots(series), stop - i)
        append_samples(coalescer, series, &timestamps[i], &values[i], n)
        i += n
    return coalescer.deliveries.add(series, first, first + stop - start, delivery)
