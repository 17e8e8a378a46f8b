"""Debian's InfluxDB 1 as a reference: a server in a folder of its own, and what it has used.

Knows nothing of gateways.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from siridb_fast.testing.ports import Ports

__all__ = ["InfluxProcess", "influxd"]

STARTED = 60.0
QUIET = 0.5  # seconds in which it uses less than a hundredth of a core
CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{backend}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[logging]
  level = "error"
"""


class InfluxProcess:
    """A server, with a database ``tsbs``."""

    def __init__(self, process: subprocess.Popen[bytes], address: tuple[str, int]) -> None:
        self._process = process
        self._address = address

    @property
    def cpu(self) -> float:
        """Seconds of the processor, so far."""
        found = 0
        for task in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # a thread has ended
                found += int(task.read_text().split()[0])
        return found / 1e9

    def wait_until_there(self) -> None:
        """Wait until it answers, and make the database."""
        deadline = time.monotonic() + STARTED
        while time.monotonic() < deadline:
            with suppress(OSError):
                if self._post("/query?q=CREATE+DATABASE+tsbs", b"") == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError("influxd does not answer")

    def send_bodies(self, bodies: list[bytes]) -> None:
        """Send gzip bodies of lines, one after the other."""
        to = http.client.HTTPConnection(*self._address)
        for body in bodies:
            to.request("POST", "/write?db=tsbs", body, {"Content-Encoding": "gzip"})
            answer = to.getresponse()
            answer.read()
            assert answer.status == 204
        to.close()

    def wait_until_quiet(self) -> None:
        """Wait until it works on nothing any more."""
        used, before = 1.0, self.cpu
        while used > QUIET / 100:
            time.sleep(QUIET)
            used, before = self.cpu - before, self.cpu

    def _post(self, path: str, body: bytes) -> int:
        with closing(http.client.HTTPConnection(*self._address)) as to:
            to.request("POST", path, body)
            answer = to.getresponse()
            answer.read()
            return answer.status


@contextmanager
def influxd(folder: Path) -> Iterator[InfluxProcess | None]:
    """Run a server; None where Debian's package ``influxdb`` is not installed."""
    program = shutil.which("influxd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        yield None
        return
    ports = Ports.free()
    folder.mkdir()
    path = folder / "influxdb.conf"
    path.write_text(CONFIG.format(folder=folder, backend=ports.backend, http=ports.http))
    command = [program, "-config", str(path)]
    null = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=null, stderr=null) as process:  # noqa: S603 - Debian's
        try:
            found = InfluxProcess(process, ("127.0.0.1", ports.http))
            found.wait_until_there()
            yield found
        finally:
            process.terminate()
    ports.release()
