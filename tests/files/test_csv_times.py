"""Times of CSV files in other dress than ISO 8601 with a point; each is exact or an error."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from siridb_fast.errors import ConfigError
from siridb_fast.files.csv.dialect import TimeFormat
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.csv.times import epoch_texts, iso_texts
from siridb_fast.files.csv.values import convert

NOON = datetime(2024, 3, 1, 12, 5, tzinfo=UTC)
FORMS: list[tuple[str, str, datetime | None]] = [
    ("iso", "2024-03-01 12:05:00 UTC", NOON),
    ("iso", "2024-03-01t12:05:00z", NOON),
    ("iso", "2024-03-01 12:05:00,0", NOON),
    ("iso", "20240301T120500Z", NOON),
    ("iso", "20240301 1205", NOON),
    ("iso", "2024-03-01 13:05:00 +01:00", NOON),
    ("iso", "2024-02-30 12:05", None),
    ("%d.%m.%Y %H:%M", "1.3.2024 12:05", NOON),
    ("%d.%m.%Y %H:%M", "01.03.2024  12:05 ", NOON),
    ("%d.%m.%Y %H:%M", "2024-03-01 12:05", None),
    ("%d.%m.%Y %H:%M", "31.02.2024 12:05", None),
    ("%d.%m.%Y %H:%M", "01.13.2024 12:05", None),
    ("%m/%d/%y %I:%M %p", "3/1/24 12:05 pm", NOON),
    ("%m/%d/%Y %I:%M %p", "03/01/2024 00:05 PM", None),
    ("%m/%d/%Y %I:%M:%S%p", "03/01/2024 12:05:00PM", NOON),
    ("%b %d %Y %H:%M", "Mar 1 2024 12:05", NOON),
    ("%B %d, %Y %H:%M", "March 01, 2024 12:05", NOON),
    ("%d %b %Y %H:%M", "01 Xyz 2024 12:05", None),
    ("%Y%m%d%H%M", "202403011205", NOON),
    ("%Y-%m-%d %H:%M:%S.%f", "2024-03-01 12:05:00.000000", NOON),
    ("%d/%m/%Y %H:%M %z", "01/03/2024 13:05 +0100", NOON),
    ("%d/%m/%Y %H:%M", "soon", None),
]


@pytest.mark.parametrize(("form", "text", "time"), FORMS)
def test_time_of_a_form_is_read_or_bad(form: str, text: str, time: datetime | None) -> None:
    done = convert(iso_texts(pa.array([text, None]), form), "ns")
    assert done.values.to_pylist() == [time, None]
    assert done.bad == ([] if time else [0])


ZONES: list[tuple[str, Any, str | None]] = [
    ("2024-07-01 14:00", "error", "2024-07-01 12:00"),
    ("2024-07-01 14:00Z", "error", "2024-07-01 14:00"),
    ("2024-10-27 02:30", "earlier", "2024-10-27 00:30"),
    ("2024-10-27 02:30", "later", "2024-10-27 01:30"),
    ("2024-10-27 02:30", "error", None),
    ("2024-03-31 02:30", "later", None),
]


@pytest.mark.parametrize(("text", "fold", "utc"), ZONES)
def test_local_time_is_that_of_its_zone(text: str, fold: Any, utc: str | None) -> None:
    time = TimeFormat(columns=("t",), zone="Europe/Berlin", fold=fold)
    done = convert(pa.array([text]), "ns", time=time)
    assert done.bad == ([] if utc else [0])
    expected = utc and datetime.fromisoformat(f"{utc}+00:00")
    assert done.values.to_pylist() == [expected]


EPOCHS: list[tuple[str, str, str | None]] = [
    ("1709251200.000000001", "s", "1709251200000000001"),
    ("1709251200,5", "s", "1709251200500000000"),
    ("1.7092512e9", "s", "1709251200000000000"),
    ("1709251200000.25", "ms", "1709251200000250000"),
    ("1.5", "ns", None),
    ("soon", "s", None),
    ("nan", "s", None),
]


@pytest.mark.parametrize(("text", "unit", "expected"), EPOCHS)
def test_number_with_decimals_is_whole_nanoseconds(
    text: str, unit: str, expected: str | None
) -> None:
    (found,) = epoch_texts(pa.array([text]), unit).to_pylist()
    assert found == expected if expected else not found.isdecimal()


@pytest.mark.parametrize(
    "form", ["%Q %Y %m", "%H:%M", "%Y %Y %m", "%d.%m.%Y %I:%M", "%Y-%m %H %I %p"]
)
def test_format_that_is_not_read_is_refused(form: str) -> None:
    with pytest.raises(ConfigError, match="time_format"):
        CsvGiven(time_format=form)
