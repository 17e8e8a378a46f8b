"""`siridb-fast bench` on real servers: what it says, and that nothing of it stays.

Whether one way is faster than another is the machine's business, and asked nowhere here.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import siridb_fast
from siridb_fast.testing import SiriDBServer, wait_until
from tests.cli.test_cli_server import children
from tests.commands import COMMAND, environment, run_command, run_process
from tests.fix_server import Database

SECONDS = "4"
OURS = r"count series /siridb_fast\.bench\..*/"
KINDS = {"runs": 7, "connections": 5, "latency": 1, "writer": 2}  # cells over one transport
KILLED = "siridb_fast.bench.0badcafe.1"
THEIRS = [[3_944_678_400 + k, float(k)] for k in range(100)]  # 2095, past the buffer
HEADINGS = ["Points of a series × series", "Connections ×", "Round trips", "BatchWriter", "Linger"]


@pytest.fixture
def inhabited(make_database: Callable[..., Database]) -> Iterator[Database]:
    """Make a database that has a series, and check that it has nothing else at the end."""
    database = make_database()
    with siridb_fast.connect(database.url) as client:
        client.insert({"theirs": [[1, 0.5], [2, 1.5]]})
        shards = client.query("count shards")
        yield database
        assert client.query("list series name") == {"columns": ["name"], "series": [["theirs"]]}
        assert client.query("select * from 'theirs'") == {"theirs": [[1, 0.5], [2, 1.5]]}
        assert client.query("count shards") == shards


@dataclass(frozen=True, slots=True)
class Printed:
    """What a bench printed, and the database that it was of."""

    database: Database
    stdout: str
    stderr: str
    series: set[str]


@pytest.fixture(scope="module")
def printed(server: SiriDBServer) -> Printed:
    """Print a bench of a database with points of its years, and a series of a killed bench."""
    database = Database(server, "printed")
    server.create_database(database.name, time_precision="s")
    with siridb_fast.connect(database.url) as client:
        client.insert({"theirs": THEIRS, KILLED: [[1, 0.5]]})
        done = run_process("bench", "--seconds", SECONDS, "--plot", url=database.url)
        series = {name for (name,) in client.query("list series name")["series"]}
    return Printed(database, done.stdout, done.stderr, series)


@contextmanager
def benching(*arguments: str, url: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start the command."""
    command = [*COMMAND, "bench", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(url), text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def bench_json(*arguments: str | Path, url: str | None = None) -> dict[str, Any]:
    options = ["--seconds", SECONDS, "--json", *arguments]
    done = run_command("bench", *options, url=url, SIRIDB_ACCOUNT_PASSWORD="siri")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check_survey(survey: dict[str, Any], transports: int = 1) -> None:
    """Check that every cell is there, and that all that was acknowledged was stored."""
    kinds = [cell["kind"] for cell in survey["cells"]]
    expected = {**KINDS, "connections": 5 * transports, "latency": transports}
    assert {kind: kinds.count(kind) for kind in KINDS} == expected
    assert 0 < survey["acknowledged"] == survey["stored"]
    for cell in survey["cells"]:
        if cell["kind"] == "latency":
            assert min(cell["latency"]["ping"], cell["latency"]["p99"]) > 0
            assert cell["latency"]["count"] > 0
        elif cell["repeats"]:
            assert cell["points_per_second"] > 0
            assert cell["bytes_per_second"] > 0
            assert min(cell["repeats"]) <= cell["points_per_second"] <= max(cell["repeats"])
            assert cell["client_ns_per_point"] > 0


def user_with(database: Database, rights: str) -> str:
    name = f"user{len(rights)}"
    with siridb_fast.connect(database.url) as client:
        client.query(f"create user '{name}' set password 'secret'")
        client.query(f"grant {rights} to user '{name}'")
    return database.server.url(database.name, username=name, password="secret")


def server_of(pid: int) -> tuple[str, Path]:
    """Return the process and the folder of the server that a command has started."""
    found: list[tuple[str, Path]] = []

    def has_started() -> bool:
        links = ((child, Path(f"/proc/{child}/cwd").readlink()) for child in children(pid))
        found.extend(link for link in links if link[1].name.startswith("siridb-"))
        return bool(found)

    wait_until(has_started, timeout=30, what="the server is started")
    return found[0]


def test_every_cell_is_measured_and_nothing_stays(inhabited: Database) -> None:
    path = inhabited.server.socket_path
    found = bench_json("--socket", path, "--seconds", "10", url=inhabited.url)
    (survey,) = found["surveys"]
    check_survey(survey, transports=2)
    assert all(cell["repeats"] for cell in survey["cells"] if cell["kind"] != "latency")
    assert survey["buffer_points"] == 64
    assert {cell["transport"] for cell in survey["cells"]} == {"tcp", "unix"}
    topics = {each["topic"] for each in found["advice"]}
    assert topics >= {"ceiling", "runs", "buffer_size", "linger", "BatchWriter", "transport"}
    assert topics >= {"buffer_sync_interval", "connections over tcp", "connections over unix"}
    assert found["linger"][2]["linger"] == 6.5
    assert found["removed"]["series"] > 1000
    assert found["removed"]["shards"] > 0
    assert found["removed"]["left"] == []


@pytest.mark.parametrize("precision", ["s", "ms"])
def test_database_of_any_precision_and_expiration_keeps_what_it_acknowledges(
    make_database: Callable[..., Database], precision: str
) -> None:
    database = make_database(time_precision=precision, buffer_size=512)
    with siridb_fast.connect(database.url) as client:
        client.query("alter database set expiration_num 1w")
        client.query("alter database set drop_threshold 0.1")
        (survey,) = bench_json("--seconds", "2", url=database.url)["surveys"]
        check_survey(survey)
        assert survey["buffer_points"] == 32
        assert client.query("count series") == {"series": 0}
        assert client.query("count shards") == {"shards": 0}


def test_tables_recommendations_and_plots_are_printed(inhabited: Database, tmp_path: Path) -> None:
    picture = tmp_path / "bench.png"
    options: list[str | Path] = ["--seconds", SECONDS, "--plot", picture, "--series", "20"]
    done = run_process("bench", *options, url=inhabited.url)
    assert done.stderr == ""
    for heading in (*HEADINGS, "single points of 20 series", "Recommendations"):
        assert heading in done.stdout
    assert "Nothing is left." in done.stdout
    assert f" at 127.0.0.1:{inhabited.server.port}, " in done.stdout
    assert "1 × 300" in done.stdout
    assert "buffer_size: buffer_size / 16 points of a series" in done.stdout
    assert not any(line.endswith(" " * 200) for line in done.stdout.splitlines())
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) > 20_000


def test_plot_is_drawn_in_the_terminal(printed: Printed) -> None:
    lines = printed.stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if "Points/s by points of a series" in line)
    assert len(lines) - start == 20
    assert max(map(len, lines[start:])) <= 80
    assert "1,000" in lines[-1]


def test_series_of_a_killed_bench_are_told_and_not_touched(printed: Printed) -> None:
    assert "Warning: 1 series of a bench that was killed" in printed.stderr
    assert printed.series == {KILLED, "theirs"}
    query = printed.stderr.split("this removes them: ")[1]
    with siridb_fast.connect(printed.database.url) as client:
        assert client.query(query) == {"success_msg": "Successfully dropped 1 series."}


def test_points_of_others_in_the_same_years_stay(printed: Printed) -> None:
    with siridb_fast.connect(printed.database.url) as client:
        assert client.query("select * from 'theirs'") == {"theirs": THEIRS}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_it_and_nothing_stays(
    inhabited: Database, number: signal.Signals, code: int
) -> None:
    with siridb_fast.connect(inhabited.url) as client, benching(url=inhabited.url) as process:
        wait_until(lambda: client.query(OURS)["series"] > 100, timeout=30, what="it writes")
        process.send_signal(number)
        _, errors = process.communicate(timeout=40)
        assert client.query(OURS) == {"series": 0}
    assert process.returncode == code
    assert errors.splitlines() == [
        "Stopped. Removing what was written …",
        "Nothing of the bench is left.",
    ]
    assert "Traceback" not in errors


def test_dead_server_is_told_with_what_may_be_left(own_database: Database) -> None:
    url = own_database.url
    with siridb_fast.connect(url) as client, benching("--timeout", "2", url=url) as process:
        wait_until(lambda: client.query(OURS)["series"] > 100, timeout=30, what="it writes")
        own_database.server.kill()
        errors = process.communicate(timeout=40)[1]
    assert process.returncode == 1
    assert "may be left in the database 'dbtest'" in errors
    assert r"this removes them: drop series /siridb_fast\.bench\." in errors
    assert errors.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in errors


@pytest.mark.parametrize("rights", ["select", "write", "insert"])
def test_user_without_the_rights_is_refused_before_anything_is_written(
    inhabited: Database, rights: str
) -> None:
    error = run_command("bench", url=user_with(inhabited, rights), code=1).stderr
    assert error.startswith("Error: Access denied.")
    assert "bench needs the rights to show, count, insert, create and drop" in error
    assert error.count("\n") == 1


def test_new_databases_compare_buffer_sizes_and_are_dropped(inhabited: Database) -> None:
    options = ["--new-database", "--http-port", str(inhabited.server.http_port)]
    found = bench_json(*options, url=inhabited.url)
    assert [survey["buffer_size"] for survey in found["surveys"]] == [1024, 8192]
    for survey in found["surveys"]:
        check_survey(survey)
    (advice,) = (each for each in found["advice"] if each["topic"] == "buffer_size")
    assert "1,024 against 8,192" in advice["text"]
    data = inhabited.server.database_folder(inhabited.name).parent
    wait_until(lambda: not any(data.glob("bench_*")), timeout=30, what="the server drops them")


def test_new_database_is_dropped_after_a_signal(inhabited: Database) -> None:
    data = inhabited.server.database_folder(inhabited.name).parent
    options = ["--new-database", "--http-port", str(inhabited.server.http_port)]
    command = [*COMMAND, "bench", *options, "--buffer-size", "2048"]
    changed = environment(inhabited.url, SIRIDB_ACCOUNT_PASSWORD="siri")
    with subprocess.Popen(command, env=changed, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: any(data.glob("bench_*/shards/*")), timeout=30, what="it writes")
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=40)[1]
    assert process.returncode == 130
    assert "Traceback" not in errors
    wait_until(lambda: not any(data.glob("bench_*")), timeout=30, what="the server drops it")


@pytest.mark.parametrize(
    ("password", "code", "text"),
    [("wrong", 1, "refuses /new-database to sa"), (None, 2, "set SIRIDB_ACCOUNT_PASSWORD")],
)
def test_new_database_needs_the_service_account(
    inhabited: Database, password: str | None, code: int, text: str
) -> None:
    options = ["--new-database", "--http-port", str(inhabited.server.http_port)]
    command = [*COMMAND, "bench", *options]
    changed = environment(inhabited.url)
    changed |= {} if password is None else {"SIRIDB_ACCOUNT_PASSWORD": password}
    done = subprocess.run(
        command, env=changed, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == code
    error = done.stderr
    assert text in error
    assert "siri@" not in error


@pytest.mark.server
def test_throw_away_server_is_measured_with_two_sync_intervals() -> None:
    found = bench_json("--throw-away", "--seconds", "6")
    assert [survey["sync_interval"] for survey in found["surveys"]] == [0, 500]
    for survey in found["surveys"]:
        check_survey(survey, transports=2)
    (advice,) = (each for each in found["advice"] if each["topic"] == "buffer_sync_interval")
    assert advice["text"].startswith("500 ms against 0")
    assert found["removed"] == {"series": 0, "shards": 0, "left": []}


@pytest.mark.server
def test_throw_away_server_is_gone_after_a_signal() -> None:
    with benching("--throw-away") as process:
        server, folder = server_of(process.pid)
        wait_until(lambda: any(folder.glob("data/dbtest/shards/*")), timeout=30, what="it writes")
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=40)[1]
    assert process.returncode == 143
    assert "Traceback" not in errors
    assert not folder.exists()
    assert not Path(f"/proc/{server}").exists()


def test_server_that_is_not_there_ends_with_code_1(unused_port: int) -> None:
    url = f"siridb://iris:se-cret@127.0.0.1:{unused_port}/db"
    error = run_process("bench", "--timeout", "1", url=url, code=1).stderr
    assert f"no connection to 127.0.0.1:{unused_port}" in error
    assert "se-cret" not in error


def test_socket_of_another_server_is_refused(inhabited: Database, own_database: Database) -> None:
    path = own_database.server.socket_path
    with siridb_fast.connect(own_database.url) as client:
        own_database.server.create_database(inhabited.name)
        error = run_command("bench", "--socket", path, url=inhabited.url, code=2).stderr
        assert "is the socket of another server" in error
        assert client.query("count series") == {"series": 0}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--throw-away", "--url", "siridb://a:b@h/d"], "--throw-away goes without --url"),
        (["--throw-away", "--seconds", "3"], "expected at least 4 for 2 databases"),
        (["--throw-away", "--buffer-size", "1000"], "expected a multiple of 512"),
        (["--url", "siridb://a:b@h/d", "--buffer-size", "1024"], "--buffer-size is of"),
        (["--url", "siridb://a:b@h/d", "--socket", "sock"], "expected a path with a /"),
        (["--url", "nonsense"], "a URL starts with siridb://"),
        (["--plot", "--json"], "exclude each other"),
        (["--plot=bench.txt"], "a picture ends in .png"),
        (["--plot", "not/there/bench.png"], "there is no folder not/there"),
        (["--seconds", "1"], "Invalid value for '--seconds'"),
        ([], "SIRIDB_URL is not set"),
    ],
)
def test_wrong_usage_is_refused_at_once(arguments: list[str], text: str) -> None:
    assert text in run_command("bench", *arguments, code=2).stderr


def test_help_names_every_option_and_fits_the_terminal() -> None:
    text = run_command("bench", "--help").stdout
    for option in ("--url", "--seconds", "--throw-away", "--new-database", "--buffer-size"):
        assert option in text
    for option in ("--account", "--http-port", "--socket", "--series", "--plot", "--json"):
        assert option in text
    assert max(map(len, text.splitlines())) <= 80
    assert "bench" in run_command("--help").stdout
    assert os.environ.get("SIRIDB_URL", "\0") not in text
