# RunQueue: the runs that may leave, by age and by length.

from cpython.object cimport PyObject

from siridb_fast.batching._series cimport Series


cdef enum:
    CLASSES = 40       # class c holds the runs of 2**(c + CLASS_BITS) points and more
    CLASS_BITS = 5
    STRING_BITS = 3    # so much shorter are runs of texts in a class: they have no server buffer


cdef class RunQueue:
    # All pointers are borrowed: who puts a series in keeps it alive until it is out.
    cdef:
        PyObject* oldest          # ends of the list by age
        PyObject* newest
        PyObject* first[CLASSES]  # ends of the list of each class
        PyObject* last[CLASSES]
        bint sees_all             # the coalescer looks at every append, for a journal

    cdef bint join(self, Series series) noexcept
    cdef void leave(self, Series series) noexcept
    cdef void make_younger(self, Series series, double since) noexcept
    cdef void classify(self, Series series) noexcept
    cdef PyObject* longest(self, int least) noexcept
    cdef void _leave_class(self, Series series) noexcept


cdef inline void set_mark(RunQueue queue, Series series, Py_ssize_t points) noexcept:
    # Have the coalescer look at the run when it is so long; or at every append.
    if queue.sees_all:
        series.lift_at = points
        series.mark = 0
    else:
        series.mark = points
