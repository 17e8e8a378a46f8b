"""Two sorts of lists that find the next run without a search.

One holds all runs by the age of their oldest point. The others hold the runs of one class each:
those of about the same length, from the first that got so long to the last. Nothing here can fail,
and nothing runs Python.
"""

cimport cython
from cpython.object cimport PyObject

from siridb_fast.columns._records cimport bit_length
from siridb_fast.batching._series cimport STRING, Series


@cython.final
cdef class RunQueue:
    """The runs of a coalescer whose series have their types resolved."""

    cdef bint join(self, Series series) noexcept:
        # Put a run at the young end of the list by age; tell whether it is the only one.
        cdef bint is_only = self.oldest == NULL
        series.older = self.newest
        series.newer = NULL
        if is_only:
            self.oldest = <PyObject*>series
        else:
            series.since = max(series.since, (<Series>self.newest).since)
            (<Series>self.newest).newer = <PyObject*>series
        self.newest = <PyObject*>series
        set_mark(self, series, <Py_ssize_t>1 << _first_bits(series))
        return is_only

    cdef void leave(self, Series series) noexcept:
        self._leave_class(series)
        if series.older == NULL:
            self.oldest = series.newer
        else:
            (<Series>series.older).newer = series.newer
        if series.newer == NULL:
            self.newest = series.older
        else:
            (<Series>series.newer).older = series.older
        series.older = series.newer = NULL

    cdef void make_younger(self, Series series, double since) noexcept:
        # Put a run, whose oldest points have left, where it belongs by age.
        cdef PyObject* other
        self.leave(series)
        series.since = since
        other = self.oldest
        while other != NULL and (<Series>other).since <= since:
            other = (<Series>other).newer
        series.newer = other
        series.older = self.newest if other == NULL else (<Series>other).older
        if series.older == NULL:
            self.oldest = <PyObject*>series
        else:
            (<Series>series.older).newer = <PyObject*>series
        if other == NULL:
            self.newest = <PyObject*>series
        else:
            (<Series>other).older = <PyObject*>series
        self.classify(series)

    cdef void classify(self, Series series) noexcept:
        # Put a run behind the others of its length; note at which length it has to go on.
        cdef int bits = _first_bits(series)
        cdef int class_ = min(bit_length(series.points) - 1 - bits, CLASSES - 1)
        self._leave_class(series)
        set_mark(self, series, <Py_ssize_t>1 << (max(class_, -1) + 1 + bits))
        if class_ < 0:
            return
        series.class_ = <signed char>class_
        series.before = self.last[class_]
        series.after = NULL
        if self.last[class_] == NULL:
            self.first[class_] = <PyObject*>series
        else:
            (<Series>self.last[class_]).after = <PyObject*>series
        self.last[class_] = <PyObject*>series

    cdef PyObject* longest(self, int least) noexcept:
        # A run of the highest class from `least` on; NULL if there is none.
        cdef int class_ = CLASSES - 1
        while class_ >= least:
            if self.first[class_] != NULL:
                return self.first[class_]
            class_ -= 1
        return NULL

    cdef void _leave_class(self, Series series) noexcept:
        cdef int class_ = series.class_
        if class_ < 0:
            return
        if series.before == NULL:
            self.first[class_] = series.after
        else:
            (<Series>series.before).after = series.after
        if series.after == NULL:
            self.last[class_] = series.before
        else:
            (<Series>series.after).before = series.before
        series.class_ = -1


cdef inline int _first_bits(Series series) noexcept:
    # of the length from which on a run is in a class
    return CLASS_BITS - (STRING_BITS if series.type == STRING else 0)
