"""`siridb-fast spool`: what is in a spool, and its points as a file; nothing of it is changed."""

import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import siridb_fast
from siridb_fast import encode_insert
from siridb_fast.spool.store import Spool
from tests.commands import run_command, run_process
from tests.fix_server import Database
from tests.spool.spools import writer_process

START = 1_767_225_600_000  # 2026-01-01, in milliseconds
ROWS = [
    ("room", START, 0.5), ("room", START + 1, -1.25), ("hall", START, 3.0),
    ("room", START + 2, 1e300),
]  # fmt: skip
HOLDER = """
import sys
from siridb_fast.spool.store import Spool
from siridb_fast import encode_insert
spool = Spool(sys.argv[1], dbname="plant", time_precision="ms")
for number in range(5):
    spool.put(bytes(encode_insert({"room": [[number, number / 2]]})), 1)
print("ready", flush=True)
sys.stdin.read()
"""


def package(points: dict[str, Any]) -> bytes:
    return bytes(memoryview(encode_insert(points)))


def put(spool: Spool, points: dict[str, Any]) -> int:
    return spool.put(package(points), sum(map(len, points.values())))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plant.spool"


@pytest.fixture
def filled(path: Path) -> Path:
    """Make a spool of the points of ROWS, in two packages."""
    with Spool(path, dbname="plant", time_precision="ms") as spool:
        put(spool, {"room": [list(row[1:]) for row in ROWS[:2]], "hall": [list(ROWS[2][1:])]})
        spool.mark_sent([put(spool, {"room": [list(ROWS[3][1:])]})])
    return path


def files_of(path: Path) -> dict[str, str]:
    """Return the digest of everything beside a spool that outlives its readers."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.parent.iterdir()
        if not file.name.endswith("-shm")
    }


def status(path: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = run_command("spool", "status", path, "--json", *arguments, code=code)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def exported(path: Path, *arguments: str, code: int = 0) -> list[list[str]]:
    done = run_command("spool", "export", path, "-o", "-", *arguments, code=code)
    return list(csv.reader(io.StringIO(done.stdout)))


@pytest.mark.parametrize("command", [[], ["status"], ["export"]])
@pytest.mark.parametrize("width", [40, 80])
def test_help_is_readable(command: list[str], width: int) -> None:
    text = run_command("spool", *command, "--help", COLUMNS=str(width)).stdout
    assert max(map(len, text.splitlines())) <= max(width, 50)


def test_status_is_what_is_in_it(filled: Path) -> None:
    before = files_of(filled)
    facts = status(filled)
    size = facts.pop("bytes")
    assert time.time() - facts.pop("oldest") < 60
    assert facts == {
        "path": str(filled), "database": "plant", "time_precision": "ms", "held_by": None,
        "packages": 2, "points": 4, "sent": 1, "series": 2, "top": {"room": 3, "hall": 1},
        "fault": None, "damaged": 0, "set_aside": {},
    }  # fmt: skip
    text = run_process("spool", "status", filled).stdout
    lines = dict(re.findall(r"^(\w+(?: \w+)*) +(\S.*?) *$", text, re.MULTILINE))
    assert lines["database"] == "plant"
    assert lines["open in"] == "no process"
    assert lines["packages"] == "2"
    assert lines["in doubt"] == "1"
    assert lines["bytes"].startswith(f"{size} (")
    assert "s ago)" in lines["oldest"]
    assert "room" in text
    assert files_of(filled) == before


def test_status_shows_the_series_with_the_most_points(filled: Path) -> None:
    assert status(filled, "--top", "1")["top"] == {"room": 3}
    quick = status(filled, "--top", "0")
    assert (quick["series"], quick["top"], quick["points"]) == (None, {}, 4)


def test_status_of_an_empty_spool(path: Path) -> None:
    Spool(path).close()
    facts = status(path)
    assert (facts["packages"], facts["oldest"], facts["series"]) == (0, None, 0)
    assert "unknown" in run_command("spool", "status", path).stdout


def test_writer_is_named_and_not_disturbed(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        facts = status(path)
        assert (facts["held_by"], facts["packages"]) == (process.pid, 5)
        assert f"process {process.pid}" in run_command("spool", "status", path).stdout
        assert len(exported(path)) == 6
        process.stdin.close()
        assert process.wait() == 0
    assert status(path)["held_by"] is None


def test_spool_of_a_killed_process_is_read_and_left(path: Path) -> None:
    with writer_process(path) as process:
        assert process.stdout is not None
        for _ in range(9):
            process.stdout.readline()
        process.kill()
    before = files_of(path)
    facts = status(path, "--top", "0")
    assert facts["packages"] >= 8
    assert (facts["held_by"], facts["fault"]) == (None, None)
    assert files_of(path) == before


@pytest.mark.parametrize(
    ("arguments", "times"),
    [
        ([], ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.001Z"]),
        (["--raw-times"], [str(START), str(START + 1)]),
    ],
)
def test_export_is_one_row_for_each_point(
    filled: Path, arguments: list[str], times: list[str]
) -> None:
    before = files_of(filled)
    rows = exported(filled, *arguments)
    assert rows[0] == ["series", "timestamp", "value"]
    assert [row[1] for row in rows[1:3]] == times
    assert [(row[0], float(row[2])) for row in rows[1:]] == [(row[0], row[2]) for row in ROWS]
    assert files_of(filled) == before


def test_export_says_how_much_it_was(filled: Path, tmp_path: Path) -> None:
    done = run_process("spool", "export", filled, "-o", tmp_path / "out.csv")
    assert done.stderr == "4 points of 2 packages\n"
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 5


def test_export_as_json_keeps_types_and_is_valid(path: Path, tmp_path: Path) -> None:
    with Spool(path) as spool:
        put(spool, {"a": [[1, 2], [2, -(2**60)]], "b": [[1, "text"]]})
        put(spool, {"a": [[3, 4]], 'c"': (np.array([5]), np.array([np.nan]))})
    run_command("spool", "export", path, "-o", tmp_path / "out.json")
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [tuple(row.values()) for row in rows] == [
        ("a", 1, 2), ("a", 2, -(2**60)), ("b", 1, "text"), ("a", 3, 4), ('c"', 5, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0.5, 2.0], "double"), ([1, 2**62], "int64"), (["x", "y"], "string"), ([1, 0.5], "double")],
)
def test_export_as_parquet_has_the_type_of_the_values(
    path: Path, tmp_path: Path, values: list[Any], kind: str
) -> None:
    with Spool(path, time_precision="ms") as spool:
        for number, value in enumerate(values):
            put(spool, {f"series {number}": [[START + number, value]]})
    run_command("spool", "export", path, "-o", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert str(table.schema.field("value").type) == kind
    assert str(table.schema.field("timestamp").type) == "timestamp[ms, tz=UTC]"
    assert table["value"].to_pylist() == values
    assert table["series"].to_pylist() == ["series 0", "series 1"]
    stamps = table["timestamp"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    assert stamps.tolist() == [START, START + 1]


@pytest.mark.parametrize("values", [[0.5, "text"], [0.5, 2**60]])
def test_parquet_does_not_change_values(path: Path, tmp_path: Path, values: list[Any]) -> None:
    with Spool(path) as spool:
        for value in values:
            put(spool, {"a" if isinstance(value, float) else "b": [[1, value]]})
    done = run_command("spool", "export", path, "-o", tmp_path / "out.parquet", code=2)
    assert "do not fit one column of a Parquet file" in done.stderr
    assert not (tmp_path / "out.parquet").exists()


def test_export_can_be_loaded(database: Database, filled: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    run_command("spool", "export", filled, "-o", out)
    run_command(
        "load", out, "--time", "timestamp", "--series", "{series}", "--values", "value",
        url=database.url,
    )  # fmt: skip
    with siridb_fast.connect(database.url) as client:
        found = client.query("select * from 'room', 'hall'")
    points = {(name, t // 10**6, v) for name, rows in found.items() for t, v in rows}
    assert points == set(ROWS)


def test_damage_is_told_and_the_rest_is_exported(filled: Path) -> None:
    with filled.open("r+b") as file:
        file.write(bytes(100))
    before = files_of(filled)
    facts = status(filled, code=3)
    assert facts["fault"] == "it has no header of a spool"
    assert (facts["packages"], facts["points"], facts["database"]) == (2, 4, "plant")
    done = run_command("spool", "export", filled, "-o", "-", code=3)
    assert len(done.stdout.splitlines()) == 5
    assert "Warning: the spool is damaged (it has no header of a spool)" in done.stderr
    assert files_of(filled) == before
    Spool(filled).close()
    assert list(status(filled)["set_aside"]) == [f"{filled}.damaged-1"]
    assert len(exported(Path(f"{filled}.damaged-1"), code=3)) == 5


def test_damaged_package_is_left_out(path: Path) -> None:
    with Spool(path) as spool:
        for number in range(3):
            put(spool, {"a": (np.arange(1000), np.full(1000, float(number)))})
    data = path.read_bytes()
    needle = package({"a": (np.arange(1000), np.full(1000, 1.0))})[:2000]
    with path.open("r+b") as file:
        file.seek(data.index(needle[100:]) + 50)
        file.write(b"damaged")
    rows = exported(path, code=3)
    assert {row[2] for row in rows[1:]} == {"0.0", "2.0"}
    assert status(path, code=3)["damaged"] == 1


def test_package_that_is_no_insert_is_told(path: Path) -> None:
    with Spool(path) as spool:
        spool.put(b"no qpack", 1)
        put(spool, {"a": [[1, 2]]})
    assert exported(path, code=3)[1:] == [["a", "1", "2"]]
    assert status(path, code=3)["damaged"] == 1


@pytest.mark.parametrize("command", [["status"], ["export", "-o", "-"]])
def test_what_is_no_spool_is_refused(tmp_path: Path, command: list[str]) -> None:
    done = run_command("spool", *command, tmp_path / "nothing", code=2)
    assert done.stderr == f"Error: {tmp_path / 'nothing'}: there is no such spool\n"
    done = run_command("spool", *command, tmp_path, code=2)
    assert "this is no file" in done.stderr


def test_replay_delivers_and_empties_a_spool(database: Database, path: Path) -> None:
    points = {"room": [[number, number / 2] for number in range(1000)]}
    with Spool(path, dbname=database.name, time_precision="ns") as spool:
        for first in range(0, 1000, 100):
            put(spool, {"room": points["room"][first : first + 100]})
    done = run_process("spool", "replay", path, url=database.url)
    assert "1,000 points delivered in 10 packages" in done.stderr
    found = run_process("query", "select count() from 'room'", url=database.url)
    assert "1000" in found.stdout
    with Spool(path) as spool:
        assert spool.packages == 0


def test_replay_of_what_does_not_fit_is_incomplete(database: Database, path: Path) -> None:
    with Spool(path, dbname=database.name, time_precision="ns") as spool:
        put(spool, {"room": [[1, 0.5]]})
    run_process("spool", "replay", path, url=database.url)
    with Spool(path, dbname=database.name, time_precision="ns") as spool:
        put(spool, {"room": [[2, "warm"]]})
    done = run_process("spool", "replay", path, url=database.url, code=3)
    assert "1 points of series 'room'" in done.stderr


def test_replay_needs_a_spool_of_the_database(database: Database, path: Path) -> None:
    done = run_command("spool", "replay", path, url=database.url, code=2)
    assert "plant.spool" in done.stderr
    assert not path.exists()
    with Spool(path, dbname="other", time_precision="ns"):
        pass
    done = run_command("spool", "replay", path, url=database.url, code=2)
    assert "other" in done.stderr
