"""Loading and verifying of frames and files, whose modules are imported when they are first used.

Most programs load nothing, and need not wait for these modules when they start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

from siridb_fast.concurrency.loops import refuse_running_loop, run
from siridb_fast.connection.config import Target
from siridb_fast.delivery.report import Report
from siridb_fast.errors import ColumnError
from siridb_fast.loading.options import LoadKeywords, LoadOptions

if TYPE_CHECKING:
    from siridb_fast.loading.verification import Verification

__all__ = ["load", "load_data", "verify", "verify_data"]


def load(data: object, target: Target = None, **options: Unpack[LoadKeywords]) -> Report:
    """Load whole frames, columns or streams of them, and wait until all is delivered.

    Args:
        data: One of

            - a frame of pandas, Polars (also lazy) or pyarrow, or anything else with an Arrow C
              stream; a numpy structured array; a dict of columns, if ``time`` names one of them;
            - a dict ``{name: (timestamps, values)}``;
            - the path of a file (Parquet, Feather, Arrow, CSV, JSON, Excel, line protocol,
              Graphite), of a folder, or a pattern;
            - a dataset or a scanner of pyarrow;
            - an iterable of frames, or of ``(name, timestamps, values)``. It is read in another
              thread, a few items ahead, so that it may be longer than memory.

            Nothing of it is modified.
        target: A URL, a client, its ``config``, or None for ``SIRIDB_URL``.
        time: The column of times: dates of any unit and time zone (those without one are UTC),
            Python's datetime, text, or numbers. By default the index or the only column of dates.
            Of CSV files also several: of a date and a time, or of year, month, day and hour.
        series: How series are named: a template of columns, as ``"{host}.{metric}"``, or a
            function whose arguments are named as columns are. ``{column}`` stands for the name of
            the value column; of files ``{file}``, ``{stem}``, ``{folder}`` and keys of partitions
            come from the path. By default that name alone: a wide frame.
        values: The columns of values. By default all that are neither times nor in ``series``.
        ignore: Columns that are not read. One that no point can come of, as a list or bytes, is an
            error if it is neither ignored nor left out of ``values``.
        unit: Of times that are integers: ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``; by default the
            database's precision.
        on_missing: NaN, None, NaT, NA and nulls: ``"drop"`` leaves out the cell, or the row
            where the time is missing; ``"keep"`` sends NaN and refuses the others; ``"error"``.
        on_precision_loss: A time that is finer than the database's precision: ``"error"`` or
            ``"floor"``.
        on_type: Values of another type than their series has: ``"error"`` or ``"cast"``. Integers
            are taken for a series of floats where they are exact.
        on_doubt: As for `BatchWriter`.
        time_precision: The database's, if it is not to be asked.
        max_buffered: Bytes of points and packages at most, beside what is read ahead.
        max_rate: Points a second at most, so that others get served too.
        timeout: Seconds to connect and log in; by default as `SiriDBClient.connect` does.
        delivery_timeout: Seconds from the sealing of a package until it is given up.
        format: Of files whose suffix does not say it: ``"csv"``, ``"tsv"``, ``"ndjson"``,
            ``"json"``, ``"influx"`` (line protocol), ``"graphite"``, ``"parquet"``, ``"feather"``,
            ``"arrow"``, ``"xlsx"``, ``"xls"``, ``"xlsb"`` or ``"ods"``.
        types: Of columns: ``"float"``, ``"integer"``, ``"string"``, ``"bool"``, ``"time"`` or
            ``"mixed"`` (numbers of some series and texts of others); of durations and times of day
            ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``: their number, as a float. By default what they
            are, and in CSV files what the first lines look like.
        skip_bad: Leave out bad lines of CSV files.
        skip_bad_files: Leave out files that cannot be loaded by their heads, with a warning: empty
            ones, and those without the column of times or another one that is named.
        skip_unnamed: Leave out rows where a label of their series is missing, and count them
            (``report.unnamed``); by default the first one is an error.
        delimiter: Of CSV files; ``" "`` is any run of blanks. It is found by default, as are the
            next ones.
        decimal: The decimal sign of the numbers in CSV files, ``"."`` or ``","``.
        thousands: What stands between groups of three digits; ``" "`` is any kind of blank.
        encoding: Of CSV files, as Python names it.
        skip_rows: Lines of CSV files above the header.
        comment: What lines begin with that are passed over; ``""``: there are none.
        header: Whether the first line of CSV files has the names of the columns.
        column_names: Names of the columns of CSV files, in place of those of a header.
        units_row: Whether a line of units follows the header.
        nulls: Texts that stand for a missing value in CSV files, beside the usual ones.
        time_format: Of times that are text: ``"iso"``, ``"epoch"``, or a format of `strptime`.
        time_zone: An IANA name, of times that name no zone; UTC by default.
        fold: Which of the two a local time is that exists twice: ``"earlier"``, ``"later"``, or
            ``"error"``, the default.
        sheet: Of a spreadsheet; by default the only one that has something.
        progress: True shows a line on stderr; a function is called with a `Progress` ten times a
            second.

    Returns:
        A `Report`, also with rows, series, missing cells, and points too old to be kept.

    Raises:
        ColumnError: Something cannot be sent; names column, series and row (as ``index``). Nothing
            of its frame was sent; what came before is delivered (``points_inserted``).
        DeliveryError: Not all was delivered; has the ``report``.
        ConfigError: An option makes no sense.
        FileError: A file cannot be read, or not be sent; names the line or row.
        ImportError: Arrow data or files without pyarrow.
    """
    chosen = LoadOptions.of(options)
    refuse_running_loop("await siridb_fast.SiriDBClient.from_url(url).load(data)")
    return run(load_data(data, target, chosen))


async def load_data(data: object, target: Target, options: LoadOptions) -> Report:
    """Load data as `siridb_fast.load` does, on the loop that runs."""
    from siridb_fast.loading.loader import Loader
    from siridb_fast.loading.sources import portions

    return await Loader(target, options).load(portions(data, options))


def verify(
    data: object, target: Target = None, *, repair: bool = False, **options: Unpack[LoadKeywords]
) -> Verification:
    """Tell whether all of some data is in the database, each point once.

    Nobody else may write points of the same series and times meanwhile. The data is read once,
    and again where it differs; memory is bounded, but for the points of one series.

    Args:
        data: As `load` takes it; an iterator is refused, for it can be read only once.
        target: A URL, a client, its ``config``, or None for ``SIRIDB_URL``.
        repair: Send the points that are missing. What is doubled or changed stays: SiriDB can
            drop whole series and shards only.
        options: As of the `load` that is to be verified.

    Returns:
        A `Verification`: how many points are missing, doubled and changed, and which.

    Raises:
        ColumnError: Something in the data cannot be stored, or it is an iterator.
        DeliveryError: Not all that was missing was delivered.
        FileError: A file cannot be read.

    Example:
        >>> siridb_fast.verify("2026/*.parquet", url, time="ts").is_complete
        True
    """
    chosen = LoadOptions.of(options)
    refuse_running_loop("await siridb_fast.SiriDBClient.from_url(url).verify(data)")
    return run(verify_data(data, target, chosen, repair=repair))


async def verify_data(
    data: object, target: Target, options: LoadOptions, *, repair: bool
) -> Verification:
    """Verify data as `siridb_fast.verify` does, on the loop that runs."""
    from siridb_fast.loading.loader import Loader
    from siridb_fast.loading.sources import portions
    from siridb_fast.loading.verification import Verifier

    if isinstance(data, Iterator):
        raise ColumnError("an iterator can be read only once, and verify reads its data twice")
    verifier = Verifier(Loader(target, options), lambda: portions(data, options))
    return await verifier.verify(repairs=repair)
