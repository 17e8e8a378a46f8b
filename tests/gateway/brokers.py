"""Real brokers: Debian's mosquitto, on loopback, with whatever a test asks of it."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Broker", "a_broker", "program"]

STARTED = 60.0


def program(name: str) -> str:
    """Return the path of a program of Debian's packages, or skip the test."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        package = "mosquitto" if name.startswith("mosquitto") and "_" not in name else "mosquitto-clients"
        pytest.skip(f"Debian's {package} is not installed")
    return found


class Broker:
    """A mosquitto that may be stopped, and started again with what it has kept.

    Args:
        folder: For its files.
        lines: More of its configuration.
    """

    def __init__(self, folder: Path, *lines: str, listener: str = "") -> None:
        self._program = program("mosquitto")
        self.port = _free_port()
        self._folder = folder
        self._log = folder / f"mosquitto-{self.port}.log"
        self._path = folder / f"mosquitto-{self.port}.conf"
        # The second listener is for the tests themselves, where the first asks for something.
        own = [f"listener {self.port} 127.0.0.1", listener] if listener else []
        self._path.write_text(
            "\n".join([
                *(own or [f"listener {self.port} 127.0.0.1", "allow_anonymous true"]),
                "persistence true",
                f"persistence_location {folder}/",
                f"persistence_file mosquitto-{self.port}.db",
                "autosave_interval 1",
                "sys_interval 1",
                "max_queued_messages 0",
                *(["user root"] if os.getuid() == 0 else []),
                *lines,
                "",
            ])
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

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
        self._publish(["-t", topic, "-s", *(options or ("-q", "1"))], data)

    def publish_lines(self, topic: str, lines: list[str], *options: str) -> None:
        """Publish a message for each line, of QoS 1 if the options say nothing else."""
        given = ["-t", topic, "-l", *(options or ("-q", "1"))]
        self._publish(given, "".join(f"{line}\n" for line in lines).encode())

    def _publish(self, options: list[str], given: bytes) -> None:
        command = [program("mosquitto_pub"), "-p", str(self.port), *options]
        done: Any = subprocess.run(command, input=given, capture_output=True, timeout=STARTED)
        assert done.returncode == 0, done.stderr

    async def subscribed(self, count: int = 1) -> None:
        """Wait until a gateway has asked for its topics, so many times."""
        await self.says("Received SUBSCRIBE", count)

    async def says(self, text: str, count: int = 1) -> None:
        """Wait until its log has a text so many times."""
        async with asyncio.timeout(STARTED):
            while self.count(text) < count:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.01)

    def count(self, text: str) -> int:
        """How many lines of its log have a text."""
        return sum(text in line for line in self.log)


@contextlib.contextmanager
def a_broker(folder: Path, *lines: str, **options: Any) -> Iterator[Broker]:
    """Run a broker."""
    broker = Broker(folder, *lines, **options)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
