"""Files of dead letters are known by their columns: no option says which are no points."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import siridb_fast
from siridb_fast.columns.iso_times import iso
from tests.fix_server import Database
from tests.loading.load_runs import stored_points

POINTS: dict[str, list[tuple[int, Any]]] = {
    "f": [(1_700_000_000_000_000_001, 0.1), (1_700_000_000_000_000_002, -0.0)],
    "i": [(1_700_000_000_000_000_000, 2**63 - 1)],
    "t": [(1_700_000_000_000_000_000, "NA")],
}
COLUMNS = {float: "value_float", int: "value_integer", str: "value_text"}
WHY = {"reason": "no", "error": "InsertError", "refused_at": "2026-01-01T00:00:00.000Z"}


def rows() -> list[dict[str, Any]]:
    return [
        {"series": name, "time": time, **dict.fromkeys(COLUMNS.values())}
        | {COLUMNS[type(value)]: value, **WHY}
        for name, points in POINTS.items()
        for time, value in points
    ]


def as_table() -> pa.Table:
    types = [("series", pa.string()), ("time", pa.timestamp("ns", "UTC"))]
    types += [("value_float", pa.float64()), ("value_integer", pa.int64())]
    types += [("value_text", pa.string()), *((name, pa.string()) for name in WHY)]
    return pa.Table.from_pylist(rows(), pa.schema(types))


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "table"])
def test_dead_letters_are_loaded_without_options(
    database: Database, tmp_path: Path, kind: str
) -> None:
    data: Any = tmp_path / f"letters.{kind}"
    if kind == "ndjson":
        for row in (texts := rows()):
            row["time"] = iso(np.array([row["time"]]), "ns")[0]
        data.write_text("".join(json.dumps(row) + "\n" for row in texts))
    elif kind == "parquet":
        pq.write_table(as_table(), data)
    else:
        data = as_table()
    report = siridb_fast.load(data, database.url)
    assert (report.points, report.missing) == (4, 0)
    assert stored_points(database.url) == {name: Counter(some) for name, some in POINTS.items()}
    with siridb_fast.connect(database.url) as client:
        types = dict(client.query("list series name, type")["series"])
    assert types == {"f": "float", "i": "integer", "t": "string"}


def test_columns_of_that_name_are_values_elsewhere(database: Database) -> None:
    rows = {"time": np.array([1, 2]), "reason": ["a", "b"], "error": [0.5, 1.5]}
    assert siridb_fast.load(rows, database.url, time="time").points == 4
    assert stored_points(database.url).keys() == {"reason", "error"}
