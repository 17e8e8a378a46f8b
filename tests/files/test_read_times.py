"""Texts of times → timestamps: each is exact, or has a reason."""

from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa
import pytest

from siridb_fast.errors import ConfigError
from siridb_fast.files.csv.dialect import Fold, TimeFormat
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.csv.time_forms import form_program
from siridb_fast.files.csv.times import Times, joined_texts, read_times, time_kind

NOON = "2024-03-01T12:05:00"
DATE = "no such date"
CLOCK = "clock shows no such time"
EARLY = "before 1970"
WORD = "of words for a zone"
FORMAT = "--time-format"
FINE = "more decimals"
LATE = "too late"


def times(text: str | None, form: str = "iso", kind: Any = "ns", **said: Any) -> Times:
    return read_times(
        pa.array([text], pa.string()), TimeFormat(columns=("t",), form=form, **said), kind
    )


def nanoseconds(expected: str) -> int:
    """Of an ISO text in UTC, with up to nine decimals."""
    whole, _, decimals = expected.partition(".")
    since = datetime.fromisoformat(f"{whole}+00:00") - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + int(decimals.ljust(9, "0"))


def check(done: Times, expected: str | int | None) -> None:
    if isinstance(expected, str) and expected[:4].isdecimal():
        expected = nanoseconds(expected)
    is_bad = isinstance(expected, str)
    assert list(done.bad) == ([0] if is_bad else [])
    if is_bad:
        assert str(expected) in done.reason(0)
        assert done.values.to_pylist() == [None]
    else:
        assert done.values.cast(pa.int64()).to_pylist() == [expected]


ISO: list[tuple[str | None, str | None]] = [
    ("2024-03-01 12:05:00", NOON),
    ("2024-03-01T12:05:00", NOON),
    ("2024-03-01t12:05:00", NOON),
    ("2024-03-01  12:05:00", NOON),
    (" \t2024-03-01 12:05:00\r ", NOON),
    ("\u00a02024-03-01\u00a012:05:00\u00a0", NOON),
    ("2024-03-01 12:05", NOON),
    ("2024-03-01T12", "2024-03-01T12:00:00"),
    ("2024-03-01", "2024-03-01T00:00:00"),
    ("20240301", "2024-03-01T00:00:00"),
    ("20240301T120500", NOON),
    ("20240301T1205", NOON),
    ("20240301T12", "2024-03-01T12:00:00"),
    ("20240301 120500", NOON),
    ("20240301T120500Z", NOON),
    ("20240301T120500.5Z", NOON + ".5"),
    ("20240301T120500+0100", "2024-03-01T11:05:00"),
    ("2024-03-01T12:05:00Z", NOON),
    ("2024-03-01T12:05:00z", NOON),
    ("2024-03-01 12:05:00 Z", NOON),
    ("2024-03-01 12:05:00 UTC", NOON),
    ("2024-03-01 12:05:00UTC", NOON),
    ("2024-03-01 12:05:00 utc", NOON),
    ("2024-03-01 12:05:00 GMT", NOON),
    ("2024-03-01T13:05:00+01:00", NOON),
    ("2024-03-01T13:05:00+0100", NOON),
    ("2024-03-01T13:05:00+01", NOON),
    ("2024-03-01 13:05:00 +01:00", NOON),
    ("2024-03-01T06:35:00-05:30", NOON),
    ("2024-02-29T23:05:00-13:00", NOON),
    ("2024-03-01T12:05:00-00:00", NOON),
    ("2024-03-01T12:05Z", NOON),
    ("2024-03-01 12:05:00.1", NOON + ".1"),
    ("2024-03-01 12:05:00.12", NOON + ".12"),
    ("2024-03-01 12:05:00,123", NOON + ".123"),
    ("2024-03-01 12:05:00.123456Z", NOON + ".123456"),
    ("2024-03-01 12:05:00.123456789", NOON + ".123456789"),
    ("2024-03-01 12:05:00,000000001+00:00", NOON + ".000000001"),
    ("2024-03-01 12:05:00.1234567890", NOON + ".123456789"),
    ("2024-03-01 12:05:00.1234567891", FINE),
    ("2024-03-01 24:00", "2024-03-02T00:00:00"),
    ("2024-12-31T24:00:00Z", "2025-01-01T00:00:00"),
    ("2024-02-29 24:00:00.000", "2024-03-01T00:00:00"),
    ("2024-03-01 24:00:01", CLOCK),
    ("2024-03-01 24:01", CLOCK),
    ("2024-03-01 25:00", CLOCK),
    ("2024-03-01 12:60", CLOCK),
    ("2024-03-01 12:05:60", CLOCK),
    ("2024-02-29", "2024-02-29T00:00:00"),
    ("2023-02-29", DATE),
    ("2100-02-29", DATE),
    ("2000-02-29", "2000-02-29T00:00:00"),
    ("2024-04-31", DATE),
    ("2024-00-10", DATE),
    ("2024-13-10", DATE),
    ("2024-10-00", DATE),
    ("0000-00-00 00:00:00", DATE),
    ("1970-01-01", "1970-01-01T00:00:00"),
    ("1970-01-01T00:00:00.000000001Z", "1970-01-01T00:00:00.000000001"),
    ("1969-12-31 23:59:59.999", EARLY),
    ("1970-01-01T00:30:00+01:00", EARLY),
    ("1959-06-01", EARLY),
    ("0001-01-01", EARLY),
    ("2262-04-11 23:47:15", "2262-04-11T23:47:15"),
    ("2262-04-11 23:47:16.854775807", "2262-04-11T23:47:16.854775807"),
    ("2262-04-11 23:47:16.854775808", LATE),
    ("2262-04-11 23:47:17", LATE),
    ("9999-12-31", LATE),
    ("2024-03-01 12:05:00 CET", WORD),
    ("2024-03-01 12:05:00 EST", WORD),
    ("2024-03-01T12:05:00+01:60", FORMAT),
    ("2024-03-01T12:05:00+1", FORMAT),
    ("2024-03-01T12:05:00+01:", FORMAT),
    ("2024-03-01T12:05:00Z0", FORMAT),
    ("2024-03-01T", FORMAT),
    ("2024-03-01T1", FORMAT),
    ("2024-03-01T12:", FORMAT),
    ("2024-03-01T12:5", FORMAT),
    ("2024-03-01T12:05:", FORMAT),
    ("2024-03-01T12:05:0", FORMAT),
    ("2024-03-01T12:05:00.", FORMAT),
    ("2024-03-01T12.5", FORMAT),
    ("2024-03-01x12:05", FORMAT),
    ("2024-3-1", FORMAT),
    ("2024-03-1", FORMAT),
    ("2024/03/01", FORMAT),
    ("2024-0301", FORMAT),
    ("202403-01", FORMAT),
    ("24-03-01", FORMAT),
    ("02024-03-01", FORMAT),
    ("-2024-03-01", FORMAT),
    ("２０２４-03-01", FORMAT),
    ("2024-03-0\u00b2", FORMAT),
    ("\u20282024-03-01", FORMAT),
    ("soon", FORMAT),
    ("1709251200", FORMAT),
    ("", None),
    ("  ", None),
    (None, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ISO)
def test_iso_time_is_exact_or_has_a_reason(text: str | None, expected: str | None) -> None:
    check(times(text), expected)


FORMS: list[tuple[str, str, str]] = [
    ("%d.%m.%Y %H:%M", "01.03.2024 12:05", NOON),
    ("%d.%m.%Y %H:%M", "1.3.2024  12:05 ", NOON),
    ("%d.%m.%Y %H:%M", "31.02.2024 12:05", DATE),
    ("%d.%m.%Y %H:%M", "01.13.2024 12:05", DATE),
    ("%d.%m.%Y %H:%M", "2024-03-01 12:05", FORMAT),
    ("%d.%m.%Y %H:%M", "01.03.24 12:05", FORMAT),
    ("%d.%m.%Y %H:%M", "01.03.2024 12:05:00", FORMAT),
    ("%d.%m.%Y %H:%M", "01.03.2024 24:00", "2024-03-02T00:00:00"),
    ("%d.%m.%Y %H:%M", "01.03.1924 12:05", EARLY),
    ("%d.%m.%Y %H:%M:%S.%f", "01.03.2024 12:05:00.25", NOON + ".25"),
    ("%d.%m.%Y %H:%M:%S,%f", "01.03.2024 12:05:00,123456789", NOON + ".123456789"),
    ("%d.%m.%Y %H:%M:%S.%f", "01.03.2024 12:05:00.1234567891", FINE),
    ("%m/%d/%Y %I:%M %p", "03/01/2024 12:05 PM", NOON),
    ("%m/%d/%Y %I:%M %p", "3/1/2024 12:05 am", "2024-03-01T00:05:00"),
    ("%m/%d/%Y %I:%M %p", "3/1/2024 1:05 p.m.", "2024-03-01T13:05:00"),
    ("%m/%d/%Y %I:%M %p", "3/1/2024 1:05\u202fPM", "2024-03-01T13:05:00"),
    ("%m/%d/%Y %I:%M %p", "3/1/2024 13:05 PM", CLOCK),
    ("%m/%d/%Y %I:%M %p", "3/1/2024 0:05 PM", CLOCK),
    ("%m/%d/%Y %I:%M %p", "3/1/2024 12:05", FORMAT),
    ("%m/%d/%Y %I:%M%p", "03/01/2024 12:05PM", NOON),
    ("%m/%d/%y %H:%M", "03/01/24 12:05", NOON),
    ("%m/%d/%y %H:%M", "03/01/68 12:05", "2068-03-01T12:05:00"),
    ("%m/%d/%y %H:%M", "03/01/69 12:05", EARLY),
    ("%b %d %Y", "Jan 1 2000", "2000-01-01T00:00:00"),
    ("%b %d %Y", "JANUARY 01 2000", "2000-01-01T00:00:00"),
    ("%B %d, %Y", "Sept 30, 2000", "2000-09-30T00:00:00"),
    ("%B %d, %Y", "May 5, 2000", "2000-05-05T00:00:00"),
    ("%B %d, %Y", "Ma 5, 2000", FORMAT),
    ("%B %d, %Y", "Mayo 5, 2000", FORMAT),
    ("%d %b %Y", "31 Sep 2000", DATE),
    ("%a, %d %b %Y %H:%M:%S %Z", "Fri, 01 Mar 2024 12:05:00 GMT", NOON),
    ("%A %b %e %H:%M:%S %Y", "Friday Mar  1 12:05:00 2024", NOON),
    ("%d/%b/%Y:%H:%M:%S %z", "01/Mar/2024:13:05:00 +0100", NOON),
    ("%d.%m.%Y %H:%M %Z", "01.03.2024 12:05 MEZ", WORD),
    ("%Y/%m/%d", "2012/01/01", "2012-01-01T00:00:00"),
    ("%Y%m%d", "20240301", "2024-03-01T00:00:00"),
    ("%Y%m%d", "19580329", EARLY),
    ("%Y%m%d", "2024311", DATE),
    ("%Y%m%d%H%M%S", "20240301120500", NOON),
    ("%Y%m%d%H%M%S%f", "20240301120500123", NOON + ".123"),
    ("%Y%j", "2024061", "2024-03-01T00:00:00"),
    ("%Y-%j %H:%M", "2023-366 00:00", DATE),
    ("%Y-%j %H:%M", "2024-366 00:00", "2024-12-31T00:00:00"),
    ("%Y-%m", "2024-03", "2024-03-01T00:00:00"),
    ("%Y", "2024", "2024-01-01T00:00:00"),
    ("%Y", "1871", EARLY),
    ("%F %T", "2024-03-01 12:05:00", NOON),
    ("%D %R", "03/01/24 12:05", NOON),
    ("%Y %m %d %H", "2024 3 1 12", "2024-03-01T12:00:00"),
    ("%Y年%m月%d日 %H:%M", "2024年03月01日 12:05", NOON),
    ("%Y-%m-%d 100%%", "2024-03-01 100%", "2024-03-01T00:00:00"),
]


@pytest.mark.parametrize(("form", "text", "expected"), FORMS)
def test_time_of_a_form_is_exact_or_has_a_reason(form: str, text: str, expected: str) -> None:
    check(times(text, form), expected)


@pytest.mark.parametrize(
    "form",
    ["%Q %Y", "%H:%M", "%Y %Y", "%Y %y", "%d.%m.%Y %I:%M", "%Y %I %H %p", "%Y %d", "%Y %j %m"],
)
def test_form_that_says_too_little_or_too_much_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="it has"):
        form_program(form)
    with pytest.raises(ConfigError, match="time_format"):
        CsvGiven(time_format=form)


EPOCHS: list[tuple[str, str | None, str, int | str | None]] = [
    ("1709251200", "s", "ns", 1709251200_000000000),
    ("1709251200", "s", "us", 1709251200_000000),
    ("1709251200123", "ms", "ns", 1709251200_123000000),
    ("1709251200123456", "us", "ns", 1709251200_123456000),
    ("1709251200123456789", "ns", "ns", 1709251200_123456789),
    ("1709251200123456789", "ns", "us", FINE),
    ("1709251200123456000", "ns", "us", 1709251200_123456),
    ("1709251200.000000001", "s", "ns", 1709251200_000000001),
    ("1709251200.0000000001", "s", "ns", FINE),
    ("1709251200.00000000000000000000", "s", "ns", 1709251200_000000000),
    ("1709251200.", "s", "ns", 1709251200_000000000),
    (".5", "s", "ns", 500000000),
    ("1709251200,5", "s", "ns", 1709251200_500000000),
    ("1.7092512e9", "s", "ns", 1709251200_000000000),
    ("1.7092512E+09", "s", "ns", 1709251200_000000000),
    ("17092512000000e-4", "s", "ns", 1709251200_000000000),
    ("1709251200000.25", "ms", "ns", 1709251200_000250000),
    ("+1709251200 ", "s", "ns", 1709251200_000000000),
    ("001709251200", "s", "ns", 1709251200_000000000),
    ("0", "s", "ns", 0),
    ("-0.0", "s", "ns", 0),
    ("0e99999", "s", "ns", 0),
    ("-1", "s", "ns", EARLY),
    ("9223372036.854775807", "s", "ns", 2**63 - 1),
    ("9223372036.854775808", "s", "ns", LATE),
    ("9223372036854775808", None, "integer", LATE),
    ("92233720368547758070", None, "integer", LATE),
    ("1e400", "s", "ns", LATE),
    ("1e-400", "s", "ns", FINE),
    ("1709251200", None, "integer", 1709251200),
    ("1.7092512e9", None, "integer", 1709251200),
    ("1709251200.5", None, "integer", "--unit"),
    ("nan", "s", "ns", FORMAT),
    ("inf", "s", "ns", FORMAT),
    ("1_000", "s", "ns", FORMAT),
    ("1,000.5", "s", "ns", FORMAT),
    ("0x10", "s", "ns", FORMAT),
    ("1e", "s", "ns", FORMAT),
    ("1e+", "s", "ns", FORMAT),
    ("e5", "s", "ns", FORMAT),
    (".", "s", "ns", FORMAT),
    ("-", "s", "ns", FORMAT),
    ("2024-03-01", "s", "ns", FORMAT),
    ("", "s", "ns", None),
]


@pytest.mark.parametrize(("text", "unit", "kind", "expected"), EPOCHS)
def test_number_is_exact_or_has_a_reason(
    text: str, unit: Any, kind: str, expected: int | str | None
) -> None:
    check(times(text, "epoch", kind, unit=unit), expected)


BERLIN: list[tuple[str, Fold, str]] = [
    ("2024-07-01 14:00", "error", "2024-07-01T12:00:00"),
    ("2024-07-01 14:00Z", "error", "2024-07-01T14:00:00"),
    ("2024-01-01 00:30", "error", "2023-12-31T23:30:00"),
    ("2024-10-27 01:59:59.999999999", "error", "2024-10-26T23:59:59.999999999"),
    ("2024-10-27 02:00", "error", "exists twice in Europe/Berlin"),
    ("2024-10-27 02:00", "earlier", "2024-10-27T00:00:00"),
    ("2024-10-27 02:00", "later", "2024-10-27T01:00:00"),
    ("2024-10-27 02:59:59.9", "error", "--fold"),
    ("2024-10-27 03:00", "error", "2024-10-27T02:00:00"),
    ("2024-03-31 01:59:59", "error", "2024-03-31T00:59:59"),
    ("2024-03-31 02:00", "earlier", "does not exist in Europe/Berlin"),
    ("2024-03-31 02:59:59", "later", "does not exist"),
    ("2024-03-31 03:00", "error", "2024-03-31T01:00:00"),
    ("1970-01-01 00:30", "error", EARLY),
]


@pytest.mark.parametrize(("text", "fold", "expected"), BERLIN)
def test_local_time_is_that_of_its_zone(text: str, fold: Fold, expected: str) -> None:
    check(times(text, zone="Europe/Berlin", fold=fold), expected)


def test_local_time_of_1969_may_be_of_1970_in_utc() -> None:
    check(times("1969-12-31 19:30", zone="America/New_York"), "1970-01-01T00:30:00")


def test_each_row_of_mixed_ones_is_read_for_itself() -> None:
    texts = ["2024-07-01 14:00", None, "soon", "2024-10-27 02:30", "2024-07-01T14:00+00:00", "NA"]
    zone = TimeFormat(columns=("t",), zone="Europe/Berlin")
    done = read_times(pa.array(["cut", *texts]).slice(1), zone, missing=("NA", ""))
    assert list(done.bad) == [2, 3]
    found = done.values.cast(pa.int64()).to_pylist()
    first, second = nanoseconds("2024-07-01T12:00:00"), nanoseconds("2024-07-01T14:00:00")
    assert found == [first, None, None, None, second, None]


@pytest.mark.parametrize("missing", ["-999", "0", "2024-01-01", "none"])
def test_text_that_stands_for_nothing_is_no_time(missing: str) -> None:
    form = "iso" if "-0" in missing else "epoch"
    texts = pa.array([missing, f" {missing} "])
    done = read_times(texts, TimeFormat(columns=("t",), form=form), missing=(missing,))
    assert (list(done.bad), done.values.null_count) == ([], 2)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_texts_of_any_layout_and_count_are_read(kind: Any, count: int) -> None:
    done = read_times(pa.array([NOON] * count).cast(kind), TimeFormat(columns=("t",)))
    assert done.values.cast(pa.int64()).to_pylist() == [nanoseconds(NOON)] * count


def test_date_and_clock_of_two_columns_are_one_time() -> None:
    columns = [pa.array(["2024-03-01", "2024-03-01", None]), pa.array([" 12:05", None, "12:05"])]
    done = read_times(joined_texts(columns), TimeFormat(columns=("d", "t")))
    assert done.values.cast(pa.int64()).to_pylist() == [nanoseconds(NOON), None, None]


KINDS: list[tuple[str, str | None, str, str]] = [
    ("iso", None, "2024-03-01", "ns"),
    ("iso", None, "2300-03-01", "us"),
    ("epoch", None, "1709251200", "integer"),
    ("epoch", "s", "1709251200", "ns"),
    ("epoch", "s", "17092512000", "us"),
]


@pytest.mark.parametrize(("form", "unit", "text", "kind"), KINDS)
def test_microseconds_are_only_for_what_nanoseconds_do_not_hold(
    form: str, unit: Any, text: str, kind: Literal["ns", "us"]
) -> None:
    time = TimeFormat(columns=("t",), form=form, unit=unit)
    assert time_kind(pa.array([text]), time) == kind
