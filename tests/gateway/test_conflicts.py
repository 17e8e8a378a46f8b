"""`on_conflict = "refuse"`: the first value of each time stays, and the others are named."""

import json
from pathlib import Path

import pytest

from siridb_fast import ConfigError
from siridb_fast.gateway.config_file import config_from
from tests.fix_server import Database
from tests.gateway.gateways import running, stored
from tests.gateway.http_calls import get, post

AT = 1_700_000_000_000_000_000


def test_it_needs_to_compare() -> None:
    keys = {"url": "siridb://a:b@c/d", "influx": {"listen": "1"}, "on_conflict": "refuse"}
    assert config_from(keys, Path("/")).writer["on_conflict"] == "refuse"
    with pytest.raises(ConfigError, match=r'on_conflict: "refuse" needs late = "compare"'):
        config_from({**keys, "late": "keep"}, Path("/"))
    with pytest.raises(ConfigError, match=r"on_conflict: expected one of keep, refuse, got"):
        config_from({**keys, "on_conflict": "overwrite"}, Path("/"))


async def test_refused_points_are_counted_and_dead_letters(
    database: Database, tmp_path: Path
) -> None:
    async with running(
        database, tmp_path, on_conflict="refuse", dead_letters=str(tmp_path / "letters.ndjson")
    ) as gateway:
        for body in (b"m a=1,b=5 %d", b"m a=2,b=5 %d", b"m a=1,b=5 %d"):
            assert (await post(gateway, body % AT))[0] == 204
        await gateway.gateway._destinations[0].writer.flush()
        _, found, _ = await get(gateway, "/metrics")
        assert b'siridb_fast_late_points_total{finding="refused",name="gateway"} 1.0' in found
        assert (
            b"1 of them: another value is stored at the same time." in (await get(gateway, "/"))[1]
        )
        assert (await gateway.end()).is_complete
    assert await stored(database) == {"m:a": [[AT, 1.0]], "m:b": [[AT, 5.0]]}
    (line,) = (tmp_path / "letters.ndjson").read_text().splitlines()
    assert json.loads(line)["reason"].startswith(f"series 'm:a': at {AT} it has 1.0, so 2.0 is")


async def test_answer_that_waits_for_the_database_names_them(database: Database) -> None:
    async with running(database, on_conflict="refuse", acknowledge="delivered") as gateway:
        assert (await post(gateway, b"m a=1,b=5 %d" % AT))[0] == 204
        status, answer, _ = await post(gateway, b"m a=2,b=5 %d" % AT)
        assert status == 400
        assert f"series 'm:a': at {AT} it has 1.0, so 2.0 is refused" in answer["error"]
        assert "partial write" in answer["message"]
