"""The gateway as a process: its life, its figures, and its page."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from siridb_fast.gateway.figures import DoorFigures, Refusal
from siridb_fast.gateway.page import page
from siridb_fast.gateway.page_facts import PageFacts, troubles
from siridb_fast.gateway.sd_notify import ServiceManager
from siridb_fast.testing import SiriDBServer
from tests.commands import COMMAND, environment, run_process
from tests.fix_loop import LOOPS, eventually
from tests.fix_loop import run as run_in_loop
from tests.fix_server import Database
from tests.gateway.gateways import ANY_PORT, gateway_process, running, stored
from tests.gateway.http_calls import get, post


def points_of(database: Database) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def ask() -> None:
        found.update(await stored(database))

    run_in_loop(ask(), LOOPS["uvloop"])
    return found


def write(place: str, body: bytes) -> int:
    with urllib.request.urlopen(f"http://{place}/write", body, timeout=60) as answer:
        return int(answer.status)


def test_sigterm_delivers_what_was_taken(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(f'url = "{database.url}"\nlinger = 3600\n[influx]\nlisten = "{ANY_PORT}"\n')
    with gateway_process("--config", str(path)) as (process, places):
        assert write(places["influx"], b"m v=1 1") == 204
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert points_of(database) == {"m:v": [[1, 1.0]]}


def test_options_alone_are_enough(database: Database) -> None:
    arguments = ["--url", database.url, "--listen-influx", ANY_PORT]
    with gateway_process(*arguments) as (process, places):
        assert write(places["influx"], b"m v=1 1") == 204
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert points_of(database) == {"m:v": [[1, 1.0]]}


def test_what_could_not_be_delivered_is_told(own_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'url = "{own_database.url}"\ndrain_timeout = 0.5\n[influx]\nlisten = "{ANY_PORT}"\n'
    )
    with gateway_process("--config", str(path)) as (process, places):
        assert write(places["influx"], b"m v=1 1") == 204
        own_database.server.kill()
        assert write(places["influx"], b"m v=2 2") == 204
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 3


def test_it_waits_for_a_server_that_starts_later() -> None:
    with SiriDBServer() as server:
        server.create_database("dbtest")
        server.stop()
        arguments = ["--url", server.url("dbtest"), "--listen-influx", ANY_PORT]
        starting = threading.Timer(1.0, server.start)
        starting.start()
        try:
            with gateway_process(*arguments) as (process, places):
                assert write(places["influx"], b"m v=1 1") == 204
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0
        finally:
            starting.join()


@pytest.mark.parametrize("kind", ["influx", "ndjson"])
def test_standard_input_is_taken_to_its_end(database: Database, tmp_path: Path, kind: str) -> None:
    given = tmp_path / "lines"
    if kind == "influx":
        given.write_text("m v=1 1\nbad\nm v=2 2")
        series = "m:v"
    else:
        given.write_text(
            "".join(json.dumps({"series": "j", "timestamp": n, "value": n}) + "\n" for n in (1, 2))
        )
        series = "j"
    run_process("gateway", "--url", database.url, "--stdin", kind, given=given)
    assert points_of(database) == {series: [[1, 1.0], [2, 2.0]]}


def test_a_pipe_that_stays_open_does_not_keep_it_from_ending(database: Database) -> None:
    command = [*COMMAND, "gateway", "--url", database.url, "--stdin", "influx"]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert "influx.stdin at standard input" in process.stderr.readline()
        process.stdin.write("m v=1 1\n")
        process.stdin.flush()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_service_manager_is_told(database: Database, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        arguments = ["--url", database.url, "--listen-influx", ANY_PORT]
        with gateway_process(*arguments, **variables) as (process, _):
            found = [manager.recv(1000).decode() for _ in range(4)]
            assert any("READY=1" in one for one in found)
            assert "WATCHDOG=1" in found
            process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in manager.recv(1000).decode():
                pass


def test_a_service_manager_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    ServiceManager({}).tell(READY="1")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell(READY="1")
    other = {"NOTIFY_SOCKET": "x", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid() + 1)}
    assert ServiceManager(other).watchdog_interval is None


async def test_metrics_health_and_the_page(database: Database) -> None:
    async with running(database, status={"listen": ANY_PORT}) as gateway:
        assert (await post(gateway, b"m v=1 1\nbad <b>\n"))[0] == 400
        for path in ("/healthy", "/ready"):
            assert (await get(gateway, path))[1] == b"OK\n"
        status, found, headers = await get(gateway, "/metrics")
        assert (status, headers["Content-Type"][:10]) == (200, "text/plain")
        assert b'siridb_fast_gateway_points_total{door="influx"} 1.0' in found
        assert b'siridb_fast_gateway_bad_lines_total{door="influx"} 1.0' in found
        assert b'siridb_fast_points_written_total{name="gateway"} 1.0' in found
        status, found, headers = await get(gateway, "/")
        text = found.decode()
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "expected field=value" in text
        assert "bad &lt;b&gt;" in text
        assert "<script" not in text
        assert "siri@" not in text


async def test_the_server_is_gone(own_database: Database) -> None:
    async with running(own_database, drain_timeout=0.2) as gateway:
        own_database.server.kill()
        await eventually(lambda: not gateway.gateway.facts().databases[0].stats.connected)
        status, found, _ = await get(gateway, "/ready")
        assert (status, found) == (503, b"no server is connected\n")
        assert (await get(gateway, "/healthy"))[0] == 200
        assert b"No server is connected." in (await get(gateway, "/"))[1]


async def test_what_is_wrong_comes_first(database: Database) -> None:
    async with running(database) as gateway:
        facts = gateway.gateway.facts()
        assert troubles(facts) == []
        assert "All is well." in page(facts)
        door = DoorFigures("graphite", "x", dropped=7)
        door.last_refusal = Refusal(facts.now - 100, "it is <bad>", "a & b")
        bad = PageFacts("accepted", True, facts.databases, [door], 3, facts.now, facts.clock)
        found = troubles(bad)
        assert found[0].startswith("The gateway is stopping")
        assert found[-1] == "graphite has refused something 100 s ago: it is <bad>"
        text = page(bad)
        assert "it is &lt;bad&gt;" in text
        assert "a &amp; b" in text
        assert text.index("stopping") < text.index("<h2>Doors</h2>")
        assert_well_formed(text)


def assert_well_formed(text: str) -> None:
    opened: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in {"meta", "br", "li", "thead", "tbody", "tr", "td", "th", "p"}:
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag in opened:
                assert opened.pop() == tag

    Tags().feed(text)
    assert opened == []


def test_the_rate_is_that_of_the_last_minute() -> None:
    door = DoorFigures("x", "y")
    assert door.rate(0.0) == 0.0
    for second in range(200):
        door.mark(float(second))
        door.points += 10
    assert door.rate(200.0) == pytest.approx(10.0, rel=0.05)


@pytest.mark.parametrize("missing", ["aiohttp", "paho"])
def test_without_its_extra_there_is_one_clear_line(
    database: Database, tmp_path: Path, missing: str
) -> None:
    path = tmp_path / f"{missing}.py"
    path.write_text(f"raise ImportError('it is not there', name={missing!r})\n")
    config = tmp_path / "gateway.toml"
    door = f'[influx]\nlisten = "{ANY_PORT}"\n'
    if missing == "paho":
        door = '[mqtt]\nurl = "mqtt://127.0.0.1:1"\n[[mqtt.topics]]\nfilter = "#"\n'
    config.write_text(f'url = "{database.url}"\n{door}')
    done = run_process(
        "gateway", "--config", config, code=2, PYTHONPATH=f"{tmp_path}:{Path.cwd()}"
    )
    assert re.fullmatch(r"Error: .*pip install siridb_fast\[gateway\]\n", done.stderr)
