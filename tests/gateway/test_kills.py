"""SIGKILL at 100,000 points a second: what was acknowledged as journaled is stored, and once."""

import asyncio
import http.client
import json
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from siridb_fast.testing.ports import Ports
from tests.fix_examples import examples
from tests.fix_server import Database
from tests.gateway.gateways import gateway_process

RATE = 100_000  # points a second, of all clients
CLIENTS, FIELDS = 4, 10
FIRST = 1_700_000_000_000_000_000
LONGEST = 150  # lines of a body

pytestmark = pytest.mark.slow


class Client:
    """Sends lines, and sends again what was not acknowledged, cut otherwise."""

    def __init__(self, number: int, port: int) -> None:
        self._port = port
        self._random = random.Random(number)
        self._lines = ",".join(f"f{field}=%(n)di" for field in range(FIELDS))
        self._head = f"m,client={number} "
        self._end = threading.Event()
        self._to: http.client.HTTPConnection | None = None
        self.acknowledged = self.failed = 0  # lines, bodies
        self.thread = threading.Thread(target=self._run)

    def stop(self) -> None:
        self._end.set()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._end.is_set():
            due = int((time.monotonic() - began) * RATE / CLIENTS / FIELDS)
            size = min(due - self.acknowledged, self._random.randrange(1, LONGEST))
            if size <= 0:
                self._end.wait(0.005)
            elif self._send(size):
                self.acknowledged += size
            else:
                self.failed += 1
                self._end.wait(0.02)
        if self._to is not None:
            self._to.close()

    def _send(self, size: int) -> bool:
        body = "".join(
            f"{self._head}{self._lines % {'n': n}} {FIRST + n}\n"
            for n in range(self.acknowledged, self.acknowledged + size)
        ).encode()
        try:
            if self._to is None:
                self._to = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            self._to.request("POST", "/write", body)
            with self._to.getresponse() as answer:
                answer.read()
                return answer.status == 204
        except (OSError, http.client.HTTPException):
            if self._to is not None:
                self._to.close()
            self._to = None
            return False


def test_killed_gateway_loses_nothing_and_doubles_nothing(
    own_database: Database, tmp_path: Path
) -> None:
    ports, kills = Ports.free(), examples(4)
    config = tmp_path / "gateway.toml"
    config.write_text(
        f"url = {json.dumps(own_database.url)}\njournal = 'gateway.journal'\nlinger = 0.5\n"
        f"[influx]\nlisten = '127.0.0.1:{ports.http}'\n"
    )
    chance = random.Random(5)
    clients = [Client(number, ports.http) for number in range(CLIENTS)]
    began = time.monotonic()
    for kill in range(kills + 1):
        with gateway_process("--config", str(config)) as (process, _):
            for client in clients if kill == 0 else ():
                client.thread.start()
            time.sleep(chance.uniform(0.5, 2.5))  # of life, at no moment that matters
            if kill < kills:
                process.kill()
                process.wait(60)
                continue
            for client in clients:
                client.stop()
                client.thread.join(120)
            seconds = time.monotonic() - began
    ports.release()
    lines = sum(client.acknowledged for client in clients)
    failed = sum(client.failed for client in clients)
    print(
        f"{kills} kills, {lines * FIELDS:,} points acknowledged in {seconds:.1f} s, "
        f"{failed:,} bodies failed"
    )
    assert failed >= kills
    asyncio.run(require_once(own_database, clients))


async def require_once(database: Database, clients: list[Client]) -> None:
    async with database.client() as client:
        for number, one in enumerate(clients):
            for field in range(FIELDS):
                name = f"m,client={number}:f{field}"
                answer = await client.query_arrays(f"select * from '{name}'")  # noqa: S608
                times, values = answer[name]
                # What was taken, but not answered, may be there beyond what was acknowledged.
                assert len(times) >= one.acknowledged
                assert np.array_equal(times, FIRST + np.arange(len(times)))
                assert np.array_equal(values, np.arange(len(times)))
