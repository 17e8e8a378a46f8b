"""Loads whose database becomes another one: in the middle, or before they go on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siridb_fast import DeliveryError, RequestTimeout, connect, load
from tests.commands import run_command
from tests.fix_changes import replace_server
from tests.fix_server import Database
from tests.loading.load_runs import write_table

pytestmark = pytest.mark.usefixtures("fast_retry")
ROWS = 40_000


def series_of(database: Database) -> int:
    with connect(database.url) as siri:
        return int(siri.query("count series")["series"])


@pytest.mark.parametrize("unit", ["ns", "ms"])
def test_load_does_not_go_on_in_a_database_that_took_the_place_of_its_own(
    own_database: Database, unit: str
) -> None:
    def stream() -> Iterator[tuple[str, Any, Any]]:
        for first in range(0, ROWS, 5000):
            if first == ROWS // 2:
                replace_server(own_database, time_precision=unit)
            yield "a", np.arange(first, first + 5000), np.arange(5000.0)

    url = f"{own_database.url}?max_wait_retry=1"
    with pytest.raises((DeliveryError, RequestTimeout)) as caught:
        load(stream(), url, delivery_timeout=2)
    text = "is another server now" if unit == "ns" else "time precision"
    notes = " ".join(getattr(caught.value, "__notes__", ()))
    assert text in f"{caught.value} {notes}"
    assert series_of(own_database) == 0


def test_what_is_noted_of_a_database_is_not_taken_for_one_that_was_made_anew(
    own_database: Database, tmp_path: Path
) -> None:
    table = {"ts": 1_600_000_000 + np.arange(100), "v": np.arange(100.0)}
    path = write_table(tmp_path / "a.parquet", table)
    arguments = ["load", str(path), "--time", "ts", "--unit", "s"]
    run_command(*arguments, url=own_database.url)
    run_command(*arguments, "--resume", url=own_database.url)
    replace_server(own_database)
    done = run_command(*arguments, "--resume", url=own_database.url)
    assert "not known from an earlier load" in done.stderr
    assert series_of(own_database) == 1
