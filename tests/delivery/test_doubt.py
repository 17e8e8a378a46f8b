"""DoubtResolver: what of a package is stored is found out, and only the rest is sent again."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import siridb_fast.connection.cluster
import siridb_fast.delivery.dispatcher
import siridb_fast.delivery.doubt
from siridb_fast import BatchWriter, ConnectionLost, decode_points, packb
from siridb_fast.batching._batch import Batch
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.config import parse_url
from siridb_fast.delivery.accounts import Accounts
from siridb_fast.delivery.batch_parts import Resolution, batch_of, split_batch
from siridb_fast.delivery.doubt import DoubtResolver, LookupTurns
from siridb_fast.delivery.missing_points import missing_of, missing_points
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.states import PackageEvent, PackageState, Policy
from siridb_fast.query.server_queries import ServerQueries
from tests.fix_loop import eventually
from tests.fix_server import Database

IN_TIME = 3.0  # seconds in which a busy machine delivers a point
FIRST = 1_600_000_000_000_000_000
NAN = float("nan")
Points = dict[str, list[list[Any]]]


def points_of(batch: Batch | None) -> Points:
    if batch is None:
        return {}
    arrays = decode_points(batch.buffer)
    return {
        name: [list(pair) for pair in zip(times.tolist(), values.tolist(), strict=True)]
        for name, (times, values) in arrays.items()
    }


async def look_up(
    database: Database, batches: list[Batch], on_event: Callable[[Package, PackageEvent], Any]
) -> tuple[list[Any], float]:
    """Look up each batch; return what `on_event` says of each, and when all were in doubt."""
    cluster = Cluster(parse_url(database.url))
    await cluster.open()
    connection = cluster.select()
    assert connection is not None
    packages = Packages(
        Policy("verify", has_spool=False), Accounts(float, None, None, print), lambda *_: None
    )
    found: dict[Package, asyncio.Future[Any]] = {}

    def on_looked_up(package: Package, event: PackageEvent) -> None:
        found[package].set_result(on_event(package, event))
        packages.move(package, event)

    resolver = DoubtResolver(
        cluster,
        packages,
        ServerQueries(cluster),
        lambda _: (),
        on_looked_up,
        notify=lambda: None,
    )
    for batch in batches:
        package = packages.add(batch, PackageState.READY, cluster.loop.time() + 20)
        package.connection = connection
        packages.move(package, PackageEvent.SENT)
        packages.move(package, PackageEvent.NO_ANSWER, ConnectionLost("lost", in_doubt=True))
        found[package] = cluster.loop.create_future()
    resolver.check()
    began = cluster.loop.time()
    results = await asyncio.gather(*found.values())
    cluster.close()
    await cluster.wait_closed()
    return results, began


def resolution_of(package: Package, event: PackageEvent) -> Resolution:
    """Return what a look-up has found out, as batches."""
    if event is PackageEvent.PARTLY_FOUND:
        assert package.parts is not None
        return Resolution(package.parts[0].batch, package.parts[1].batch)
    assert event in (PackageEvent.FOUND, PackageEvent.MISSING)
    is_found = event is PackageEvent.FOUND
    return Resolution(package.batch if is_found else None, None if is_found else package.batch)


async def resolve(database: Database, batch: Batch) -> Resolution:
    """Look up what a database has of a batch."""
    (resolution,), _ = await look_up(database, [batch], resolution_of)
    assert isinstance(resolution, Resolution)
    return resolution


OURS: Points = {
    "f": [[1, -0.0], [2, 0.5], [2, 0.5], [3, 1e300]],
    "i": [[1, 5], [5, 2**63 - 1]],
    "s": [[1, "a'b"], [2, "ü"], [2, ""]],
}
MIX: Points = {"f": OURS["f"][1:2], "i": OURS["i"][1:], "s": OURS["s"][1:2]}
REST: Points = {"f": [[1, 0.0], *OURS["f"][2:]], "i": OURS["i"][:1], "s": OURS["s"][::2]}
OTHERS: Points = {"f": [[1, 7.0], [2, 0.25]], "i": [[1, 6]], "s": [[1, "b"], [7, "a'b"]]}


@pytest.mark.parametrize(
    ("stored", "missing"),
    [
        pytest.param({}, OURS, id="nothing"),
        pytest.param(OURS, {}, id="all"),
        pytest.param(OTHERS, OURS, id="others"),
        pytest.param(MIX, REST, id="a part"),
        pytest.param({"f": OURS["f"]}, {"i": OURS["i"], "s": OURS["s"]}, id="a series"),
        pytest.param({"f": [[9, 1.0], *OURS["f"]]}, {k: OURS[k] for k in "is"}, id="more"),
    ],
)
async def test_database_tells_what_of_a_package_is_stored(
    database: Database, stored: Points, missing: Points
) -> None:
    batch = batch_of(packb(OURS))
    async with database.client() as client:
        if stored:
            await client.insert(stored)
    resolution = await resolve(database, batch)
    assert points_of(resolution.missing) == missing
    found, lost = points_of(resolution.stored), points_of(resolution.missing)
    assert {name: sorted(found.get(name, []) + lost.get(name, [])) for name in OURS} == {
        name: sorted(points) for name, points in OURS.items()
    }


async def test_packages_in_doubt_are_patient_with_a_busy_server_all_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One after the other, the last of many would be given up before they were looked up.
    ends: dict[Package, float] = {}
    try_once = DoubtResolver._try

    async def noting(self: DoubtResolver, lookup: Any) -> Any:
        ends[lookup.package] = lookup.busy_until
        return await try_once(self, lookup)

    monkeypatch.setattr(DoubtResolver, "_try", noting)
    batches = [batch_of(packb({f"patience {n}": [[1, 0.5]]})) for n in range(8)]
    resolution, began = await look_up(database, batches, resolution_of)
    assert [points_of(one.missing) for one in resolution] == [
        points_of(batch) for batch in batches
    ]
    assert len(ends) == len(batches)
    assert max(ends.values()) <= began + siridb_fast.delivery.doubt.BUSY_TIMEOUT


async def test_busy_server_is_looked_at_twice_once_patience_is_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    async def active_tasks(_self: ServerQueries, **_: object) -> int:
        asked.append(None)
        return 99

    monkeypatch.setattr(ServerQueries, "active_tasks", active_tasks)
    monkeypatch.setattr(siridb_fast.delivery.doubt, "BUSY_TIMEOUT", 0.0)
    batch = batch_of(packb({"busy": [[1, 0.5]]}))
    assert points_of((await resolve(database, batch)).missing) == points_of(batch)
    assert not asked


async def test_integers_in_a_series_of_floats_are_found_as_floats(database: Database) -> None:
    async with database.client() as client:
        await client.insert({"a": [[1, 0.5], [2, 7.0]]})
    resolution = await resolve(database, batch_of(packb({"a": [[2, 7], [3, 8]]})))
    assert points_of(resolution.missing) == {"a": [[3, 8]]}


async def test_no_point_in_a_range_says_nothing_of_the_type() -> None:
    # It was taken for one of integers, which this value is none of: nobody could tell ever after.
    none = np.array([], np.int64)
    ours = {"a": (np.array([5], np.int64), np.array([1e300]))}
    missing = missing_of(ours, {"a": (none, none)})
    assert missing["a"].tolist() == [True]


async def test_texts_are_asked_for_without_a_range() -> None:
    asked = []

    async def ask(query: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        asked.append(query)
        value = np.array([1]) if "count" in query else np.array(["x"], object)
        return {"t": (np.array([5], np.int64), value)}

    ours = {"t": (np.array([5], np.int64), np.array(["x"], object))}
    assert not (await missing_points(ours, ask))["t"].any()
    assert [query.strip() for query in asked] == [
        'select count() from "t"',
        'select * from "t"',
    ]


async def test_nan_is_found(database: Database) -> None:
    async with database.client() as client:
        await client.insert({"a": (np.array([1, 2]), np.array([NAN, 1.0]))})
    resolution = await resolve(database, batch_of(packb({"a": [[1, NAN], [2, 1.0]]})))
    assert resolution.missing is None


@given(data=st.data())
def test_every_point_and_every_share_is_in_one_part(data: Any) -> None:
    counts = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    batch = batch_of(
        packb({f"s{i}": [[k, k + 0.5] for k in range(n)] for i, n in enumerate(counts)})
    )
    shares: dict[tuple[str, int], int] = {}
    for index, count in enumerate(counts):
        left = count
        for waiter in ("x", "y"):
            points = data.draw(st.integers(0, left))
            left -= points
            if points:
                batch.credit(waiter, index, points)
                shares[waiter, index] = points
    masks = {
        f"s{i}": np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
        for i, n in enumerate(counts)
    }
    batch.seal()
    resolution = split_batch(batch, decode_points(batch.buffer), masks)
    halves = [half for half in (resolution.stored, resolution.missing) if half is not None]
    for name, mask in masks.items():
        lost = points_of(resolution.missing).get(name, [])
        assert [point[0] for point in lost] == np.flatnonzero(mask).tolist()
    assert sum(half.points for half in halves) == batch.points
    found: dict[tuple[str, int], int] = {}
    for half in halves:
        sizes = dict(half.series())
        for delivery, index, points in half.credits:
            name = half.names[index]
            sizes[name] -= points
            key = delivery, int(name[1:])
            found[key] = found.get(key, 0) + points
        assert min(sizes.values()) >= 0
    assert found == shares


async def test_missing_part_alone_is_sent_again(own_database: Database, fast_retry: None) -> None:
    server = own_database.server
    async with BatchWriter(own_database.url, linger=0.01) as writer:
        writer.write("a", FIRST, 0.5)
        await writer.flush()
        server.pause()
        delivery = await writer.write_arrays("a", np.arange(1000), np.arange(1000.0))
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        server.kill()
        await asyncio.to_thread(server.start)
        async with own_database.client() as client:
            await client.insert({"a": (np.arange(0, 1000, 2), np.arange(0, 1000.0, 2))})
        report = await delivery
    assert (report.points, report.is_complete) == (1000, True)
    async with own_database.client() as client:
        times, values = (await client.query_arrays("select * from 'a'"))["a"]
    assert times[times < FIRST].tolist() == list(range(1000))
    assert values[times < FIRST].tolist() == list(range(1000))


async def test_package_that_hung_until_its_time_was_over_is_sent_again_if_it_is_not_stored(
    own_database: Database, fast_retry: None
) -> None:
    server = own_database.server
    async with BatchWriter(own_database.url, linger=0.01, delivery_timeout=IN_TIME) as writer:
        writer.write("a", FIRST, 0.5)
        await writer.flush()
        server.pause()
        writer.write("a", FIRST + 1, 1.5)
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        await eventually(lambda: writer.stats().packages_in_flight == 0)  # now it is looked up
        server.kill()
        await asyncio.to_thread(server.start)
        report = await writer.flush(30)
    assert (report.points, writer.stats().retries) == (1, 1)


@pytest.mark.parametrize("right", ["select", "show"])
async def test_without_the_right_to_select_or_show_the_fallback_is_taken(
    right: str, own_database: Database, fast_retry: None, caplog: pytest.LogCaptureFixture
) -> None:
    rights = ", ".join({"show", "select", "list", "insert"} - {right})
    async with own_database.client() as client:
        await client.query("create user 'writer' set password 'siri'")
        await client.query(f"grant {rights} to user 'writer'")
    url = own_database.server.url(own_database.name, username="writer")
    async with BatchWriter(url, linger=0.01) as writer:
        assert caplog.text.count(f"may not {right}") == 1  # of two connections
        writer.write("a", FIRST, 0.5)
        await writer.flush()
        own_database.server.pause()
        writer.write("a", FIRST, 1.5)
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        own_database.server.kill()
        report = await writer.flush()
        assert report.in_doubt_points == 1
        assert isinstance(report.in_doubt[0].error, ConnectionLost)
        await asyncio.to_thread(own_database.server.start)


async def test_doubt_that_nobody_settles_is_reported_in_the_end(
    monkeypatch: pytest.MonkeyPatch, own_database: Database
) -> None:
    monkeypatch.setattr(siridb_fast.delivery.doubt, "LOOKUP_TIMEOUT", 0.3)
    writer = BatchWriter(own_database.url, linger=0.01, delivery_timeout=IN_TIME)
    await writer.open()
    writer.write("a", FIRST, 0.5)
    await writer.flush()
    own_database.server.pause()
    writer.write("a", FIRST, 1.5)
    await eventually(lambda: writer.stats().packages_in_flight == 1)
    own_database.server.kill()
    report = await writer.flush(timeout=60)
    assert report.in_doubt_points == 1
    assert (await writer.close()).is_complete


async def test_query_that_hangs_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    asked = 0

    async def select(self: ServerQueries, *args: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.Event().wait()
        return await real_select(self, *args, **options)

    real_select = ServerQueries.select
    monkeypatch.setattr(ServerQueries, "select", select)
    monkeypatch.setattr(siridb_fast.delivery.doubt, "FIRST_LOOK", 0.5)
    batch = batch_of(packb({"hangs": [[1, 0.5]]}))
    assert points_of((await resolve(database, batch)).missing) == points_of(batch)


async def test_lookup_has_its_time_again_after_each_answer(
    monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    extended = 0

    def extend(turns: LookupTurns) -> float:
        nonlocal extended
        extended += 1
        return real_extend(turns)

    real_extend = LookupTurns.extend
    monkeypatch.setattr(LookupTurns, "extend", extend)
    batch = batch_of(packb({"slow": [[1, 0.5]]}))
    assert points_of((await resolve(database, batch)).missing) == points_of(batch)
    assert extended == 2  # two answers have to agree


@pytest.mark.parametrize("restarts", [0, 1])
async def test_lookup_has_its_time_again_after_each_restart(
    restarts: int, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    answers = iter([None, None, None, PackageEvent.FOUND])
    tries = 0

    async def compare(_self: DoubtResolver, lookup: Any) -> PackageEvent | None:
        nonlocal tries
        lookup.note({min(tries, restarts)})  # any object is a process
        tries += 1
        return next(answers)

    def extend(turns: LookupTurns) -> float:
        assert real_extend(turns) >= asyncio.get_running_loop().time() + 29
        return 0.0  # so that the look-up ends at once, by this and nothing else

    real_extend = LookupTurns.extend
    monkeypatch.setattr(DoubtResolver, "_compare", compare)
    monkeypatch.setattr(LookupTurns, "extend", extend)
    batch = batch_of(packb({"a": [[1, 0.5]]}))
    found, _ = await look_up(database, [batch], lambda _, event: event)
    assert found == [PackageEvent.LATE if restarts else PackageEvent.FOUND]
