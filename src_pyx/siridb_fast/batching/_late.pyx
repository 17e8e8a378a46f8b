"""Late points: those that may be in the database already, because they are not newer than the
newest of their series that has left or is there.

They are told when their run leaves, so that a point that comes in costs nothing. A run that only
goes on is written as it lies; of any other one those points that are late go to a batch of their
own. The second point of a run at one time is late, too, whatever its value: the first one is not
known to be stored yet.
Knows nothing of what becomes of late points.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

from siridb_fast.batching._batch cimport Batch
from siridb_fast.batching._coalescer cimport Coalescer
from siridb_fast.batching._ends cimport Ends
from siridb_fast.batching._leaving cimport move_out, portion
from siridb_fast.batching._series cimport (
    Chunk, Sample, Series, arrays_of, put_points, put_run, run_bound, samples_of,
)
from siridb_fast.columns._points cimport PointColumn

import numpy as np

from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules

SENT_RULES = ColumnRules()  # what is plain is in the database's precision


# Of a run.
cdef struct Span:
    int64_t first
    int64_t last
    bint is_rising  # each timestamp is newer than the one before it


def note_newest(Series series not None, end) -> None:
    """Take note of the newest timestamp that the database has of a series; None: it has none.

    Until then every point of the series is late.
    """
    series.newest = max(series.sent.last, <int64_t>(INT64_MIN if end is None else end))


def append_compared(
    Batch fresh not None, Batch late not None, Series series not None, PointColumn column not None,
    Py_ssize_t start, Py_ssize_t stop,
) -> tuple:
    """Encode points of a column, those that are late into a batch of their own.

    Returns how many are in each.
    """
    timestamps, values = column._part(slice(start, stop)).plain()
    cdef Py_ssize_t points = len(timestamps)
    if not points:
        return 0, 0
    if timestamps[0] > series.newest and (np.diff(timestamps) > 0).all():
        points = fresh.append_column_of(None, column, start, stop)
        _note_left(series, timestamps[0], timestamps[points - 1])
        return points, 0
    lateness = late_points(series.newest, timestamps)
    first, last = int(timestamps.min()), int(timestamps.max())
    for batch, mask in ((fresh, ~lateness), (late, lateness)):
        if mask.any():
            part = point_column(column.name, timestamps[mask], _chosen(values, mask), SENT_RULES)
            (<Batch>batch).append_column_of(None, part, 0, len(part))
    _note_left(series, first, last)
    return points - int(lateness.sum()), int(lateness.sum())


def late_points(int64_t newest, timestamps):
    """Return which points are late: a bool array, shape (n,).

    Args:
        newest: Timestamp.
        timestamps: int64, shape (n,).
    """
    lateness = timestamps <= newest
    order = np.argsort(timestamps, kind="stable")
    lateness[order[1:][np.diff(timestamps[order]) == 0]] = True
    return lateness


cdef bint add_compared(
    Coalescer coalescer, Batch fresh, Batch late, Series series
) except -1:
    # Move a run, as `add_run` does: what is late of it to a batch of its own.
    cdef Py_ssize_t used = max(fresh.buffer.size, late.buffer.size), start = series.taken
    cdef bint is_begun = len(fresh.names) + len(late.names) > 0
    cdef Py_ssize_t points = portion(coalescer, series, used, is_begun)
    if not points:
        return False
    lateness = _put_compared(series, points, fresh, late)
    move_out(coalescer, series, points)
    fresh.oldest = min(fresh.oldest, series.since)
    late.oldest = min(late.oldest, series.since)
    if series.points:
        coalescer.queue.classify(series)
    if isinstance(lateness, bool):
        coalescer.deliveries.credit(late if lateness else fresh, series, start)
    else:
        coalescer.deliveries.credit_parts(fresh, late, series, start, lateness)
    return True


cdef object _put_compared(Series series, Py_ssize_t points, Batch fresh, Batch late):
    # Write the first points of a run, at least one; tell which are late: a bool array, or a bool
    # if they are alike.
    cdef Span span = _span_of(series, points)
    if span.last <= series.newest:
        _put_whole(series, points, late)
        return True
    if span.first > series.newest and span.is_rising:
        _put_whole(series, points, fresh)
        return False
    return _put_parts(series, points, fresh, late)


cdef Span _span_of(Series series, Py_ssize_t points) noexcept:
    # where the tail is sealed
    cdef Span span = Span(first=INT64_MAX, last=INT64_MIN, is_rising=True)
    cdef Chunk* chunk = series.head
    cdef Py_ssize_t i = series.start, stop
    cdef const Sample* samples
    cdef int64_t timestamp, before = -1, first = INT64_MAX, last = INT64_MIN
    cdef bint is_rising = True
    while points:
        samples = samples_of(chunk)
        stop = min(<Py_ssize_t>chunk.stop, i + points)
        points -= stop - i
        while i < stop:
            timestamp = samples[i].timestamp
            is_rising &= timestamp > before
            first = min(first, timestamp)
            last = max(last, timestamp)
            before = timestamp
            i += 1
        chunk = chunk.next
        i = 0
    span.first, span.last, span.is_rising = first, last, is_rising
    return span


cdef int _put_whole(Series series, Py_ssize_t points, Batch batch) except -1:
    cdef Ends ends
    put_run(series, points, batch.buffer, &ends)
    batch.add(series.name, points, series, &ends)
    return _note_left(series, ends.first, ends.last)


cdef object _put_parts(Series series, Py_ssize_t points, Batch fresh, Batch late):
    cdef Py_ssize_t bound = run_bound(series, points)
    timestamps, bits = arrays_of(series, points)
    lateness = late_points(series.newest, timestamps)
    order = np.argsort(timestamps, kind="stable")
    of_order = lateness[order]
    _put_part(series, timestamps, bits, order[~of_order], fresh, bound)
    _put_part(series, timestamps, bits, order[of_order], late, bound)
    return lateness


cdef int _put_part(
    Series series, timestamps, bits, indices, Batch batch, Py_ssize_t bound
) except -1:
    cdef Ends ends
    if len(indices):
        put_points(series, timestamps[indices], bits[indices], batch.buffer, bound, &ends)
        batch.add(series.name, len(indices), series, &ends)
        _note_left(series, ends.first, ends.last)
    return 0


cdef int _note_left(Series series, int64_t first, int64_t last) except -1:
    series.sent.first = min(series.sent.first, first)
    series.sent.last = max(series.sent.last, last)
    series.newest = max(series.newest, last)
    return 0


def _chosen(values, mask):
    if isinstance(values, list):
        values = np.array(values, object)
    return values[mask]
