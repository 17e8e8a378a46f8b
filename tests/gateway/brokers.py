"""Real brokers: Debian's mosquitto, on loopback, with whatever a test asks of it."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Broker", "a_broker", "program"]

STARTED = 60.0


def program(name: str) -> str:
    """Return the path of a program of Debian's packages, or skip the test."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        package = "mosquitto-clients" if name == "mosquitto_pub" else "mosquitto"
        pytest.skip(f"Debian's {package} is not installed")
    return found


class Broker:
    """A mosquitto that may be stopped, and started again with what it has kept.

    Args:
        folder: For its files.
        lines: More of its configuration.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        self._program = program("mosquitto")
        self.port = free_port()
        self._folder = folder
        self._lines: list[str] = []
        self._log = folder / f"mosquitto-{self.port}.log"
        self._path = folder / f"mosquitto-{self.port}.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(*lines)

    def configure(self, *lines: str) -> None:
        """Have the next start obey more lines."""
        self._lines = [*lines]
        own = [
            "persistence true",
            f"persistence_location {self._folder}/",
            f"persistence_file mosquitto-{self.port}.db",
            "autosave_interval 1",
            "sys_interval 1",
            "max_queued_messages 0",
            "user root" if os.getuid() == 0 else "",
            f"listener {self.port} 127.0.0.1",
            "" if any("allow_anonymous" in line for line in lines) else "allow_anonymous true",
        ]
        self._path.write_text("".join(f"{line}\n" for line in (*own, *lines)))

    def add_listener(self, *lines: str) -> int:
        """Have the next start listen at one more port, which is returned."""
        port = free_port()
        self.configure(*self._lines, f"listener {port} 127.0.0.1", *lines)
        return port

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def log(self) -> list[str]:
        """What it has said, with every packet."""
        return self._log.read_text(errors="replace").splitlines()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._path), "-v"], stderr=log, stdout=log
            )
        until = time.monotonic() + STARTED
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert self._process.poll() is None, self.log
            time.sleep(0.01)
        raise AssertionError(self.log)

    def stop(self, *, kills: bool = False) -> None:
        if self._process is None:
            return
        if kills:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(STARTED)
        self._process = None

    def publish(self, topic: str, payload: str | bytes, *options: str) -> None:
        """Publish a message by mosquitto_pub, of QoS 1 if the options say nothing else."""
        data = payload.encode() if isinstance(payload, str) else payload
        self._publish(["-t", topic, "-s" if data else "-n", *(options or ("-q", "1"))], data)

    def publish_lines(self, topic: str, lines: list[str], *options: str) -> None:
        """Publish a message for each line, of QoS 1 if the options say nothing else."""
        given = ["-t", topic, "-l", *(options or ("-q", "1"))]
        self._publish(given, "".join(f"{line}\n" for line in lines).encode())

    def _publish(self, options: list[str], given: bytes) -> None:
        command = [program("mosquitto_pub"), "-p", str(self.port), *options]
        done: Any = subprocess.run(command, input=given, capture_output=True, timeout=STARTED)
        assert done.returncode == 0, done.stderr

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until so many lines of its log have a text."""
        until = time.monotonic() + STARTED
        while self.count(text) < count:
            assert time.monotonic() < until, (text, count, self.log[-20:])
            time.sleep(0.05)

    def wait_for_all_acknowledged(self, client: str, topic: str) -> None:
        """Wait until a client has acknowledged all, to the last message, which has a topic."""
        self.wait_for(f"'{topic}'", 2)  # it has come, and was sent on
        until = time.monotonic() + STARTED
        while self._open_messages(client):
            assert time.monotonic() < until, self.log[-20:]
            time.sleep(0.05)

    def _open_messages(self, client: str) -> set[str]:
        # The numbers of messages that were sent to a client, and not acknowledged since.
        found: set[str] = set()
        for line in self.log:
            if f"Sending PUBLISH to {client} " in line:
                found.add(line.partition(", m")[2].partition(",")[0])
            elif f"Received PUBACK from {client} " in line:
                found.discard(line.partition("Mid: ")[2].partition(",")[0])
        return found

    def count(self, text: str) -> int:
        """How many lines of its log have a text."""
        return sum(text in line for line in self.log)


@contextlib.contextmanager
def a_broker(folder: Path, *lines: str) -> Iterator[Broker]:
    """Run a broker with more lines of configuration."""
    broker = Broker(folder, *lines)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
