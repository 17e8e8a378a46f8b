"""How a run leaves: into a package that has room for it, whole or in even parts.

Knows nothing of which run is due.
"""

from siridb_fast.batching._batch cimport Batch
from siridb_fast.batching._coalescer cimport Coalescer
from siridb_fast.batching._ends cimport Ends
from siridb_fast.batching._repeat cimport note_left
from siridb_fast.batching._series cimport Series, drop_points, even_piece, put_run, run_bound


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
        coalescer.queue.classify(series)
    coalescer.deliveries.credit(batch, series, start)
    return True


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
