"""Runs that go on at a timestamp of what had left of their series, or go back behind it.

Most do not, and that is all that is found out of them here. Knows nothing of packages.
"""

cimport cython
from libc.stdint cimport int64_t

from siridb_fast.batching._ends cimport UNLIKE, Ends
from siridb_fast.batching._series cimport Series


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Repeat:
    """A run that left and is not all newer than what had left of its series before."""


def note_run(
    Series series not None, int64_t first, int64_t last, list repeats not None
) -> None:
    """Take note that a run leaves that was made elsewhere, in `repeats` if it is such a one."""
    cdef Ends ends = Ends(first=first, last=last, key=0, points=UNLIKE)
    note_left(series, &ends, repeats)


cdef int note_left(Series series, const Ends* ends, list repeats) except -1:
    # Take note that a run leaves; in `repeats`, if not all of it is newer than what left before.
    cdef Repeat repeat
    if ends.first <= series.sent.last:
        repeat = Repeat.__new__(Repeat)
        repeat.series = series
        repeat.first, repeat.last = ends.first, ends.last
        repeat.oldest, repeat.newest = series.sent.first, series.sent.last
        repeat.key, repeat.points = series.sent.key, series.sent.points
        repeats.append(repeat)
    series.sent.first = min(series.sent.first, ends.first)
    if ends.last > series.sent.last:
        series.sent.last = ends.last
        series.sent.points = 0
    return 0
