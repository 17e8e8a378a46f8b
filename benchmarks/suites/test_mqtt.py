"""What does a gateway take from a broker, QoS 1, acknowledged once a point is on disk?

mosquitto with its default of 20 messages in flight; mosquitto_pub sends a lap, which ends when the
gateway has taken the last of it into its journal. Beside it: a bare subscriber of the same
library, which acknowledges at once and does nothing; and what the publisher takes where nobody
listens.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness.contest import WARM_UPS, Contest
from siridb_fast.testing import SiriDBServer

MESSAGES = 8_000
ROUNDS = 3
TAKEN = 'siridb_fast_gateway_points_total{door="mqtt"}'
PROGRAMS = ("mosquitto", "mosquitto_pub")


def test_messages_of_qos_1_into_the_journal(contest: Contest, tmp_path: Path) -> None:
    if not all(map(_program, PROGRAMS)):
        pytest.skip("Debian's mosquitto and mosquitto-clients are not installed")
    used: list[float] = []
    with SiriDBServer(buffer_sync_interval=500) as server, _broker(tmp_path) as port:
        server.create_database("mqtt")
        with _gateway(server.url("mqtt"), port, tmp_path) as gateway, _bare(port) as received:

            def through_gateway() -> None:
                before = gateway.cpu
                _publish(port, "gateway/{n}/t")
                gateway.wait_taken(MESSAGES)
                used.append((gateway.cpu - before) * 1e6 / MESSAGES)

            def to_bare() -> None:
                target = received() + MESSAGES
                _publish(port, "bare/{n}/t")
                while received() < target:
                    time.sleep(0.005)

            contest.run(
                ROUNDS,
                {
                    "gateway": through_gateway,
                    "bare": to_bare,
                    "publisher": lambda: _publish(port, "nobody/{n}/t"),
                },
                seconds=60.0,
            )
    facts = {"gateway CPU µs/message": median(used[WARM_UPS:])}
    contest.row(
        "MQTT, QoS 1 → journal / a bare subscriber that acknowledges at once",
        "us/message",
        MESSAGES,
        ours="gateway",
        reference="bare",
        facts=facts,
    )
    contest.row(
        "… where nobody listens / a bare subscriber",
        "us/message",
        MESSAGES,
        ours="publisher",
        reference="bare",
    )


class _GatewayProcess:
    """A gateway, and what it has taken and used."""

    def __init__(self, process: subprocess.Popen[str], status: str) -> None:
        self.process = process
        self._status = status
        self._expected = 0

    @property
    def cpu(self) -> float:
        """Seconds of the processor, so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def wait_taken(self, points: int) -> None:
        """Wait until so many more are taken."""
        self._expected += points
        while self._taken() < self._expected:
            time.sleep(0.01)

    def _taken(self) -> float:
        with urlopen(f"http://{self._status}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(TAKEN))


@contextmanager
def _gateway(url: str, port: int, folder: Path) -> Iterator[_GatewayProcess]:
    path = folder / "gateway.toml"
    path.write_text(
        f'url = "{url}"\njournal = "gateway.journal"\nlinger = 0.3\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\n'
        '[[mqtt.topics]]\nfilter = "gateway/{measurement}/{field}"\n'
        '[status]\nlisten = "127.0.0.1:0"\n'
    )
    command = [sys.executable, "-m", "siridb_fast", "gateway", "--config", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stderr is not None
        places: dict[str, str] = {}
        while len(places) < 2:
            name, _, place = process.stderr.readline().strip().partition(" at ")
            places[name] = place
        status = next(place for name, place in places.items() if name != "mqtt")
        try:
            _wait_ready(status)
            yield _GatewayProcess(process, status)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def _wait_ready(status: str) -> None:
    while True:
        with suppress(OSError), urlopen(f"http://{status}/ready") as answer:
            if answer.status == 200:
                return
        time.sleep(0.02)


@contextmanager
def _broker(folder: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    path = folder / "mosquitto.conf"
    user = "user root\n" if os.getuid() == 0 else ""
    # Its default of 1,000 queued messages would drop what a faster publisher sends.
    path.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n{user}"
    )
    command = [_program("mosquitto"), "-c", str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            while process.poll() is None:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.01)
            yield port
        finally:
            process.terminate()


@contextmanager
def _bare(port: int) -> Iterator[Callable[[], int]]:
    count = 0
    client = Client(CallbackAPIVersion.VERSION2, client_id="bare", clean_session=False)

    def on_message(*_: object) -> None:
        nonlocal count
        count += 1

    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.subscribe("bare/#", 1)
    client.loop_start()
    try:
        yield lambda: count
    finally:
        client.disconnect()
        client.loop_stop()


def _publish(port: int, topic: str) -> None:
    # One process for each of a few sensors, one after the other: as fast as it can.
    share = MESSAGES // 4
    for number in range(4):
        lines = "".join(f"{n / 8}\n" for n in range(share)).encode()
        command = [_program("mosquitto_pub"), "-p", str(port), "-q", "1", "-l"]
        command += ["-t", topic.format(n=number)]
        subprocess.run(command, input=lines, check=True)  # noqa: S603


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or ""
