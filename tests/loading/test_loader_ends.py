"""What a load has opened is closed where it fails, or stops before the end of its source."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytest

from siridb_fast.errors import DeliveryError
from siridb_fast.loading.loader import Loader
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.sources import SeriesPortion
from siridb_fast.loading.survey import Survey
from siridb_fast.loading.verification import Verifier
from siridb_fast.testing import ScriptedPeer, ScriptedServer
from siridb_fast.writer.load_writer import LoadWriter
from tests.loading.test_loading import answer

STOP = RuntimeError("it stops here")


@asynccontextmanager
async def scripted_loader() -> AsyncIterator[Loader]:
    """Yield a loader whose server refuses the points of the series "refused"."""

    async def refuse(peer: ScriptedPeer) -> None:
        await answer(peer, asyncio.Event())

    async with ScriptedServer(refuse) as server:
        yield Loader(f"siridb://user:word@{server.host}:{server.port}/db", LoadOptions())


class Source:
    """Many portions, which are made anew for each reading."""

    def __init__(self) -> None:
        self.is_closed = threading.Event()

    def __iter__(self) -> Iterator[SeriesPortion]:
        try:
            for first in range(0, 100_000, 100):
                rows = np.arange(first, first + 100)
                yield SeriesPortion((("refused", rows, rows),))
        finally:
            self.is_closed.set()


@contextmanager
def abandoned() -> Iterator[list[str]]:
    """Yield the names of the generators that nobody has closed."""
    names: list[str] = []
    before = sys.get_asyncgen_hooks()

    def note(generator: Any) -> None:
        names.append(generator.__qualname__)
        assert before.finalizer is not None
        before.finalizer(generator)

    sys.set_asyncgen_hooks(finalizer=note)
    try:
        yield names
    finally:
        sys.set_asyncgen_hooks(*before)


@pytest.mark.parametrize(
    "failing", [(Survey, "add"), (LoadWriter, "require_fit")], ids=["taken", "checked"]
)
async def test_survey_that_fails_closes_its_source(failing: tuple[type, str]) -> None:
    source = Source()
    async with scripted_loader() as loader:
        with abandoned() as names, mock.patch.object(*failing, side_effect=STOP):
            await fails(loader.survey(source), RuntimeError)
    assert source.is_closed.is_set()
    assert names == []


async def test_verification_that_fails_closes_its_source() -> None:
    source = Source()
    async with scripted_loader() as loader:
        with abandoned() as names, mock.patch.object(Verifier, "_add", side_effect=STOP):
            await fails(Verifier(loader, lambda: source).verify(), RuntimeError)
    assert source.is_closed.is_set()
    assert names == []


async def test_load_that_is_refused_closes_its_source() -> None:
    source = Source()
    async with scripted_loader() as loader:
        with abandoned() as names:
            await fails(loader.load(source), DeliveryError)
    assert source.is_closed.is_set()
    assert names == []


async def test_what_was_opened_is_closed_where_the_rest_of_it_fails() -> None:
    before = set(threading.enumerate())
    async with scripted_loader() as loader:
        with mock.patch.object(LoadWriter, "expirations", side_effect=STOP):
            await fails(loader.open(), RuntimeError)
    assert "closed" in repr(loader.writer)
    threads = set(threading.enumerate()) - before
    for thread in threads:  # an ended one may need a moment more
        if thread.name.startswith("siridb_fast load"):
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()


async def fails(action: Awaitable[object], raised: type[Exception]) -> None:
    with pytest.raises(raised):
        await action
