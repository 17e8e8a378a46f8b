"""`siridb-fast server`: a real server that scripts can use, and that leaves nothing behind."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import siridb_fast
from siridb_fast.connection.config import parse_url
from siridb_fast.testing import SiriDBServer, find_server, wait_until
from tests.commands import COMMAND, environment, run_command


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command; give the process and the URL that it has printed."""
    command = [*COMMAND, "server", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process, process.stdout.readline().strip()
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.server
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_server_runs_until_a_signal_and_leaves_nothing(number: signal.Signals, code: int) -> None:
    with serving() as (process, url):
        with siridb_fast.connect(url) as client:
            client.insert({"a": [[1, 0.5]]})
            assert client.query("select * from 'a'") == {"a": [[1, 0.5]]}
        lines = iter(process.stderr.readline, "")  # type: ignore[union-attr]
        assert next(lines) == f"Starting {find_server()} …\n"
        socket_url = next(line for line in lines if "socket=" in line).split()[-1]
        socket = Path(parse_url(socket_url).hosts[0].address)
        with siridb_fast.connect(socket_url) as client:
            assert client.query("count series") == {"series": 1}
        assert socket.is_socket()
        assert f"  export SIRIDB_URL={url}\n" in lines
        process.send_signal(number)
        rest, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert rest == ""
    assert "Traceback" not in errors
    assert not socket.parent.exists()
    with pytest.raises(ConnectionRefusedError):
        siridb_fast.connect(url)


@pytest.mark.server
def test_options_make_the_database() -> None:
    options = ["--dbname", "weather", "--time-precision", "s", "--buffer-size", "8192"]
    with serving(*options, "--sync-interval", "200") as (process, url):
        assert url.endswith("/weather")
        with siridb_fast.connect(url) as client:
            answer = client.query("show dbname, time_precision, buffer_size")
        found = {item["name"]: item["value"] for item in answer["data"]}
        assert found == {"dbname": "weather", "time_precision": "s", "buffer_size": 8192}
        process.terminate()
        assert process.wait(30) == 143


@pytest.mark.server
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_created_database_takes_numbers_and_texts(server: SiriDBServer, unit: str) -> None:
    name, port = f"made_{unit}", str(server.http_port)
    options = ["--time-precision", unit, "--buffer-size", "2048", "--http-port", port]
    run_command("create-database", name, *options, "--duration-num", "2d", "--duration-log", "6h")
    with siridb_fast.connect(server.url(name)) as client:
        client.insert({"a": [[k, k / 2] for k in range(300)], "t": [[1, "x"]]})
        answer = client.query("show time_precision, buffer_size, duration_num, duration_log")
    found = {item["name"]: item["value"] for item in answer["data"]}
    second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    assert found == {
        "time_precision": unit,
        "buffer_size": 2048,
        "duration_num": 172_800 * second,
        "duration_log": 21_600 * second,
    }
    again = run_command("create-database", name, "--http-port", port, code=1).stderr
    assert f"the server refuses the database '{name}'" in again
    password = {"SIRIDB_ACCOUNT_PASSWORD": "se-cret"}
    refused = run_command("create-database", "b", "--http-port", port, code=1, **password).stderr
    assert "se-cret" not in refused


@pytest.mark.server
def test_server_that_ends_by_itself_is_an_error() -> None:
    with serving() as (process, url):
        (pid,) = (int(pid) for pid in children(process.pid))
        os.kill(pid, signal.SIGKILL)
        errors = process.communicate(timeout=30)[1]
        assert process.returncode == 1
        assert "has ended by itself" in errors
        assert url


@pytest.mark.server
def test_database_that_the_server_refuses_is_wrong_usage() -> None:
    error = run_command("server", "--dbname", "a/b c", code=2).stderr
    assert "Error: the server refuses the database 'a/b c'" in error


@pytest.mark.server
def test_missing_program_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    error = run_command("server", code=1, SIRIDB_SERVER=str(tmp_path / "none")).stderr
    assert "siridb_fast.testing.install" in error
    assert find_server().exists()


def children(parent: int) -> list[str]:
    """Wait for the children of a process; return their ids."""
    tasks = Path(f"/proc/{parent}/task")
    wait_until(lambda: any(t.exists() for t in tasks.glob("*/children")), timeout=5, what="tasks")
    return [pid for path in tasks.glob("*/children") for pid in path.read_text().split()]
