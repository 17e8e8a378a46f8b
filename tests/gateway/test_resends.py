"""What is sent again is stored once; what was acknowledged as journaled survives SIGKILL."""

import asyncio
import gzip
import json
import random
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.fix_examples import examples
from tests.fix_server import Database
from tests.gateway.gateways import gateway_process, running, stored
from tests.gateway.http_calls import post

FIRST = 1_700_000_000_000_000_000


def lines(first: int, last: int, hosts: int = 5) -> bytes:
    """Return a line for each number and host, of one integer and one float."""
    return b"".join(
        b"cpu,host=h%d n=%di,f=%d.5 %d\n" % (host, number, number, FIRST + number)
        for number in range(first, last)
        for host in range(hosts)
    )


def expected(last: int, hosts: int = 5) -> dict[str, list[list[Any]]]:
    times = [FIRST + number for number in range(last)]
    found: dict[str, list[list[Any]]] = {}
    for host in range(hosts):
        found[f"cpu,host=h{host}:n"] = [[t, t - FIRST] for t in times]
        found[f"cpu,host=h{host}:f"] = [[t, t - FIRST + 0.5] for t in times]
    return found


async def test_every_body_sent_twice_is_stored_once(database: Database) -> None:
    async with running(database) as gateway:
        for first in range(0, 200, 20):
            body = lines(first, first + 20)
            for one in (body, gzip.compress(body)):
                headers = {"Content_Encoding": "gzip"} if one is not body else {}
                assert (await post(gateway, one, **headers))[0] == 204
    assert await stored(database) == expected(200)


async def test_repeats_at_once_are_stored_once(database: Database) -> None:
    async with running(database) as gateway:
        answers = await asyncio.gather(*[post(gateway, lines(0, 100)) for _ in range(6)])
        assert {status for status, _, _ in answers} == {204}
    assert await stored(database) == expected(100)


@pytest.mark.parametrize("seed", range(examples(2)))
async def test_bodies_cut_otherwise_are_stored_once(database: Database, seed: int) -> None:
    # As an agent does that gives a failed batch back to its buffer, and cuts another one.
    chance = random.Random(seed)
    async with running(database) as gateway:
        sent = 0
        while sent < 300:
            first = max(0, sent - chance.randrange(40))
            last = min(300, first + chance.randrange(1, 60))
            assert (await post(gateway, lines(first, last)))[0] == 204
            sent = max(sent, last)
    assert await stored(database) == expected(300)


async def test_repeats_to_the_next_gateway_are_stored_once(database: Database) -> None:
    for _ in range(3):
        async with running(database) as gateway:
            assert (await post(gateway, lines(0, 100)))[0] == 204
    assert await stored(database) == expected(100)


async def test_keep_stores_what_is_sent_twice_twice(database: Database) -> None:
    async with running(database, late="keep") as gateway:
        for _ in range(2):
            assert (await post(gateway, b"m v=1i %d" % FIRST))[0] == 204
    assert await stored(database) == {"m:v": [[FIRST, 1], [FIRST, 1]]}


async def test_journaled_answers_once_points_are_on_disk(
    database: Database, tmp_path: Path
) -> None:
    journal = str(tmp_path / "gateway.journal")
    async with running(database, tmp_path, journal=journal, linger=60) as gateway:
        assert (await post(gateway, lines(0, 10)))[0] == 204
        stats = gateway.gateway._destinations[0].writer.stats()
        assert stats.journal is not None
        assert stats.journal.persisted == 100
        assert stats.delivered == 0
    assert await stored(database) == expected(10)


def test_killed_gateway_loses_nothing_that_was_acknowledged(
    own_database: Database, tmp_path: Path
) -> None:
    # The client sends again what was not acknowledged, as agents do.
    config = tmp_path / "gateway.toml"
    config.write_text(
        f"url = {json.dumps(own_database.url)}\n"
        'journal = "gateway.journal"\nlinger = 0.5\n[influx]\nlisten = "127.0.0.1:0"\n'
    )
    chance, acknowledged = random.Random(3), 0
    for _ in range(examples(4)):
        with gateway_process("--config", str(config)) as (process, places):
            for _ in range(chance.randrange(3, 12)):
                request = urllib.request.Request(
                    f"http://{places['influx']}/write",
                    lines(max(0, acknowledged - 10), acknowledged + 40),
                )
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
                    assert answer.status == 204
                acknowledged += 40
            process.kill()
            process.wait(60)
    with gateway_process("--config", str(config)):
        pass
    found = asyncio.run(stored(own_database))
    assert found == expected(acknowledged)
