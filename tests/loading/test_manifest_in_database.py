"""`load --manifest database` with a real server: from any machine, each point is stored once."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import siridb_fast
from siridb_fast.client.note_series import NoteSeries
from siridb_fast.connection.config import parse_url
from siridb_fast.delivery.report import Failure, Report
from siridb_fast.errors import FileError
from siridb_fast.loading.database_manifest import DatabaseManifest
from siridb_fast.loading.file_notes import FileNote, notes_in
from siridb_fast.loading.note_journal import PREFIX
from siridb_fast.loading.note_words import texts_in
from siridb_fast.loading.notes import job_key
from siridb_fast.loading.options import LoadOptions
from siridb_fast.testing import FaultProxy, wait_until
from tests.commands import figures, run_command
from tests.fix_server import Database
from tests.loading.load_runs import START, Points, running_load, stored_points

IN_DATABASE = ["--manifest", "database"]
ROWS = 120_000
NAMES = "abcdefgh"
PAD = "-" * 300  # a column that is not loaded, for several portions
SLOW = 1_000_000  # bytes a second: the load takes some seconds
FILES = 600
RIGHTS = ("insert", "select", "show", "count")


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


@pytest.fixture
def new_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that gives this user a new home folder, as another machine does."""

    def move() -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("home")))

    return move


def data_of(url: str) -> Points:
    points = stored_points(url)
    return {name: points[name] for name in points if not name.startswith(PREFIX)}


def noted(url: str) -> dict[str, FileNote]:
    """Return what all notes in a database say together."""
    found: dict[str, FileNote] = {}
    with siridb_fast.connect(url) as client:
        series = client.query_arrays(r"select * from /siridb_fast\.loads\..*/")
    for _, values in series.values():
        for text in texts_in(values.tolist()):
            for key, note in notes_in(text)[1].items():
                found[key] = note.joined(found.get(key, note))
    return found


def short_file(folder: Path, name: str = "a.csv", rows: int = 10) -> Path:
    path = folder / name
    path.write_text("ts,v\n" + "".join(f"{START + row},{row}\n" for row in range(rows)))
    return path


def load(path: Path, *options: str, url: str, code: int = 0) -> Any:
    command: list[str | Path] = ["load", path, "--time", "ts", *IN_DATABASE, *options]
    return run_command(*command, url=url, code=code)


def each_once(rows: int) -> Counter[tuple[int, float]]:
    return Counter((START + row, float(row)) for row in range(rows))


def test_load_is_known_to_others(
    seconds: Database, tmp_path: Path, new_home: Callable[[], None]
) -> None:
    path = short_file(tmp_path)
    load(path, url=seconds.url)
    new_home()
    assert "it was loaded already" in load(path, url=seconds.url, code=2).stderr
    assert "loaded already" in load(path, "--resume", url=seconds.url).stderr
    assert data_of(seconds.url) == {"v": each_once(10)}


def test_load_that_is_killed_goes_on_from_another_machine(
    seconds: Database, tmp_path: Path, new_home: Callable[[], None]
) -> None:
    path = tmp_path / "a.csv"
    lines = [",".join([str(START + row), *[str(row)] * len(NAMES), PAD]) for row in range(ROWS)]
    path.write_text("\n".join([",".join(["ts", *NAMES, "pad"]), *lines, ""]))
    values = [f"--values={name}" for name in NAMES]
    options = ["--time", "ts", *values, "--max-memory", "4", *IN_DATABASE]

    def is_between() -> bool:
        return any(note.delivered and not note.is_done for note in noted(seconds.url).values())

    with FaultProxy(seconds.server.host, seconds.server.port) as proxy:
        proxy.throttle(SLOW)
        url = f"siridb://iris:siri@{proxy.host}:{proxy.port}/{seconds.name}"
        with running_load(path, *options, url=url) as process:
            wait_until(is_between, timeout=60, what="a part is delivered")
            assert process.poll() is None
            process.kill()
            process.communicate(timeout=60)
    (before,) = noted(seconds.url).values()
    assert 0 < before.delivered < ROWS
    assert before.begun is not None
    assert "delimiter" in before.begun.dialect
    new_home()
    done = run_command("load", path, *options, "--resume", url=seconds.url)
    assert "not known" not in done.stderr
    sent = int(figures(done.stdout)["rows"].replace(",", ""))
    assert sent == ROWS - before.delivered
    assert data_of(seconds.url) == {name: each_once(ROWS) for name in NAMES}
    done = run_command("load", path, *options, "--resume", url=seconds.url)
    assert "loaded already" in done.stderr


@pytest.mark.parametrize("change", ["changed", "moved"])
def test_file_that_is_changed_or_elsewhere_is_compared(
    seconds: Database, tmp_path: Path, change: str
) -> None:
    path = short_file(tmp_path)
    load(path, url=seconds.url)
    if change == "moved":
        path = path.rename(tmp_path / "b.csv")
    else:
        head, *lines = short_file(tmp_path, rows=20).read_text().splitlines()
        path.write_text("\n".join([head, *reversed(lines)]))
    done = load(path, "--resume", url=seconds.url)
    why = "not known from" if change == "moved" else "it was changed since"
    assert f"{path}: {why}" in done.stderr
    assert data_of(seconds.url) == {"v": each_once(10 if change == "moved" else 20)}
    assert "loaded already" in load(path, "--resume", url=seconds.url).stderr


def test_restart_stores_all_again(
    seconds: Database, tmp_path: Path, new_home: Callable[[], None]
) -> None:
    path = short_file(tmp_path)
    load(path, url=seconds.url)
    new_home()
    load(path, "--restart", url=seconds.url)
    assert data_of(seconds.url) == {"v": each_once(10) + each_once(10)}
    assert [note.attempt for note in noted(seconds.url).values()] == [3]  # asked for, and begun
    assert "loaded already" in load(path, "--resume", url=seconds.url).stderr


def test_many_short_files_are_noted_together(
    seconds: Database, tmp_path: Path, new_home: Callable[[], None]
) -> None:
    for number in range(FILES):
        short_file(tmp_path, f"{number}.csv", rows=2)
    load(tmp_path, "--series", "{stem}", url=seconds.url)
    assert data_of(seconds.url) == {str(number): each_once(2) for number in range(FILES)}
    with siridb_fast.connect(seconds.url) as client:
        series = client.query(r"list series name, length /siridb_fast\.loads\..*/")["series"]
    assert len(series) == 3  # the register, of this load, and the sentinel
    new_home()
    done = load(tmp_path, "--series", "{stem}", "--resume", url=seconds.url)
    assert done.stderr.count("loaded already") == FILES


def test_notes_that_are_dropped_are_not_known(seconds: Database, tmp_path: Path) -> None:
    path = short_file(tmp_path)
    load(path, url=seconds.url)
    with siridb_fast.connect(seconds.url) as client:
        client.query("select mean(1h) from *")  # which a series of texts would not let pass
        client.query(r"drop series /siridb_fast\.loads\..*/ set ignore_threshold true")
    done = load(path, "--resume", url=seconds.url)
    assert f"{path}: not known from an earlier load" in done.stderr
    assert stored_points(seconds.url)["v"] == each_once(10)


def test_nothing_is_noted_of_what_is_not_sent(seconds: Database, tmp_path: Path) -> None:
    path = short_file(tmp_path)
    load(path, "--dry-run", url=seconds.url)
    assert stored_points(seconds.url) == {}
    load(path, url=seconds.url)
    before = stored_points(seconds.url)
    assert "loaded already" in load(path, "--resume", url=seconds.url).stderr
    assert "Verified" in run_command("verify", path, "--time", "ts", url=seconds.url).stdout
    assert stored_points(seconds.url) == before


def test_file_may_have_the_name_of_the_word(
    seconds: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = short_file(tmp_path)
    run_command("load", path, "--time", "ts", "--manifest", "./database", url=seconds.url)
    assert (tmp_path / "database").is_file()
    assert stored_points(seconds.url).keys() == {"v"}


@pytest.mark.parametrize("missing", RIGHTS)
def test_right_that_is_missing_is_named(seconds: Database, tmp_path: Path, missing: str) -> None:
    rights = ", ".join(right for right in RIGHTS if right != missing)
    with siridb_fast.connect(seconds.url) as client:
        client.query("create user 'feeder' set password 'secret-word'")
        client.query(f"grant {rights} to user 'feeder'")
    url = seconds.url.replace("iris:siri", "feeder:secret-word")
    done = load(short_file(tmp_path), url=url, code=1)
    assert "needs the rights insert, select, show and count" in done.stderr
    assert f"has not the right '{missing}'" in done.stderr
    assert "secret-word" not in done.stderr
    assert data_of(seconds.url) == {}


def test_user_with_the_rights_that_are_named_loads(seconds: Database, tmp_path: Path) -> None:
    with siridb_fast.connect(seconds.url) as client:
        client.query("create user 'feeder' set password 'secret-word'")
        client.query(f"grant {', '.join(RIGHTS)} to user 'feeder'")
    url = seconds.url.replace("iris:siri", "feeder:secret-word")
    load(short_file(tmp_path), url=url)
    assert data_of(seconds.url) == {"v": each_once(10)}


def test_load_that_another_machine_goes_on_with_ends(
    seconds: Database, tmp_path: Path, new_home: Callable[[], None]
) -> None:
    path = short_file(tmp_path)
    options = LoadOptions.of({"time": ["ts"]})
    columns = {name: getattr(options, name) for name in ("time", "series", "values", "unit")}
    store = NoteSeries(parse_url(seconds.url))
    first = DatabaseManifest(store, job_key(seconds.name, **columns), "process 7 on host")
    try:
        first.claim(path)
        first.start(path, 5)
        assert "it was loaded in part" in load(path, url=seconds.url, code=2).stderr
        load(path, "--compare", url=seconds.url)
        with pytest.raises(FileError, match=r"under way, or was meanwhile: process \d+ on "):
            first.start(path, 10)
    finally:
        first.close()
    assert data_of(seconds.url) == {"v": each_once(10)}


@pytest.fixture
def series(own_database: Database) -> Iterator[NoteSeries]:
    found = NoteSeries(parse_url(own_database.url))
    yield found
    found.close()


def test_note_survives_the_death_of_the_server(own_database: Database, series: NoteSeries) -> None:
    series.append("a", [5, 3], None)
    own_database.server.kill()
    own_database.server.start()
    assert series.read(["a", "b"]) == {"a": [5, 3]}
    series.append("a", [4], None)
    assert series.read(["a"]) == {"a": [5, 3, 4]}
    assert series.counts(["a", "b"]) == {"a": 3}


def test_values_of_one_moment_keep_their_order(
    seconds: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: START * 10**9)
    found = NoteSeries(parse_url(seconds.url))
    for value in (3, 1, 2):
        found.append("a", [value, 9], None)
    assert found.read(["a"]) == {"a": [3, 9, 1, 9, 2, 9]}
    found.close()


def test_more_notes_than_one_select_has_are_read(database: Database) -> None:
    with siridb_fast.connect(database.url) as client:
        client.query("alter database set select_points_limit 1000")
    found = NoteSeries(parse_url(database.url))
    values = {name: [*range(900)] for name in "abc"}
    for name, some in values.items():
        found.append(name, some, None)
    assert found.read([*"abcd"]) == values
    found.close()


def test_note_that_is_not_delivered_is_no_report_of_the_load(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = Failure("a", 1, siridb_fast.InsertError("refused"))
    report = Report(0, 1, 1, 0.0, rejected=(failure,), rejected_points=1)
    monkeypatch.setattr(siridb_fast.BlockingWriter, "flush", lambda *_: report)
    found = NoteSeries(parse_url(database.url))
    with pytest.raises(siridb_fast.SiriDBError, match=r"cannot be noted.*refused") as caught:
        found.append("a", [1], None)
    assert not isinstance(caught.value, siridb_fast.DeliveryError)
    found.close()
