"""The option `late`: what it takes, what it needs, and that it may be left out."""

from pathlib import Path
from typing import Any

import pytest

import siridb_fast
from siridb_fast import BatchWriter, BlockingWriter, ConfigError, SiriDBClient
from tests.fix_server import Database


def test_unknown_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"late is one of None, 'compare', got 'drop'"):
        BatchWriter("siridb://iris:siri@localhost/db", late="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize("on_doubt", ["report", "resend"])
def test_doubt_has_to_be_looked_up(on_doubt: Any) -> None:
    with pytest.raises(ConfigError, match=r"needs on_doubt='verify', got"):
        BatchWriter("siridb://iris:siri@localhost/db", late="compare", on_doubt=on_doubt)


async def test_doubt_of_the_client_has_to_be_looked_up_too(database: Database) -> None:
    client = database.client(on_doubt="resend")
    with pytest.raises(ConfigError, match=r"needs on_doubt='verify', got 'resend'"):
        await BatchWriter(client, late="compare").open()


@pytest.mark.parametrize(
    ("rights", "missing"),
    [("insert, show, list", "select"), ("insert, select, list", "show"), ("insert", "select")],
)
async def test_right_that_is_missing_is_named(
    database: Database, rights: str, missing: str
) -> None:
    async with database.client() as client:
        await client.query("create user 'poor' set password 'secret'")
        await client.query(f"grant {rights} to user 'poor'")
    server = database.server
    poor = SiriDBClient("poor", "secret", database.name, [(server.host, server.port)])
    options: dict[str, Any] = {"late": "compare", "time_precision": siridb_fast.NANOSECOND}
    with pytest.raises(ConfigError, match=rf"needs the right to {missing}"):
        await BatchWriter(poor, **options).open()


async def write_twice(writer: BatchWriter) -> int:
    for _ in range(2):
        writer.write("a", 1, 0.5)
        await writer.flush()
    await writer.close()
    return writer.stats().delivered


@pytest.mark.parametrize(("late", "stored"), [("compare", 1), (None, 2)])
async def test_only_who_asks_for_it_has_points_compared(
    database: Database, late: Any, stored: int
) -> None:
    async with database.client() as client:
        writer = client.writer(late=late)
        await writer.open()
        assert await write_twice(writer) == 2
        assert (writer.stats().late is None) == (late is None)
        answer = await client.query("select count() from *")
    assert answer["a"][0][1] == stored


def test_file_of_options_has_it_too(database: Database, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("siri")
    server = database.server
    path = tmp_path / "writer.toml"
    url = f"siridb://iris@{server.host}:{server.port}/{database.name}"
    path.write_text(f'url = "{url}"\npassword_file = "password"\nlate = "compare"\n')
    for _ in range(2):
        with BlockingWriter.from_config(path) as writer:
            writer.write("a", 1, 0.5)
    with siridb_fast.connect(database.url) as client:
        assert client.query("select count() from *")["a"][0][1] == 1
