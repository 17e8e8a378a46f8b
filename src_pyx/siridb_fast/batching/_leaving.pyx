"""How a run leaves: into a package that has room for it, whole or in even parts.

Knows nothing of which run is due.
"""

from libc.math cimport INFINITY

from siridb_fast.batching._batch cimport Batch
from siridb_fast.batching._coalescer cimport Coalescer
from siridb_fast.batching._ends cimport Ends
from siridb_fast.batching._repeat cimport note_left
from siridb_fast.batching._series cimport Series, drop_points, even_piece, put_run, run_bound


def take_oldest(Coalescer coalescer not None, Batch batch not None) -> bool:
    """Move the oldest points into an empty batch, to be given up; tell whether there are any.

    Of runs whose type is not resolved too, behind the others.
    """
    cdef Series series
    coalescer.packages += 1
    coalescer.late = None
    coalescer._take_old(batch, INFINITY)
    if not batch.names:
        pending = coalescer.pending_series()
        for series in sorted(pending, key=lambda one: (<Series>one).since):
            if not series.is_resolved and not add_run(coalescer, batch, series):
                break
    return len(batch.names) > 0


cdef bint add_run(Coalescer coalescer, Batch batch, Series series) except -1:
    # Move a run, or an even split of one that is larger than a package; False if it has to
    # wait for the next package.
    cdef Py_ssize_t start = series.taken
    cdef Py_ssize_t points = portion(coalescer, series, batch.buffer.size, len(batch.names) > 0)
    cdef Ends ends
    if not points:
        return False
    put_run(series, points, batch.buffer, &ends)
    move_out(coalescer, series, points)
    batch.add(series.name, points, series, &ends)
    note_left(series, &ends, batch.repeats)
    batch.oldest = min(batch.oldest, series.since)
    if series.points:
        _put_back(coalescer, series)
    coalescer.deliveries.credit(batch, series, start)
    return True


cdef void _put_back(Coalescer coalescer, Series series) noexcept:
    # What is left of a run; with a journal it is known since when that may be there.
    cdef double since = max(series.since, series.head.since)
    if not series.is_resolved:
        series.since = since
    elif since > series.since:
        coalescer.queue.make_younger(series, since)
    else:
        coalescer.queue.classify(series)


cdef Py_ssize_t portion(
    Coalescer coalescer, Series series, Py_ssize_t used, bint is_begun
) except -1:
    # How many points of a run to add to a package that has so many bytes; 0 if it has to wait.
    cdef Py_ssize_t bound = run_bound(series, series.points)
    if series.package == coalescer.packages:
        return 0  # the remainder of a run that was cut
    if bound > coalescer.package_bytes - used:
        if is_begun:
            return 0
        if bound > coalescer.package_bytes:
            return even_piece(series, bound, coalescer.package_bytes)
    return series.points


cdef void move_out(Coalescer coalescer, Series series, Py_ssize_t points) noexcept:
    # Forget points that were added to a package.
    series.package = coalescer.packages
    if points == series.points:
        coalescer._forget_run(series)
    coalescer.run_bytes -= drop_points(series, points, &coalescer.cache)
    coalescer.points -= points
    coalescer.moved += points
