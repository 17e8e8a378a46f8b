"""What `dir` and `help` show of the package and of its clients."""

import inspect
import pydoc

import pytest

import siridb_fast
from siridb_fast import BlockingWriter, connect
from tests.fix_server import Database

PLAIN_CALLS = ("write", "write_tick", "series", "ticker")


def public(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith("_")]


def test_package_shows_its_public_names_and_no_folders() -> None:
    assert public(dir(siridb_fast)) == sorted({*siridb_fast.__all__, "errors", "testing"})
    assert {"__version__", "__doc__", "__all__"} < set(dir(siridb_fast))


@pytest.mark.parametrize("name", PLAIN_CALLS)
def test_help_of_a_blocking_writer_shows_its_plain_calls(name: str) -> None:
    method = getattr(BlockingWriter, name)
    assert f"{name}{inspect.signature(method)}" in pydoc.plain(pydoc.render_doc(BlockingWriter))
    assert method.__doc__


def test_plain_calls_of_a_blocking_writer_are_the_compiled_ones(database: Database) -> None:
    with connect(database.url) as siri, siri.writer() as writer:
        for name in PLAIN_CALLS:
            assert getattr(writer, name) == getattr(writer._writer, name)
        handle = BlockingWriter.series(writer, "a")  # the documented ones do the same
        BlockingWriter.write(writer, "a", 1, 0.5)
        BlockingWriter.write_tick(writer, 2, {"a": 1.5})
        assert BlockingWriter.ticker(writer, ["a"]) is not None
        assert handle.name == "a"
        assert writer.flush().points == 2
