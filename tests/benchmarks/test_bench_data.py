"""The data of the measurements: shapes, seeds, and how much of it is missing or late."""

import numpy as np
import pytest

from benchmarks.data import unsorted
from benchmarks.data.orders import ORDERS, order
from benchmarks.data.tsbs import FIRST, METRICS, STEP, CpuOnly
from benchmarks.data.tsbs_iot import FIELDS, STATUS, Iot, arrivals
from benchmarks.entrants.tsbs_entrants import rows_as_lists
from siridb_fast import decode_points, encode_insert, unpackb

TRUCKS, TIMES = 20, 500


@pytest.fixture(scope="module")
def iot() -> Iot:
    return Iot(TRUCKS, TIMES)


def sent(packages: list[memoryview]) -> dict[str, list[list[float]]]:
    """Return the points of packages by series, in the order they are sent."""
    points: dict[str, list[list[float]]] = {}
    for package in packages:
        for name, some in unpackb(bytes(package), "utf-8").items():
            points.setdefault(name, []).extend(some)
    return points


def test_cpu_only_is_the_same_every_time() -> None:
    one, other = CpuOnly(hosts=5, times=10), CpuOnly(hosts=5, times=10)
    assert np.array_equal(one.values, other.values)
    assert one.names("x") == other.names("x")


def test_cpu_only_has_ten_integers_of_each_host_from_0_to_100() -> None:
    cpu = CpuOnly(hosts=30, times=40)
    assert cpu.values.shape == (40, 30 * len(METRICS))
    assert cpu.values.dtype == np.int64
    assert cpu.values.min() >= 0
    assert cpu.values.max() <= 100
    assert np.abs(np.diff(cpu.values, axis=0)).max() <= 7  # a walk, by steps of about one


def test_cpu_only_names_have_all_tags() -> None:
    names = CpuOnly(hosts=3, times=1).names("x")
    assert len(set(names)) == 3 * len(METRICS)
    measurement, tags, field = names[11].split("|")
    assert (measurement, field) == ("cpu", "usage_system")
    pairs = dict(tag.split("=") for tag in tags.split(","))
    assert pairs["hostname"] == "x_host_1"
    assert pairs["datacenter"].startswith(pairs["region"])
    assert len(pairs) == 10


@pytest.mark.parametrize("rows", [4, 8, 10])  # a part of a time, a whole, and one and a part
def test_cpu_only_packages_of_rows_have_the_rows_as_they_come(rows: int) -> None:
    cpu = CpuOnly(hosts=8, times=6)
    points = sent(cpu.by_rows("x", 1, rows, batches=4))
    assert sum(map(len, points.values())) == cpu.points_of(4 * rows)
    names = cpu.names("x")
    for host in range(8):
        count = sum(1 for row in range(4 * rows) if row % 8 == host)
        expected = [
            [FIRST + (6 + time) * STEP, int(cpu.values[time, host * 10])] for time in range(count)
        ]
        assert points[names[host * 10]] == expected


def test_cpu_only_packages_by_series_have_all_points() -> None:
    cpu = CpuOnly(hosts=4, times=7)
    packages = cpu.by_series("x", 0, series=15)
    assert [len(unpackb(bytes(package), "utf-8")) for package in packages] == [15, 15, 10]
    points = sent(packages)
    assert list(points) == cpu.names("x")
    assert [value for _, value in points[cpu.names("x")[25]]] == cpu.values[:, 25].tolist()


def test_arrivals_are_the_same_every_time() -> None:
    one, other = (arrivals(10_000, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, other)


def test_no_entry_arrives_twice_and_a_tenth_never() -> None:
    arrived = arrivals(100_000, np.random.default_rng(3))
    assert len(set(arrived.tolist())) == len(arrived)
    # Entries are missing by 0.1, or with their whole batch by 0.01; late ones meet that twice.
    assert 0.86 <= len(arrived) / 100_000 <= 0.91


def test_a_fifth_of_the_entries_is_late_and_few_are_very_late() -> None:
    arrived = arrivals(100_000, np.random.default_rng(3))
    behind = np.maximum.accumulate(arrived) - arrived
    assert 0.15 <= np.mean(behind > 0) <= 0.25
    assert np.mean(behind > 1000) <= 0.01


def test_a_tenth_of_the_rows_lacks_one_value(iot: Iot) -> None:
    fields = np.where(iot.is_readings, 7, 3)
    missing = np.isnan(iot.values).sum(axis=1) - (7 - fields)
    assert set(missing.tolist()) == {0, 1}
    assert 0.08 <= missing.mean() <= 0.12
    assert iot.points == fields.sum() - missing.sum()


def test_iot_values_stay_within_their_bounds(iot: Iot) -> None:
    codes, _, values = iot.flat(0, 0, iot.rows)
    bounds = [(-90, 90), (-180, 180), (0, 5000), (0, 100), (0, 360), (0, 100), (0, 50)]
    for field, (low, high) in enumerate([*bounds, (0, 1), (0, 5000), (0, 5)]):
        of_field = values[codes % FIELDS == field]
        assert low <= of_field.min() <= of_field.max() <= high, field
        assert len(set(of_field.tolist())) > 1, field
    status = values[codes % FIELDS == STATUS]
    assert np.array_equal(status, status.astype(np.int64))


def test_iot_packages_have_the_same_points_sorted_or_as_they_come(iot: Iot) -> None:
    by_series = sent(iot.by_series("x", 2, series=30))
    as_they_come = sent(iot.by_rows("x", 2, rows=100, batches=-(-iot.rows // 100)))
    assert sum(map(len, by_series.values())) == iot.points
    assert {name: sorted(points) for name, points in as_they_come.items()} == by_series
    assert any(points != sorted(points) for points in as_they_come.values())
    status = by_series[iot.names("x")[STATUS]]
    assert all(type(value) is int for _, value in status)


def test_rows_as_lists_have_none_where_a_value_is_missing(iot: Iot) -> None:
    rows = rows_as_lists(iot)
    assert sum(value is not None for row in rows for value in row) == iot.points
    assert {len(row) for row in rows} == {3, 7}


@pytest.mark.parametrize("kind", ORDERS)
def test_an_order_has_every_place_once(kind: str) -> None:
    indices = order(kind, 1000)
    assert sorted(indices.tolist()) == list(range(1000))
    assert np.array_equal(indices, order(kind, 1000))


def test_orders_are_what_they_are_called() -> None:
    assert order("sorted", 4).tolist() == [0, 1, 2, 3]
    assert order("pairs swapped", 4).tolist() == [1, 0, 3, 2]
    assert order("4 interleaved", 8).tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert order("reversed", 4).tolist() == [3, 2, 1, 0]
    late = order("1 % late", 10_000)
    behind = np.maximum.accumulate(late) - late
    assert 50 <= np.count_nonzero(behind) <= 150
    assert behind.max() >= 90


def test_an_unsorted_package_is_that_of_the_encoder_but_for_the_order() -> None:
    stamps, values = np.arange(1, 6) * 10**18, np.array([0.5, 1.5, np.inf, -2.5, 1e300])
    points = [("a", unsorted.records(stamps, values)), ("b", unsorted.records(stamps, stamps))]
    assert bytes(unsorted.package(points)) == bytes(
        encode_insert({"a": (stamps, values), "b": (stamps, stamps)})
    )
    turned = unsorted.package([("a", unsorted.records(stamps[::-1], values))])
    assert decode_points(bytes(turned))["a"][0].tolist() == stamps[::-1].tolist()
