"""Points as a program has them, one by one → samples of the coalescer.

What cannot be sent is refused at the call, with the series named, and then nothing of the call is
taken. The usual types, float and int, are read without a detour; all others are turned into one of
these, or into text, by `store_odd_value`.
"""

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from siridb_fast.columns._blocks cimport DROP, ERROR, KEEP
from siridb_fast.batching._append cimport room_of_texts
from siridb_fast.batching._coalescer cimport Coalescer, append_sample
from siridb_fast.batching._series cimport (
    FLOAT, INTEGER, NO_TYPE, STRING, TEXT_OVERHEAD, Series, SeriesType, Value, chunk_bytes,
    has_slot, next_capacity,
)

import numpy as np

from siridb_fast.batching.no_room import NoRoom

from siridb_fast.columns.casting import EXACT_INTEGERS, cast_values, text_of, type_remedy
from siridb_fast.columns.column import raw_series_name
from siridb_fast.columns.rules import MISSING
from siridb_fast.columns.scalars import plain_timestamp, plain_value, shown_integer
from siridb_fast.columns.time_units import SECOND
from siridb_fast.errors import ColumnError

cdef enum:
    NO_INDEX = -1

TYPE_NAMES = {INTEGER: "integer", FLOAT: "float", STRING: "string"}


cdef class PointIntake:
    """The way in, for any thread; `BatchWriter` is one, so that no Python comes in between.

    What it does is in functions, not in methods: users see all that is in the class.
    """

    def __cinit__(self, *args, **options):
        # A writer that was not initialized is closed.
        self._coalescer = Coalescer(
            clock=float, max_buffered=0, linger=0, package_bytes=0, max_idle=0
        )

    def __init__(self, Coalescer coalescer not None, rules, bint casts):
        self._coalescer = coalescer
        self._casts = casts
        self._set_rules(rules)

    def _set_rules(self, rules) -> None:
        """Read points by these `ColumnRules`."""
        cdef int bits = 32 if rules.time_precision == SECOND else 63
        self._rules = rules
        self.refused_bits = ~((<uint64_t>1 << bits) - 1)
        self.on_missing = MISSING[rules.on_missing]

    # A plain method is called faster than one that is bound; `inspect` finds how in its text.
    @cython.binding(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format("clinic")
    def write(self, series, timestamp, value) -> None:
        """Take one point. From any thread; in a coroutine, `await` ``drain()`` now and then.

        Args:
            series: The name of its series; 1 to 65,534 bytes of UTF-8 without NUL.
            timestamp: An int in the database's time precision, a datetime64, or a datetime; one
                without a time zone is UTC.
            value: A float, int, bool (stored as 0 and 1) or str, of Python or numpy.

        Raises:
            ColumnError: It cannot be sent; names the series. Also a `ValueError`.
            BufferFullError: There is no room, and this thread is not to wait.
            WriterClosedError: The writer is not open.
        """
        cdef PyObject* found
        cdef Series known  # owned: another thread may let the table forget it meanwhile
        if type(series) is str:
            found = PyDict_GetItemWithError(self._coalescer.table.by_name, series)
            if found != NULL:
                known = <Series>found
                write_to(self, known, timestamp, value)
                return
        write_to(self, find_series(self, series), timestamp, value)

    def write_tick(self, timestamp, values) -> None:
        """Take ``{series: value}``, one point of each series, or raise and take none.

        Types and errors are those of `write`. Where the series are always the same, a `Ticker` is
        faster.
        """
        if not isinstance(values, dict):
            raise ColumnError(f"a tick is a dict {{series: value}}, got {type(values).__name__}")
        names, given = list(values), list(values.values())
        series = [find_series(self, name) for name in names]
        if type(values) is not dict or not all([type(name) is str for name in names]):
            _refuse_twice(series)
        write_all(self, series, timestamp, given)

    def series(self, name) -> SeriesHandle:
        """Return a handle whose ``append(timestamp, value)`` writes to one series."""
        return SeriesHandle(self, find_series(self, name))


@cython.final
cdef class SeriesHandle:
    """One series of a writer, found once: `append` saves the look-up of every `write`."""

    def __cinit__(self, PointIntake intake not None, Series series not None):
        self.intake = intake
        self.series = series

    def __repr__(self):
        return f"<SeriesHandle {self.series.name!r}>"

    @property
    def name(self) -> str:
        """The series' name."""
        return self.series.name

    @cython.binding(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format("clinic")
    def append(self, timestamp, value) -> None:
        """Take one point; raises what `BatchWriter.write` does."""
        write_to(self.intake, self.series, timestamp, value)


cdef inline int write_to(PointIntake intake, Series series, timestamp, value) except -1:
    # The usual point, of a float series whose run has room, is done right here.
    cdef Coalescer coalescer = intake._coalescer
    cdef int overflow = 0
    cdef Value stored
    cdef int64_t stamp
    if (
        series.type == FLOAT and PyFloat_CheckExact(value) and PyLong_CheckExact(timestamp)
        and has_slot(series) and not coalescer.is_barred
    ):
        stamp = PyLong_AsLongLongAndOverflow(timestamp, &overflow)
        stored.real = PyFloat_AS_DOUBLE(value)
        if not overflow and not <uint64_t>stamp & intake.refused_bits and (
            intake.on_missing == KEEP or stored.real == stored.real
        ):
            append_sample(coalescer, series, stamp, stored)
            return coalescer.wake() if coalescer.has_news else 0
    return write_any(intake, series, timestamp, value)


cdef Series find_series(PointIntake intake, name):
    cdef Series series = intake._coalescer.find(name) if type(name) is str else None
    if series is None:
        # The name itself is the key, to be found by its identity; but the str() of a subclass
        # may be another: that of a str Enum is not its value.
        raw_name = raw_series_name(name)
        series = intake._coalescer.series(name if type(name) is str else raw_name.decode())
    return series


cdef int64_t timestamp_of(PointIntake intake, Series series, given) except? -1:
    cdef int overflow = 0
    cdef long long integer
    if not PyLong_CheckExact(given):
        given = plain_timestamp(series.name, given, intake._rules)
    integer = PyLong_AsLongLongAndOverflow(given, &overflow)
    if overflow or <uint64_t>integer & intake.refused_bits:
        highest = ~intake.refused_bits
        raise ColumnError(
            f"timestamp {shown_integer(given)} is not in 0..{highest} of the database's time "
            "precision",
            series=series.name,
        )
    return integer


cdef bytes store_value(PointIntake intake, Series series, value, Py_ssize_t index, Stored* stored):
    # Fill `stored`; return the text that it points to, if it is one.
    cdef int overflow = 0
    if PyFloat_CheckExact(value) and (series.type == FLOAT or series.type == NO_TYPE):
        stored.type = FLOAT
        stored.value.real = PyFloat_AS_DOUBLE(value)
        if intake.on_missing == KEEP or stored.value.real == stored.value.real:
            return None
    elif PyLong_CheckExact(value) and (series.type == INTEGER or series.type == NO_TYPE):
        stored.type = INTEGER
        stored.value.integer = PyLong_AsLongLongAndOverflow(value, &overflow)
        if not overflow:
            return None
    return store_odd_value(intake, series, value, index, stored)


cdef bytes store_odd_value(
    PointIntake intake, Series series, value, Py_ssize_t index, Stored* stored
):
    # What is neither a plain float nor a plain int of the series' type.
    value = plain_value(series.name, value, _index(index))
    if value is None or value != value:
        if intake.on_missing == DROP:
            stored.type = NO_TYPE
            return None
        if value is None or intake.on_missing == ERROR:
            raise ColumnError(
                f"the value is missing ({'None' if value is None else 'NaN'}); "
                "on_missing='drop' would leave the point out",
                series=series.name, index=_index(index),
            )
    stored.type = _type_of(value)
    if series.type != NO_TYPE and stored.type != series.type:
        value = fitted_value(intake, series, value, _index(index))
        stored.type = series.type
    if stored.type == FLOAT:
        stored.value.real = value
    elif stored.type == INTEGER:
        stored.value.integer = value
    else:
        stored.value.text = <PyObject*>value
        return value
    return None


cdef str _type_name(value):
    if isinstance(value, (bytes, str)):
        return "string"
    return "float" if isinstance(value, float) else "integer"


cdef object fitted_value(PointIntake intake, Series series, value, index):
    # The value in the series' type: a whole number as the float that it is, others on request.
    cdef str type_ = TYPE_NAMES[series.type]
    if series.type == FLOAT and isinstance(value, int):
        if -EXACT_INTEGERS <= value <= EXACT_INTEGERS:
            return float(value)
    if not intake._casts:
        raise ColumnError(
            f"the series is of type {type_}, the value {_shown(value)} is not; "
            f"{type_remedy(type_, _type_name(value))}",
            series=series.name, index=index,
        )
    try:
        given = text_of(series.name, value) if isinstance(value, bytes) else value
        cast = cast_values(series.name, np.array([given]), type_)[0]
    except ColumnError as exc:
        raise ColumnError(exc.text, series=series.name, index=index) from None
    return cast.encode() if series.type == STRING else cast.item()


cdef int write_any(PointIntake intake, Series series, timestamp, value) except -1:
    # Take one point of any sort, in any state; or give it up.
    try:
        return take_any(intake, series, timestamp, value)
    except NoRoom as exc:
        give_up(intake, exc, [series], timestamp, [value])
    return 0


cdef int take_any(PointIntake intake, Series series, timestamp, value) except -1:
    cdef Coalescer coalescer = intake._coalescer
    cdef int64_t stamp = timestamp_of(intake, series, timestamp)
    cdef Stored stored
    cdef bytes text
    if coalescer.is_barred:
        coalescer.on_blocked(0)
    while True:
        text = store_value(intake, series, value, NO_INDEX, &stored)
        if stored.type == NO_TYPE:
            return 0
        if not coalescer.make_slot(series, room_of_text(text)):
            break
    append_stored(coalescer, series, stamp, &stored, text)
    return coalescer.wake()


cdef int give_up(PointIntake intake, no_room, list series, timestamp, list values) except -1:
    # Instead of taking one value for each series.
    cdef Py_ssize_t i
    cdef Stored stored
    names, given = [], []
    stamp = timestamp_of(intake, series[0], timestamp) if series else 0
    for i in range(len(series)):
        text = store_odd_value(intake, series[i], values[i], i, &stored)
        if stored.type == NO_TYPE:
            continue
        names.append((<Series>series[i]).name)
        if stored.type == STRING:
            given.append(text)
        else:
            given.append(stored.value.real if stored.type == FLOAT else stored.value.integer)
    no_room.give_up(names, [stamp] * len(names), given)
    return 0


cdef int write_all(PointIntake intake, list series, timestamp, list values) except -1:
    # Take one value for each series, all or none; or give up all. No series is there twice.
    try:
        return take_all(intake, series, timestamp, values)
    except NoRoom as exc:
        give_up(intake, exc, series, timestamp, values)
    return 0


cdef int take_all(PointIntake intake, list series, timestamp, list values) except -1:
    cdef Coalescer coalescer = intake._coalescer
    cdef Py_ssize_t i, n = len(series)
    cdef Stored* stored = <Stored*>PyMem_Malloc(max(n, <Py_ssize_t>1) * sizeof(Stored))
    cdef list texts, present
    if stored == NULL:
        raise MemoryError(f"no memory for a tick of {n:,} series")
    try:
        if len(values) != n:
            raise ColumnError(f"{len(values)} values for {n} series")
        stamp = timestamp_of(intake, series[0], timestamp) if n else 0
        if coalescer.is_barred:
            coalescer.on_blocked(0)
        while True:
            texts = [store_value(intake, series[i], values[i], i, &stored[i]) for i in range(n)]
            present = series
            if intake.on_missing == DROP:
                present = [series[i] for i in range(n) if stored[i].type != NO_TYPE]
            if not make_room_for_tick(coalescer, present, room_of_texts(texts)):
                break
        for i in range(n):
            append_stored(coalescer, series[i], stamp, &stored[i], texts[i])
        coalescer.wake()
    finally:
        PyMem_Free(stored)
    return 0


cdef void append_stored(
    Coalescer coalescer, Series series, int64_t timestamp, Stored* stored, bytes text
) noexcept:
    # Where there is room; one that is missing is left out.
    if stored.type == NO_TYPE:
        return
    series.type = stored.type
    if stored.type == STRING:
        coalescer.append_text(series, timestamp, text)
    else:
        append_sample(coalescer, series, timestamp, stored.value)


cdef bint make_room_for_tick(Coalescer coalescer, list series, Py_ssize_t text_bytes) except -1:
    # For one more sample in each; returns whether it had to wait, so that all may differ.
    cdef Py_ssize_t need = text_bytes
    cdef Series one
    for one in series:
        if not has_slot(one):
            need += chunk_bytes(next_capacity(one, coalescer.chunk_limit))
    if coalescer.wait_for(need):
        return True
    for one in series:
        if not has_slot(one) and coalescer.make_slot(one, 0):
            return True
    return False


cdef inline Py_ssize_t room_of_text(bytes text) noexcept:
    return 0 if text is None else PyBytes_GET_SIZE(text) + TEXT_OVERHEAD


def _refuse_twice(list series):
    # where names are no plain str, two of them may be equal all the same
    if len(set(series)) < len(series):
        twice = next(one for one in series if series.count(one) > 1)
        raise ColumnError("a tick has every series once", series=twice.name)


def _index(Py_ssize_t index):
    return None if index == NO_INDEX else index


def _shown(value):
    return repr(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)


cdef SeriesType _type_of(value) except? NO_TYPE:
    if isinstance(value, float):
        return FLOAT
    return INTEGER if isinstance(value, int) else STRING
