"""Lines about packages that would repeat as often as something is tried."""

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from siridb_fast import SpoolError, SpoolOptions
from siridb_fast.delivery.spool_thread import SpoolThread
from siridb_fast.delivery.witnesses import WitnessFinder

LOOKS = 5


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


class AloneServer:
    """A cluster of one server, which is not the one that got the package."""

    loop = SimpleNamespace(time=lambda: 0.0)

    def connection_to_server(self, _: str) -> None:
        return None

    def select(self, **_: object) -> object:
        return self

    async def pools_by_server(self, **_: object) -> dict[str, int]:
        return {"other": 0}


async def test_server_that_has_left_is_told_once_for_all_looks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    there: Any = AloneServer()
    finder, package = WitnessFinder(there, there), SimpleNamespace(server="gone")
    for _ in range(LOOKS):
        witnesses = await finder.find(package)  # type: ignore[arg-type]
        assert witnesses.connections == [there]
    assert lines_of(caplog) == ["gone, which got a package, has left the database; asking all"]


async def test_notes_that_fail_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise SpoolError("no disk")

    thread = SpoolThread(SpoolOptions(tmp_path / "plant.spool"))
    await thread.open("dbtest", "ns", None)
    monkeypatch.setattr(thread.spool, "mark_sent", fail)
    for number in range(LOOKS):
        thread.note_server(number, "uuid")
    with pytest.raises(SpoolError):
        await thread.mark_sent(0)  # done after all of those
    await asyncio.sleep(0)
    assert lines_of(caplog) == ["it was not noted whom a package was sent to: no disk"]
    await thread.close()
