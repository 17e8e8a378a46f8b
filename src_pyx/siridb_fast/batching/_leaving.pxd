# How a run leaves its coalescer.

from siridb_fast.batching._batch cimport Batch
from siridb_fast.batching._coalescer cimport Coalescer
from siridb_fast.batching._series cimport Series


cdef bint add_run(Coalescer coalescer, Batch batch, Series series) except -1
cdef Py_ssize_t portion(
    Coalescer coalescer, Series series, Py_ssize_t used, bint is_begun
) except -1
cdef void move_out(Coalescer coalescer, Series series, Py_ssize_t points) noexcept
