# Ticker: many series that always get a value together.

from siridb_fast.writer._point_intake cimport PointIntake


cdef class Ticker:
    cdef:
        PointIntake intake
        list series            # in the order of the names
        tuple series_names
        tuple shape            # of an array with one value for each
