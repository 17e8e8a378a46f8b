"""Files of points into a real server: names, types, templates, and loads that go on."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import siridb_fast
from siridb_fast.errors import FileError
from tests.commands import run_command, run_process
from tests.fix_server import Database
from tests.loading.load_runs import forget_delivered, stored_points

START = 1_709_251_200
NS = 10**9


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


def lines(rows: int) -> str:
    made = []
    for n in range(rows):
        fields = f'f={n}.5,i={n}i,t="text {n % 3}",b={"true" if n % 2 else "F"}'
        made.append(f"m\\ 1,host=h{n % 3},dc=east {fields} {(START + n) * NS}")
    return "\n".join(made)


def expected(rows: int) -> dict[str, Counter[tuple[int, object]]]:
    found: dict[str, Counter[tuple[int, object]]] = {}
    for n in range(rows):
        values = {"f": n + 0.5, "i": n, "t": f"text {n % 3}", "b": n % 2}
        for name, value in values.items():
            series = f"m 1,dc=east,host=h{n % 3}:{name}"
            found.setdefault(series, Counter())[START + n, value] += 1
    return found


def test_line_protocol_is_stored_with_its_types(seconds: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.lp"
    path.write_text(lines(200))
    report = siridb_fast.load(path, seconds.url)
    assert (report.points, report.missing) == (800, 0)
    assert stored_points(seconds.url) == expected(200)
    assert siridb_fast.verify(path, seconds.url).is_complete


def test_load_of_points_goes_on_to_each_once(seconds: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.lp"
    path.write_text(lines(200))
    run_command("load", path, url=seconds.url)
    forget_delivered(path)
    with path.open("a") as file:
        file.write("\n" + lines(250).split("\n", 200)[200])
    run_command("load", path, "--resume", url=seconds.url)
    assert stored_points(seconds.url) == expected(250)


def test_standard_input_is_line_protocol_where_that_is_said(
    seconds: Database, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    given.write_text(lines(20))
    run_process("load", "-", "--format", "influx", url=seconds.url, given=given)
    assert stored_points(seconds.url) == expected(20)


def test_folder_of_points_and_templates(seconds: Database, tmp_path: Path) -> None:
    (tmp_path / "one.lp").write_text(f"m,host=a v=1 {START * NS}\n")
    (tmp_path / "two.lp").write_text(f"m,host=b v=2i {START * NS}\n")
    (tmp_path / "three.graphite").write_text(f"x.y 3 {START}\n")
    with pytest.raises(FileError, match=r"three\.graphite: column 'host': the file has no such"):
        siridb_fast.load(tmp_path, seconds.url, series="{stem}.{host}")
    (tmp_path / "three.graphite").unlink()
    siridb_fast.load(tmp_path, seconds.url, series="{stem}.{host}.{field}")
    stored = stored_points(seconds.url)
    assert {name: [*points] for name, points in stored.items()} == {
        "one.a.v": [(START, 1.0)],
        "two.b.v": [(START, 2)],
    }


def test_series_that_is_of_floats_takes_integers_of_a_file(
    seconds: Database, tmp_path: Path
) -> None:
    with siridb_fast.connect(seconds.url) as client:
        client.insert({"m:v": [[START, 0.5]]})
    path = tmp_path / "a.lp"
    path.write_text(f"m v=7i {(START + 1) * NS}\n")
    siridb_fast.load(path, seconds.url)
    assert stored_points(seconds.url)["m:v"] == Counter([(START, 0.5), (START + 1, 7.0)])


def test_times_finer_than_the_database_are_refused_or_cut(
    seconds: Database, tmp_path: Path
) -> None:
    path = tmp_path / "a.graphite"
    path.write_text(f"a.b 1 {START}.5\n")
    with pytest.raises(FileError, match=r"a\.graphite:1: .*finer than the database's"):
        siridb_fast.load(path, seconds.url)
    siridb_fast.load(path, seconds.url, on_precision_loss="floor")
    assert stored_points(seconds.url)["a.b"] == Counter([(START, 1.0)])
