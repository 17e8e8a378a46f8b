"""The options of a writer, and what it is before it is opened; no server is needed."""

from typing import Any

import pytest

from siridb_fast import BatchWriter, ConfigError, WriterClosedError
from siridb_fast.writer.admission import even_run

URL = "siridb://iris:secret-word@localhost/db"
BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"linger": -1}, "linger is 0 to 3600 seconds, got -1"),
    ({"linger": True}, "linger"),
    ({"linger": "1"}, "linger"),
    ({"linger": float("nan")}, "linger"),
    ({"delivery_timeout": 0}, "delivery_timeout"),
    ({"max_buffered": 1000}, "max_buffered is an integer from 1,048,576"),
    ({"max_buffered": 2.0**30}, "max_buffered"),
    ({"max_buffered": 1 << 20}, "four times package_bytes"),
    ({"package_bytes": 999}, "package_bytes"),
    ({"package_bytes": 41_943_040}, "package_bytes"),
    ({"connections": 0}, "connections"),
    ({"window": 65}, "window"),
    ({"window": 1.0}, "window"),
    ({"buffer_size": 0}, "buffer_size"),
    ({"max_idle_series": 0}, "max_idle_series"),
    ({"on_full": "spill"}, "on_full is one of 'wait', 'raise', 'drop_oldest', 'drop_newest', got"),
    ({"on_doubt": "maybe"}, "on_doubt"),
    ({"on_type": "ignore"}, "on_type"),
    ({"on_missing": "ignore"}, "on_missing"),
    ({"on_missing": ["drop"]}, "on_missing"),
    ({"on_precision_loss": "round"}, "on_precision_loss"),
    ({"time_precision": 9}, "time_precision"),
    ({"on_delivery": 1}, "on_delivery is a function"),
    ({"on_error": "print"}, "on_error is a function"),
    ({"lingre": 1}, "no option 'lingre'"),
]


@pytest.mark.parametrize(("options", "text"), BAD_OPTIONS)
def test_option_that_makes_no_sense_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        BatchWriter(URL, **options)


def test_url_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="starts with"):
        BatchWriter("localhost")


def test_repr_shows_no_password() -> None:
    assert repr(BatchWriter(URL)) == "<BatchWriter to 'db' at localhost:9000: new>"


async def test_writer_that_is_not_open_takes_nothing() -> None:
    writer = BatchWriter(URL)
    for call in (
        lambda: writer.write("a", 1, 1.0),
        lambda: writer.write_tick(1, {"a": 1.0}),
        lambda: writer.series("a").append(1, 1.0),
        lambda: writer.ticker(["a"]).write(1, [1.0]),
        lambda: writer.ticker(["a"]).write_block([1], [[1.0]]),
        writer.stats,
    ):
        with pytest.raises(WriterClosedError, match="not open yet"):
            call()
    for awaited in (writer.flush(), writer.write_arrays("a", [1], [1.0])):
        with pytest.raises(WriterClosedError, match="not open yet"):
            await awaited
    assert (await writer.close()).points == 0
    with pytest.raises(WriterClosedError):
        await writer.open()


@pytest.mark.parametrize(
    ("points", "size", "run"),
    [
        (1, 30, 1),
        (100, 1000, 100),
        (100, 1001, 50),
        (101, 1500, 51),
        (100, 100_000, 1),
        (100_000, 1000, 25_000),
        (100_001, 1000, 20_001),
    ],
)
def test_a_long_column_is_cut_in_even_runs(points: int, size: int, run: int) -> None:
    assert even_run(points, size, package_bytes=1000) == run
