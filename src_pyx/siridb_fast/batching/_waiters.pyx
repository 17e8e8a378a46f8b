"""Who waits for which pending points: the deliveries of columns, by series.

Points of a series are counted from its first one on; knows nothing of what becomes of them.
"""

cimport cython

from siridb_fast.batching._batch cimport Batch
from siridb_fast.batching._series cimport Series


@cython.final
cdef class PendingDeliveries:
    """Those of one coalescer."""

    def __cinit__(self):
        self.waiting = {}

    cdef int add(self, Series series, Py_ssize_t first, Py_ssize_t stop, delivery) except -1:
        # Note who waits for points that were just appended. Makes Python objects, which may run
        # the garbage collector and then other threads: not between reserve() and the points.
        if delivery is not None and first < stop:
            self.waiting.setdefault(series, []).append((first, stop, delivery))
        return 0

    cdef int credit(self, Batch batch, Series series, Py_ssize_t start) except -1:
        # Note in the batch who waits for the points from `start` on that were just moved there.
        cdef Py_ssize_t index = len(batch.names) - 1
        if not self.waiting or series not in self.waiting:
            return 0
        left = []
        for first, stop, delivery in self.waiting.pop(series):
            count = min(stop, series.taken) - max(first, start)
            if count > 0:
                batch.credit(delivery, index, count)
            if stop > series.taken:
                left.append((first, stop, delivery))
        if left:
            self.waiting[series] = left
        return 0

    cdef int credit_parts(
        self, Batch fresh, Batch late, Series series, Py_ssize_t start, lateness
    ) except -1:
        # The same where some of the points, which are late, went to a batch of their own.
        left = []
        for first, stop, delivery in self.waiting.pop(series, ()):
            part = lateness[max(first, start) - start:max(0, min(stop, series.taken) - start)]
            late_points = int(part.sum())
            for batch, points in ((fresh, len(part) - late_points), (late, late_points)):
                if points:
                    (<Batch>batch).credit(delivery, len((<Batch>batch).names) - 1, points)
            if stop > series.taken:
                left.append((first, stop, delivery))
        if left:
            self.waiting[series] = left
        return 0

    cdef list drop(self, Series series):
        # Forget those of a series; return [(delivery, points)] of what is pending.
        return [
            (delivery, stop - max(first, series.taken))
            for first, stop, delivery in self.waiting.pop(series, ())
        ]
