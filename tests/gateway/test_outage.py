"""The server is gone for long: memory stays bounded, the log short, and all is there afterwards.

`GATEWAY_OUTAGE=600` makes it ten minutes.
"""

import asyncio
import contextlib
import os
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.fix_server import Database
from tests.gateway.gateways import gateway_process

OUTAGE = float(os.environ.get("GATEWAY_OUTAGE", "20"))  # seconds
FIRST = 1_700_000_000_000_000_000
HOSTS, LINES = 20, 50
MAX_BUFFERED = 8 * 1024 * 1024
MEMORY = 64 * 1024 * 1024  # beside what points take: of requests, and of what is freed later
LOG_LINES = 20

pytestmark = pytest.mark.slow


def body(number: int) -> bytes:
    return b"".join(
        b"m,host=h%d v=%di %d\n" % (host, number * LINES + line, FIRST + number * LINES + line)
        for line in range(LINES)
        for host in range(HOSTS)
    )


class Sender:
    """Sends bodies in order, each until it is taken."""

    def __init__(self, place: str) -> None:
        self._url = f"http://{place}/write"
        self.number = self.refused = 0

    def send_until(self, end: float) -> None:
        while time.monotonic() < end:
            try:
                request = urllib.request.Request(self._url, body(self.number))  # noqa: S310
                with urllib.request.urlopen(request, timeout=60):  # noqa: S310 - our own
                    self.number += 1
            except urllib.error.HTTPError as exc:
                if exc.code != 503 or int(exc.headers["Retry-After"]) < 1:
                    raise
                self.refused += 1
                time.sleep(0.2)
            time.sleep(0.02)


def wait_delivered(place: str, points: int) -> None:
    delivered, end = 0.0, time.monotonic() + 600
    while delivered < points and time.monotonic() < end:
        with urllib.request.urlopen(f"http://{place}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        name = "siridb_fast_points_delivered_total{"
        delivered = sum(float(one.split()[1]) for one in lines if one.startswith(name))
        time.sleep(0.2)
    assert delivered == points


def resident(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("has_spool", [False, True], ids=["memory", "spool"])
def test_server_is_gone_for_long(own_database: Database, tmp_path: Path, has_spool: bool) -> None:
    path = tmp_path / "gateway.toml"
    spool = 'spool = "gateway.spool"\n' if has_spool else ""
    path.write_text(
        f'url = "{own_database.url}"\n[influx]\nlisten = "127.0.0.1:0"\n[writer]\n{spool}'
        f"max_buffered = {MAX_BUFFERED}\ndelivery_timeout = {OUTAGE + 600}\n"
    )
    lines: list[str] = []
    with gateway_process("--config", str(path)) as (process, places):
        assert process.stderr is not None
        reading = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
        reading.start()
        sender = Sender(places["influx"])
        sender.send_until(time.monotonic() + 2.0)
        before, most = resident(process.pid), 0
        own_database.server.stop()
        end = time.monotonic() + OUTAGE
        sending = threading.Thread(target=sender.send_until, args=(end,))
        sending.start()
        while sending.is_alive():
            sending.join(0.2)
            most = max(most, resident(process.pid))
        own_database.server.start()
        sender.send_until(time.monotonic() + 2.0)
        wait_delivered(places["influx"], sender.number * LINES * HOSTS)
        process.terminate()
        assert process.wait(600) == 0
        reading.join(60)
        with contextlib.suppress(ValueError):
            process.stderr.close()
    print(
        f"{OUTAGE:g} s: {sender.number:,} bodies, {sender.refused:,} refused, {len(lines)} lines,"
    )
    print(f"{before / 2**20:.0f} MiB before, {most / 2**20:.0f} MiB at most")
    assert most < before + MAX_BUFFERED + MEMORY
    assert len(lines) <= LOG_LINES, "".join(lines)
    assert bool(sender.refused) is not has_spool
    asyncio.run(require_all(own_database, sender.number * LINES))


async def require_all(database: Database, count: int) -> None:
    async with database.client() as client:
        for host in range(HOSTS):
            name = f"m,host=h{host}:v"
            times, values = (await client.query_arrays(f"select * from '{name}'"))[name]  # noqa: S608
            assert len(times) == count
            assert np.array_equal(times, FIRST + np.arange(count))
            assert np.array_equal(values, np.arange(count))
        assert len(await client.query("select count() from *")) == HOSTS
