"""Texts of times are read as the standard library reads them, where it does."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.files.csv.dialect import Fold, TimeFormat
from siridb_fast.files.csv.times import Times, read_times
from tests.files.test_read_times import check, times

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2262, 1, 1))
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
STRPTIME = [
    "%d.%m.%Y %H:%M:%S.%f",
    "%m/%d/%Y %I:%M:%S.%f %p",
    "%A %d %B %Y %H:%M:%S,%f",
    "%Y%m%d%H%M%S%f",
    "%Y-%j %H:%M:%S.%f",
    "%b %d, %Y %I.%M.%S.%f%p",
]


def exact(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


@given(MOMENTS, st.none() | OFFSETS, st.sampled_from("T "), st.sampled_from(["auto", "hours"]))
def test_what_isoformat_writes_is_read_as_fromisoformat_does(
    moment: datetime, zone: timezone | None, separator: str, precision: str
) -> None:
    text = moment.replace(tzinfo=zone).isoformat(separator, precision)
    oracle = datetime.fromisoformat(text)
    check(times(text), exact(oracle if zone else oracle.replace(tzinfo=UTC)))


@given(st.text("0123456789-:.,TZ +eUC", max_size=26))
def test_text_that_is_read_is_what_fromisoformat_reads(text: str) -> None:
    done = times(text)
    try:
        oracle = datetime.fromisoformat(text)
    except ValueError:
        return
    if not done.bad and text.strip() and oracle.microsecond * 1000 == exact_nanos(done):
        expected = exact(oracle if oracle.tzinfo else oracle.replace(tzinfo=UTC))
        assert done.values.cast(pa.int64()).to_pylist() == [expected]


def exact_nanos(done: Times) -> int:
    return int(done.values.cast(pa.int64())[0].as_py()) % 10**9


@given(MOMENTS, st.sampled_from(STRPTIME))
def test_what_strftime_writes_is_read_as_strptime_does(moment: datetime, form: str) -> None:
    text = moment.strftime(form)
    oracle = datetime.strptime(text, form).replace(tzinfo=UTC)
    check(times(text, form), exact(oracle))


@given(st.decimals(0, 2**33, places=9, allow_nan=False), st.booleans())
def test_number_is_what_it_is_as_a_decimal(number: Any, is_scientific: bool) -> None:
    text = f"{number:E}" if is_scientific else f"{number:f}"
    check(times(text, "epoch", unit="s"), int(number * 10**9))


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
ZONES += ["Asia/Kathmandu", "America/Caracas", "Asia/Pyongyang", "Pacific/Apia", "Europe/Dublin"]


@given(
    st.lists(st.datetimes(datetime(1970, 1, 3), datetime(2037, 1, 1)), min_size=1),
    st.sampled_from(ZONES),
    st.sampled_from([0, 1]),
)
def test_local_times_are_those_that_zoneinfo_has(
    moments: list[datetime], zone: str, fold: Literal[0, 1]
) -> None:
    texts = pa.array([moment.isoformat() for moment in moments])
    name: Fold = "later" if fold else "earlier"
    done = read_times(texts, TimeFormat(columns=("t",), zone=zone, fold=name))
    for row, moment in enumerate(moments):
        oracle = moment.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)
        is_there = oracle.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment
        assert (row in done.bad) is not is_there
        found = done.values.cast(pa.int64())[row].as_py()
        assert found == (exact(oracle) if is_there else None)
