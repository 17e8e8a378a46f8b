"""Points as a program has them → samples of the coalescer.

One point at a time (`Intake.write`, `SeriesHandle.append`), or one tick: one timestamp and a value
for each of many series (`Intake.write_tick`, `Ticker`). What cannot be sent is refused at the
call, with the series named, and then nothing of the call is taken. The usual types, float and int,
are read without a detour; all others are turned into one of these, or into text, by `_store_odd`.
"""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from siridb_fast._blocks cimport DROP, ERROR, KEEP
from siridb_fast._coalescer cimport Coalescer, append_sample
from siridb_fast._runs cimport (
    FLOAT, INTEGER, NO_TYPE, STRING, Series, SeriesType, Value, chunk_bytes, free_places,
    has_place, next_capacity,
)

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from siridb_fast._wire import MAX_PAYLOAD
from siridb_fast.casting import cast_values
from siridb_fast.columns import MISSING, SECOND, is_array, point_column, raw_series_name
from siridb_fast.errors import BufferFullError, ColumnError

cdef enum:
    NO_INDEX = -1
    EXACT_INTEGERS = 1 << 53  # up to here every integer is a double

cdef Py_ssize_t MAX_TEXT = MAX_PAYLOAD - 100_000  # what a name and a point take beside it

TYPE_NAMES = {INTEGER: "integer", FLOAT: "float", STRING: "string"}


cdef class Intake:
    """The way in, for any thread; `BatchWriter` is one, so that no Python comes in between."""

    def __cinit__(self, *args, **options):
        # A writer that was not initialized is closed.
        self._coalescer = Coalescer(
            clock=float, max_buffered=0, linger=0, package_bytes=0, max_idle=0
        )

    def __init__(self, Coalescer coalescer not None, rules, bint casts):
        self._coalescer = coalescer
        self._casts = casts
        self.set_rules(rules)

    def set_rules(self, rules) -> None:
        """Read points by these `ColumnRules`."""
        cdef int bits = 32 if rules.time_precision == SECOND else 63
        self._rules = rules
        self.refused_bits = ~((<uint64_t>1 << bits) - 1)
        self.on_missing = MISSING[rules.on_missing]

    @cython.binding(False)
    def write(self, series, timestamp, value) -> None:
        """Take one point; see `BatchWriter.write`."""
        cdef PyObject* found
        if type(series) is str:
            found = PyDict_GetItemWithError(self._coalescer.table, series)
            if found != NULL:
                write_to(self, <Series>found, timestamp, value)
                return
        write_to(self, self.find(series), timestamp, value)

    def write_tick(self, timestamp, values) -> None:
        """Take one point of each series; see `BatchWriter.write_tick`."""
        if not isinstance(values, dict):
            raise ColumnError(f"a tick is a dict {{series: value}}, got {type(values).__name__}")
        self.write_all([self.find(name) for name in values], timestamp, values.values())

    def series(self, name) -> SeriesHandle:
        """Return a handle of one series; see `BatchWriter.series`."""
        return SeriesHandle(self, self.find(name))

    def ticker(self, names) -> Ticker:
        """Return a handle of many series; see `BatchWriter.ticker`."""
        return Ticker(self, names)

    cdef Series find(self, name):
        cdef Series series = self._coalescer.find(name) if type(name) is str else None
        if series is None:
            raw_series_name(name)  # refuses what the server would
            series = self._coalescer.series(name if type(name) is str else str(name))
        return series

    cdef int64_t timestamp(self, Series series, given) except? -1:
        cdef int overflow = 0
        cdef long long integer
        if not PyLong_CheckExact(given):
            given = _integer_timestamp(series.name, given, self._rules)
        integer = PyLong_AsLongLongAndOverflow(given, &overflow)
        if overflow or <uint64_t>integer & self.refused_bits:
            highest = ~self.refused_bits
            raise ColumnError(
                f"timestamp {given} is not in 0..{highest} of the database's time precision",
                series=series.name,
            )
        return integer

    cdef bytes store(self, Series series, value, Py_ssize_t index, Stored* stored):
        # Fill `stored`; return the text that it points to, if it is one.
        cdef int overflow = 0
        if PyFloat_CheckExact(value) and (series.type == FLOAT or series.type == NO_TYPE):
            stored.type = FLOAT
            stored.value.real = PyFloat_AS_DOUBLE(value)
            if self.on_missing == KEEP or stored.value.real == stored.value.real:
                return None
        elif PyLong_CheckExact(value) and (series.type == INTEGER or series.type == NO_TYPE):
            stored.type = INTEGER
            stored.value.integer = PyLong_AsLongLongAndOverflow(value, &overflow)
            if not overflow:
                return None
        return self._store_odd(series, value, index, stored)

    cdef bytes _store_odd(self, Series series, value, Py_ssize_t index, Stored* stored):
        value = _plain_value(series.name, value, _index(index))
        if value is None or value != value:
            if self.on_missing == DROP:
                stored.type = NO_TYPE
                return None
            if value is None or self.on_missing == ERROR:
                raise ColumnError(
                    f"the value is missing ({'None' if value is None else 'NaN'}); "
                    "on_missing='drop' would leave the point out",
                    series=series.name, index=_index(index),
                )
        stored.type = _type_of(value)
        if series.type != NO_TYPE and stored.type != series.type:
            value = self._fitted(series, value, _index(index))
            stored.type = series.type
        if stored.type == FLOAT:
            stored.value.real = value
        elif stored.type == INTEGER:
            stored.value.integer = value
        else:
            stored.value.text = <PyObject*>value
            return value
        return None

    def _fitted(self, Series series, value, index):
        # The value in the series' type: a whole number as the float that it is, others on request.
        cdef str type_ = TYPE_NAMES[series.type]
        if series.type == FLOAT and isinstance(value, int):
            if -EXACT_INTEGERS <= value <= EXACT_INTEGERS:
                return float(value)
        if not self._casts:
            raise ColumnError(
                f"the series is of type {type_}, the value {_shown(value)} is not; "
                "on_type='cast' would convert it",
                series=series.name, index=index,
            )
        given = [value.decode("utf-8", "surrogatepass")] if isinstance(value, bytes) else [value]
        try:
            fitted = cast_values(series.name, np.array(given), type_)[0]
        except ColumnError as exc:
            raise ColumnError(exc.text, series=series.name, index=index) from None
        return fitted.encode() if series.type == STRING else fitted.item()

    cdef int write_odd(self, Series series, timestamp, value) except -1:
        # Take one point of any sort, in any state.
        cdef Coalescer coalescer = self._coalescer
        cdef int64_t stamp = self.timestamp(series, timestamp)
        cdef Stored stored
        cdef bytes text
        if coalescer.is_closed:
            coalescer.on_blocked(0)
        text = self.store(series, value, NO_INDEX, &stored)
        while not has_place(series):
            if coalescer.make_place(series):
                text = self.store(series, value, NO_INDEX, &stored)
        self._append(series, stamp, &stored, text)
        return coalescer.tell()

    cdef int write_all(self, list series, timestamp, values) except -1:
        # One value for each series, all or none.
        cdef Py_ssize_t i, n = len(series)
        cdef Stored* stored = <Stored*>PyMem_Malloc(max(n, <Py_ssize_t>1) * sizeof(Stored))
        cdef list texts
        if stored == NULL:
            raise MemoryError(f"no memory for a tick of {n:,} series")
        try:
            if self._coalescer.is_closed:
                self._coalescer.on_blocked(0)
            values = list(values)
            stamp = self.timestamp(series[0], timestamp) if n else 0
            while True:
                texts = [self.store(series[i], values[i], i, &stored[i]) for i in range(n)]
                if not make_places(self._coalescer, series):
                    break
            for i in range(n):
                self._append(series[i], stamp, &stored[i], texts[i])
            self._coalescer.tell()
        finally:
            PyMem_Free(stored)
        return 0

    cdef void _append(
        self, Series series, int64_t timestamp, Stored* stored, bytes text
    ) noexcept:
        if stored.type == NO_TYPE:
            return
        series.type = stored.type
        if stored.type == STRING:
            self._coalescer.append_text(series, timestamp, text)
        else:
            append_sample(self._coalescer, series, timestamp, stored.value)


@cython.final
cdef class SeriesHandle:
    """One series of a writer, found once: `append` saves the look-up of every `write`."""

    def __cinit__(self, Intake intake not None, Series series not None):
        self.intake = intake
        self.series = series

    def __repr__(self):
        return f"<SeriesHandle {self.series.name!r}>"

    @property
    def name(self) -> str:
        """The series' name."""
        return self.series.name

    @cython.binding(False)
    def append(self, timestamp, value) -> None:
        """Take one point; raises what `BatchWriter.write` does."""
        write_to(self.intake, self.series, timestamp, value)


@cython.final
cdef class Ticker:
    """Many series of a writer that always get a value together.

    Each call takes all of it or, when it raises, nothing.
    """

    def __cinit__(self, Intake intake not None, names):
        self.intake = intake
        self.names = tuple(names)
        self.series = [intake.find(name) for name in self.names]
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ColumnError("a ticker has every series once", series=twice)

    def __len__(self):
        return len(self.names)

    def __repr__(self):
        return f"<Ticker of {len(self.names):,} series>"

    def write(self, timestamp, values) -> None:
        """Take one value for each series.

        Args:
            timestamp: As for `BatchWriter.write`.
            values: Shape (k,), for the k names in their order: an array of any integer, float or
                bool dtype, or a sequence of what `BatchWriter.write` takes.

        Raises:
            ColumnError: Names the series and its index. Also a `ValueError`.
            BufferFullError: There is no room, on the event loop's thread.
        """
        if len(values) != len(self.series):
            raise ColumnError(f"{len(values)} values for a ticker of {len(self.series)} series")
        if not self.series:
            return
        if is_array(values):
            values = _plain_array(np.asarray(values), 1)
            if values.dtype.kind == "f" and self._is_ready(FLOAT):
                self._write_doubles(self.intake.timestamp(self.series[0], timestamp), values)
                return
            if values.dtype.kind == "i" and self._is_ready(INTEGER):
                self._write_integers(self.intake.timestamp(self.series[0], timestamp), values)
                return
            values = values.tolist()
        self.intake.write_all(self.series, timestamp, values)

    def write_block(self, timestamps, values) -> None:
        """Take n values for each series.

        Args:
            timestamps: Shape (n,), any integer dtype in the database's precision, or datetime64.
            values: Shape (n, k), of any integer, float or bool dtype and any strides. With
                ``on_missing="drop"`` a NaN leaves out its point.

        Raises:
            ColumnError: Names the series and the index of the row. Also a `ValueError`.
            BufferFullError: There is no room, on the event loop's thread, or there could never be.
        """
        values = _plain_array(np.asarray(values), 2)
        if values.shape[1] != len(self.series):
            raise ColumnError(
                f"values have shape {values.shape}, the ticker has {len(self.series)} series"
            )
        if len(timestamps) != values.shape[0]:
            raise ColumnError(f"{len(timestamps)} timestamps but {values.shape[0]} rows of values")
        if not values.size:
            return
        stamps = self._timestamps(timestamps)
        if self.intake.on_missing == ERROR and values.dtype.kind == "f":
            self._refuse_missing(values)
        columns = self._columns(values)
        while self._reserve(len(stamps)):
            columns = self._columns(values)
        for series, column in zip(self.series, columns, strict=True):
            if column.dtype.kind == "f":
                self._extend_doubles(series, stamps, column)
            else:
                self._extend_integers(series, stamps, column)
        self.intake._coalescer.tell()

    cdef bint _is_ready(self, SeriesType type_) except -1:
        # Tell whether all series take such values; then there is place for one in each.
        while self._takes(type_):
            if not make_places(self.intake._coalescer, self.series):
                return True
        return False

    cdef bint _takes(self, SeriesType type_) except -1:
        cdef Series series
        for series in self.series:
            if series.type != type_ and series.type != NO_TYPE:
                return False
        return True

    cdef int _write_doubles(self, int64_t timestamp, const double[:] values) except -1:
        cdef Coalescer coalescer = self.intake._coalescer
        cdef Py_ssize_t i
        cdef Series series
        cdef Value value
        if self.intake.on_missing == ERROR:
            self._refuse_missing(np.asarray(values)[np.newaxis])
        for i in range(values.shape[0]):
            if values[i] != values[i] and self.intake.on_missing == DROP:
                continue
            series = <Series>self.series[i]
            series.type = FLOAT
            value.real = values[i]
            append_sample(coalescer, series, timestamp, value)
        return coalescer.tell()

    cdef int _write_integers(self, int64_t timestamp, const int64_t[:] values) except -1:
        cdef Coalescer coalescer = self.intake._coalescer
        cdef Py_ssize_t i
        cdef Series series
        cdef Value value
        for i in range(values.shape[0]):
            series = <Series>self.series[i]
            series.type = INTEGER
            value.integer = values[i]
            append_sample(coalescer, series, timestamp, value)
        return coalescer.tell()

    def _timestamps(self, timestamps):
        # as int64 in the database's precision
        rules = replace(self.intake._rules, on_missing="keep")
        column = point_column(self.names[0], timestamps, np.zeros(len(timestamps)), rules)
        return column.plain()[0]

    def _columns(self, values):
        # The values of each series, in the type that it has already.
        kinds = {"f": FLOAT, "i": INTEGER}
        if self._takes(kinds[values.dtype.kind]):
            return values.T
        return [self._fitted(series, values[:, i]) for i, series in enumerate(self.series)]

    def _fitted(self, Series series, values):
        cdef str type_ = TYPE_NAMES.get(series.type)
        if type_ is None or type_ == ("float" if values.dtype.kind == "f" else "integer"):
            return values
        if type_ == "float" and np.abs(values).max() <= EXACT_INTEGERS:
            return values.astype(np.float64)
        if type_ == "string" or not self.intake._casts:
            raise ColumnError(
                f"the series is of type {type_}, the values are {values.dtype}", series=series.name
            )
        return cast_values(series.name, values, type_)

    def _refuse_missing(self, values):
        missing = np.isnan(values)
        if missing.any():
            row, place = np.argwhere(missing)[0].tolist()
            raise ColumnError(
                "the value is missing (NaN) and on_missing is 'error'",
                series=self.names[place], index=row if len(values) > 1 else place,
            )

    cdef bint _reserve(self, Py_ssize_t points) except -1:
        # Make place for so many points of each series; tell whether it had to wait.
        cdef Coalescer coalescer = self.intake._coalescer
        cdef Py_ssize_t need = 0
        cdef Series series
        for series in self.series:
            if free_places(series) < points:
                need += chunk_bytes(points)
        if wait_for_room(coalescer, need):
            return True
        for series in self.series:
            coalescer.reserve(series, points)
        return False

    def _extend_doubles(self, Series series, const int64_t[:] timestamps, const double[:] values):
        cdef Coalescer coalescer = self.intake._coalescer
        cdef bint drops = self.intake.on_missing == DROP
        cdef Py_ssize_t i
        cdef Value value
        series.type = FLOAT
        for i in range(values.shape[0]):
            value.real = values[i]
            if not (drops and value.real != value.real):
                append_sample(coalescer, series, timestamps[i], value)

    def _extend_integers(
        self, Series series, const int64_t[:] timestamps, const int64_t[:] values
    ):
        cdef Coalescer coalescer = self.intake._coalescer
        cdef Py_ssize_t i
        cdef Value value
        series.type = INTEGER
        for i in range(values.shape[0]):
            value.integer = values[i]
            append_sample(coalescer, series, timestamps[i], value)


cdef inline int write_to(Intake intake, Series series, timestamp, value) except -1:
    # The usual point, of a float series that has a run with place in it, is done right here.
    cdef Coalescer coalescer = intake._coalescer
    cdef int overflow = 0
    cdef Value stored
    cdef int64_t stamp
    if (
        series.type == FLOAT and PyFloat_CheckExact(value) and PyLong_CheckExact(timestamp)
        and has_place(series) and not coalescer.is_closed
    ):
        stamp = PyLong_AsLongLongAndOverflow(timestamp, &overflow)
        stored.real = PyFloat_AS_DOUBLE(value)
        if not overflow and not <uint64_t>stamp & intake.refused_bits and (
            intake.on_missing == KEEP or stored.real == stored.real
        ):
            append_sample(coalescer, series, stamp, stored)
            return coalescer.tell() if coalescer.has_news else 0
    return intake.write_odd(series, timestamp, value)


cdef bint make_places(Coalescer coalescer, list series) except -1:
    # Make place for one more sample in each; tell whether it had to wait, so that all may differ.
    cdef Py_ssize_t need = 0
    cdef Series one
    for one in series:
        if not has_place(one):
            need += chunk_bytes(next_capacity(one, coalescer.chunk_limit))
    if need == 0 and not coalescer.is_closed:
        return False
    if wait_for_room(coalescer, need):
        return True
    for one in series:
        if not has_place(one):
            coalescer.make_place(one)
    return False


cdef bint wait_for_room(Coalescer coalescer, Py_ssize_t need) except -1:
    # Tell whether it had to wait.
    cdef bint has_waited = False
    if need > coalescer.max_buffered:
        raise BufferFullError(
            f"this needs {need:,} bytes at once, max_buffered is {coalescer.max_buffered:,}"
        )
    while coalescer.is_closed or not coalescer.has_room(need):
        coalescer.on_blocked(need)
        has_waited = True
    return has_waited


def _index(Py_ssize_t index):
    return None if index == NO_INDEX else index


def _shown(value):
    return repr(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)


cdef SeriesType _type_of(value) except? NO_TYPE:
    if isinstance(value, float):
        return FLOAT
    return INTEGER if isinstance(value, int) else STRING


def _plain_value(str name, value, index):
    # None for one that is missing, else a float, an int of 64 bits, or bytes
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ColumnError(f"value {value} is no 64-bit integer", series=name, index=index)
        return int(value)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    elif not isinstance(value, bytes):
        raise ColumnError(
            f"a value is an int, float, bool or str, got {value!r} of type {type(value).__name__}",
            series=name, index=index,
        )
    if b"\0" in value:
        raise ColumnError("the server cuts a text at its NUL", series=name, index=index)
    if len(value) > MAX_TEXT:
        raise ColumnError(
            f"a text of {len(value):,} bytes does not fit a package", series=name, index=index
        )
    return bytes(value)


def _integer_timestamp(str name, given, rules):
    if isinstance(given, np.integer) or (isinstance(given, int) and not isinstance(given, bool)):
        return int(given)
    if isinstance(given, datetime):
        aware = given.astimezone(UTC) if given.tzinfo else given
        given = np.datetime64(aware.replace(tzinfo=None))
    if not isinstance(given, np.datetime64):
        raise ColumnError(
            "a timestamp is an int in the database's time precision, a datetime64 or a datetime, "
            f"got {given!r} of type {type(given).__name__}",
            series=name,
        )
    rules = replace(rules, on_missing="keep")
    try:
        return int(point_column(name, given[np.newaxis], np.zeros(1), rules).plain()[0][0])
    except ColumnError as exc:
        raise ColumnError(exc.text, series=name) from None


def _plain_array(values, int dimensions):
    # as int64 or float64
    if values.ndim != dimensions:
        raise ColumnError(f"values have {dimensions} dimensions, got shape {values.shape}")
    if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        return values.astype(np.float64, copy=False)
    if values.dtype.kind == "u" and values.size and values.max() >= 2**63:
        place = np.unravel_index(values.argmax(), values.shape)
        raise ColumnError(f"value {values.max()} is no 64-bit integer", index=int(place[-1]))
    if values.dtype.kind in "iub":
        return values.astype(np.int64, copy=False)
    if dimensions == 1 and values.dtype.kind in "OUST":
        return values
    raise ColumnError(f"values are integers, float16/32/64 or bool, got {values.dtype}")
