"""A real siridb-server and a real cluster, as `siridb_fast.testing` starts and ends them."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import siridb_fast.testing
from siridb_fast.testing import (
    HttpApiError,
    ServerStartError,
    SiriDBCluster,
    SiriDBServer,
    wait_until,
)

NOW = 1_700_000_000_000_000_000
POINTS = [(NOW + i, i / 2) for i in range(100)]  # more than a series' buffer holds: survives kill
STORED = [[ts, value] for ts, value in POINTS]

ORPHAN = """
import sys
from siridb_fast.testing import SiriDBServer
server = SiriDBServer().start()
print(server.pid, server.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server() -> Iterator[SiriDBServer]:
    with SiriDBServer() as started:
        yield started


@pytest.fixture
def database(server: SiriDBServer) -> SiriDBServer:
    server.create_database()
    return server


def has_ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def read(server: SiriDBServer) -> object:
    return server.api.query("dbtest", "select * from 'a'").get("a")


def test_created_database_answers_over_http(server: SiriDBServer) -> None:
    server.create_database("other", time_precision="ms", buffer_size=512)

    assert server.api.insert("other", {"a": [(1_700_000_000_000, 1.5)]}) == (
        "Successfully inserted 1 point(s)."
    )
    answer = server.api.query("other", "select * from 'a'")
    assert answer == {"a": [[1_700_000_000_000, 1.5]]}
    shown = server.api.query("other", "show time_precision, buffer_size")["data"]
    assert {row["name"]: row["value"] for row in shown} == {
        "time_precision": "ms",
        "buffer_size": 512,
    }


def test_error_carries_what_the_server_said(database: SiriDBServer) -> None:
    with pytest.raises(HttpApiError, match="already exists: 'dbtest'") as caught:
        database.create_database("dbtest")
    assert caught.value.status == 400


def test_addresses_are_the_ones_the_server_listens_on(server: SiriDBServer) -> None:
    for port in (server.port, server.backend_port, server.http_port):
        socket.create_connection((server.host, port), timeout=5).close()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.socket_path))


def test_urls_quote_what_would_not_fit(server: SiriDBServer) -> None:
    assert server.url() == f"siridb://iris:siri@127.0.0.1:{server.port}/dbtest"
    assert server.url("a/b", username="x@y", password="p:w").endswith(
        f"//x%40y:p%3Aw@127.0.0.1:{server.port}/a%2Fb"
    )
    assert server.socket_url() == f"siridb://iris:siri@/dbtest?socket={server.socket_path}"


def test_paused_server_answers_again_once_resumed(database: SiriDBServer) -> None:
    database.pause()
    with pytest.raises(TimeoutError):
        database.api.query("dbtest", "show status", timeout=0.2)
    assert database.is_running

    database.resume()
    assert database.api.query("dbtest", "show status")["data"][0]["value"] == "running"


def test_paused_server_can_be_stopped(server: SiriDBServer) -> None:
    server.pause()
    server.stop()
    assert not server.is_running
    assert "Bye!" in server.log


def test_killed_server_comes_back_on_its_ports_with_its_data(database: SiriDBServer) -> None:
    before = (database.port, database.backend_port, database.http_port, database.socket_path)
    pid = database.pid
    database.api.insert("dbtest", {"a": POINTS, "sentinel": [(NOW, 1), (NOW + 1, 1)]})

    database.kill()
    assert has_ended(pid)
    assert database.socket_path.exists()  # what a killed server leaves behind
    database.restart()

    after = (database.port, database.backend_port, database.http_port, database.socket_path)
    assert after == before
    assert read(database) == STORED


def test_running_server_is_restarted_in_order(database: SiriDBServer) -> None:
    database.api.insert("dbtest", {"a": POINTS[:1]})
    pid = database.pid
    database.restart()
    assert database.pid != pid
    assert "Bye!" in database.log
    assert read(database) == STORED[:1]


def test_server_that_does_not_stop_in_time_is_killed(database: SiriDBServer) -> None:
    pid = database.pid
    database.stop(timeout=0)  # with a database it usually takes seconds, even if idle
    assert has_ended(pid)
    assert "Bye!" not in database.log


@pytest.mark.server
def test_close_leaves_no_process_and_no_folder() -> None:
    with SiriDBServer() as server:
        pid, folder = server.pid, server.folder
    assert has_ended(pid)
    assert not folder.exists()
    server.close()
    with pytest.raises(RuntimeError, match="closed"):
        server.start()


@pytest.mark.server
def test_forgotten_server_is_thrown_away() -> None:
    server = SiriDBServer().start()
    pid, folder = server.pid, server.folder
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del server
        gc.collect()
    assert has_ended(pid)
    assert not folder.exists()


@pytest.mark.server
def test_program_that_ends_takes_its_server_along() -> None:
    child, pid, folder = start_orphan()
    child.communicate(timeout=20)
    assert child.returncode == 0
    assert has_ended(pid)
    assert not folder.exists()


@pytest.mark.server
def test_killed_program_leaves_no_server() -> None:
    child, pid, folder = start_orphan()
    assert not has_ended(pid)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=20)
    try:
        wait_until(lambda: has_ended(pid), timeout=10, what=f"server {pid} has ended")
    finally:
        shutil.rmtree(folder)


def start_orphan() -> tuple[subprocess.Popen[str], int, Path]:
    source = Path(siridb_fast.testing.__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", ORPHAN],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    pid, folder = child.stdout.readline().split()
    return child, int(pid), Path(folder)


@pytest.mark.server
def test_server_outlives_the_thread_that_started_it() -> None:
    with SiriDBServer() as server:
        server.stop()
        thread = threading.Thread(target=server.start)
        thread.start()
        thread.join()
        server.create_database()  # takes longer than the kernel to send a signal
        assert server.is_running


def test_server_that_dies_at_the_start_is_reported_with_its_log(tmp_path: Path) -> None:
    broken = program(tmp_path / "broken", "echo the disk is on fire; exit 3")
    server = SiriDBServer(binary=broken)
    with pytest.raises(ServerStartError, match=r"exit code 3; .*\nthe disk is on fire"):
        server.start()
    server.close()


def test_server_that_never_gets_ready_is_killed(tmp_path: Path) -> None:
    idle = program(tmp_path / "idle", "echo I am $$; exec sleep 600")
    server = SiriDBServer(binary=idle)
    with pytest.raises(ServerStartError, match=r"was not ready within 0\.2 s"):
        server.start(timeout=0.2)
    assert has_ended(int(server.log.split()[-1]))
    server.close()


def test_failed_context_leaves_no_folder(tmp_path: Path) -> None:
    server = SiriDBServer(binary=program(tmp_path / "broken", "exit 1"))
    with pytest.raises(ServerStartError), server:
        pytest.fail("the server cannot have started")
    assert not server.folder.exists()


@pytest.mark.server
def test_options_reach_the_server() -> None:
    with SiriDBServer(
        buffer_sync_interval=250, log_level="debug", options={"max_open_files": 100}
    ) as server:
        server.create_database()
        shown = server.api.query("dbtest", "show max_open_files, log_level")["data"]
        config = (server.folder / "siridb.conf").read_text().splitlines()
    values = {row["name"]: row["value"] for row in shown}
    assert values == {"max_open_files": 100, "log_level": "debug"}
    assert "buffer_sync_interval = 250" in config


@pytest.mark.server
def test_option_that_belongs_to_the_class_is_refused() -> None:
    with pytest.raises(ValueError, match="not listen_client_port"):
        SiriDBServer(options={"listen_client_port": 9000})


def test_running_server_is_not_started_twice(server: SiriDBServer) -> None:
    pid = server.pid
    with pytest.raises(RuntimeError, match="already running"):
        server.start()
    assert server.pid == pid
    assert server.socket_path.exists()


def test_usage_of_the_process_is_measured(database: SiriDBServer) -> None:
    before = database.cpu_seconds

    def has_worked() -> bool:
        database.api.insert("dbtest", {"a": POINTS * 20})
        return database.cpu_seconds > before

    wait_until(has_worked, timeout=30, what="inserts cost time")
    assert 1_000_000 < database.rss < 1_000_000_000


@pytest.mark.server
def test_values_of_a_server_that_never_ran_are_refused() -> None:
    server = SiriDBServer()
    with pytest.raises(RuntimeError, match="no ports before"):
        server.url()
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.pid
    server.stop()
    server.close()


@pytest.mark.server
def test_cluster_has_a_pool_per_server() -> None:
    with SiriDBCluster(pools=2) as cluster:
        cluster.create_database()
        ports = [server.backend_port for server in cluster.servers]
        for server in cluster.servers:
            listed = server.api.query("dbtest", "list servers port, pool, status")["servers"]
            assert sorted(listed, key=lambda row: row[1]) == [
                [ports[0], 0, "running"],
                [ports[1], 1, "running"],
            ]
        assert cluster.url() == (
            f"siridb://iris:siri@127.0.0.1:{cluster.servers[0].port},"
            f"127.0.0.1:{cluster.servers[1].port}/dbtest"
        )


@pytest.mark.server
def test_cluster_without_one_pool_refuses_inserts_until_it_is_back() -> None:
    with SiriDBCluster(pools=2) as cluster:
        cluster.create_database()
        first, second = cluster.servers
        second.kill()

        wait_until(lambda: is_refused(first), timeout=30, what="the insert is refused")

        second.restart()
        cluster.wait_until_running()
        assert first.api.insert("dbtest", {"a": POINTS}).startswith("Successfully")


def is_refused(server: SiriDBServer) -> bool:
    try:
        server.api.insert("dbtest", {"a": POINTS})
    except HttpApiError as error:
        return error.status == 503
    return False


@pytest.mark.server
def test_replica_gets_what_its_pool_gets() -> None:
    with SiriDBCluster(pools=1, replicas=1) as cluster:
        cluster.create_database()
        ((primary, replica),) = cluster.pools
        assert cluster.servers == [primary, replica]
        primary.api.insert("dbtest", {"a": POINTS})
        wait_until(lambda: read(replica) == STORED, timeout=30, what="the replica has the points")


@pytest.mark.server
def test_replica_starts_without_its_partner() -> None:
    with SiriDBCluster(pools=1, replicas=1) as cluster:
        cluster.create_database()
        primary, replica = cluster.servers
        primary.kill()
        replica.kill()

        replica.start()
        with pytest.raises(TimeoutError, match="all 2 servers"):
            cluster.wait_until_running(timeout=0)

        primary.start()
        cluster.wait_until_running()


@pytest.mark.server
def test_closed_cluster_leaves_nothing() -> None:
    with SiriDBCluster(pools=2) as cluster:
        pids = [server.pid for server in cluster.servers]
        folders = [server.folder for server in cluster.servers]
    assert all(map(has_ended, pids))
    assert not any(folder.exists() for folder in folders)


@pytest.mark.parametrize(("pools", "replicas"), [(0, 0), (1, 2), (1, -1)])
def test_impossible_cluster_is_refused(pools: int, replicas: int) -> None:
    with pytest.raises(ValueError, match=r"pool"):
        SiriDBCluster(pools=pools, replicas=replicas)
