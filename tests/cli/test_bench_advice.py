"""What a bench plans and advises, from made-up figures."""

from dataclasses import replace

import pytest

from siridb_fast.cli.bench.advice import Advice, advise
from siridb_fast.cli.bench.cells import (
    Kind,
    Measured,
    Survey,
    Transport,
    is_clearly_faster,
)
from siridb_fast.cli.bench.figures import points_per_second, seconds_text, waits
from siridb_fast.cli.bench.plan import plan
from siridb_fast.cli.bench.sending import BEGINNING, Supply
from tests.cli.made_up_surveys import CONNECTIONS, RUNS, cell, latency, measured, survey

NOISY = (0.1, 0.2, 1.0, 10.0, 20.0)
FLAT = dict.fromkeys(RUNS, 3e6)


def advice(topic: str, *surveys: Survey) -> Advice:
    (found,) = (each for each in advise(surveys) if each.topic == topic)
    return found


def topics(*surveys: Survey) -> set[str]:
    return {each.topic for each in advise(surveys)}


# ---- what is tried


@pytest.mark.parametrize(
    ("buffer_points", "runs"),
    [
        (32, [1, 10, 16, 33, 1_000, 10_000, 50_000]),
        (64, [1, 10, 32, 65, 1_000, 10_000, 50_000]),
        (512, [1, 10, 256, 513, 1_000, 10_000, 50_000]),
        (65_536, [1, 10, 1_000, 10_000, 32_768, 50_000, 65_537]),
    ],
)
def test_plan_has_runs_around_the_buffer(buffer_points: int, runs: list[int]) -> None:
    cells = plan(buffer_points, [Transport.TCP], 100)
    assert [each.points for each in cells if each.kind is Kind.RUNS] == runs
    assert all(0 < each.series <= 300 for each in cells)
    assert max(each.total for each in cells) <= 65_537


def test_plan_has_every_connection_count_over_every_transport() -> None:
    cells = plan(64, [Transport.TCP, Transport.UNIX], 100)
    by_connections = [each for each in cells if each.kind is Kind.CONNECTIONS]
    flights = {(1, 1), (2, 1), (1, 2), (2, 2), (1, 4)}
    for transport in Transport:
        found = [each for each in by_connections if each.transport is transport]
        assert {(each.connections, each.window) for each in found} == flights
    assert all(each.points > 64 for each in by_connections)
    assert [each.linger for each in cells if each.kind is Kind.WRITER] == [0.1, 1.0]
    assert [each.transport for each in cells if each.kind is Kind.LATENCY] == list(Transport)


@pytest.mark.parametrize("precision", ["s", "ns"])
def test_no_point_is_made_twice_and_neighbours_share_no_series(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[set[str]] = []
    points: set[tuple[str, int]] = set()

    def encode(columns: dict[str, tuple[list[int], object]]) -> bytes:
        sent.append(set(columns))
        for name, (times, _) in columns.items():
            new = {(name, int(timestamp)) for timestamp in times}
            assert len(new) == len(times)
            assert not new & points
            points.update(new)
        return b""

    monkeypatch.setattr("siridb_fast.cli.bench.sending.encode_insert", encode)
    supply = Supply("p.", precision)
    small = replace(cell(3, 2, 2), series=30)
    for _ in range(3):
        supply.packages(small, 12)
        supply.packages(replace(small, points=70, series=2), 60)
    begin = BEGINNING * {"s": 1, "ns": 10**9}[precision]
    assert min(timestamp for _, timestamp in points) == begin
    for index in range(len(sent) - small.in_flight):
        window = sent[index : index + small.in_flight]
        if len({len(names) for names in window}) == 1:
            assert len(set().union(*window)) == sum(map(len, window))


# ---- what is noise


def pair(one: float, other: float, repeats: tuple[float, ...]) -> tuple[Measured, Measured]:
    return measured(cell(), one, repeats), measured(cell(), other, repeats)


@pytest.mark.parametrize(
    ("one", "other", "repeats", "is_faster"),
    [
        (2e6, 1e6, (0.9, 1.0, 1.1), True),
        (2e6, 1e6, (0.9, 1.0, 1.0, 1.0, 2.5), True),  # one repeat was lucky
        (1.9e6, 1e6, (1.0, 1.0), False),  # too few to tell
        (2.1e6, 1e6, (1.0, 1.0), True),
        (9e6, 1e6, (1.0,), False),
        (2e6, 1e6, (0.4, 1.0, 1.6), False),
        (2e6, 1e6, (0.4, 0.5, 1.0, 1.5, 1.6), False),
        (1.02e6, 1e6, (1.0, 1.0, 1.0, 1.0, 1.0), False),  # not worth it
        (1e6, 2e6, (1.0, 1.0, 1.0), False),
    ],
)
def test_faster_is_what_noise_does_not_hide(
    one: float, other: float, repeats: tuple[float, ...], is_faster: bool
) -> None:
    assert is_clearly_faster(*pair(one, other, repeats)) is is_faster


def test_median_and_spread_are_those_of_the_repeats() -> None:
    found = measured(cell(), 100.0, (0.5, 0.9, 1.0, 1.1, 9.0))
    assert found.rate == 100.0
    assert found.middle == pytest.approx((90.0, 110.0))
    assert found.spread == pytest.approx(0.1)
    assert found.bytes_per_second == pytest.approx(1900.0)
    assert Measured(cell=cell()).rate == 0.0
    assert Measured(cell=cell()).spread is None


# ---- what is advised


def test_ceiling_is_the_best_of_all() -> None:
    text = advice("ceiling", survey(connections={**CONNECTIONS, (2, 2): 8e6})).text
    assert "8.00 M points/s (152 MB/s)" in text
    assert "2 × 2 in flight" in text


def test_runs_over_the_buffer_are_named_with_both_rates() -> None:
    found = advice("runs", survey())
    assert found.is_clear
    assert "64 points" in found.text
    assert "10.0 times as fast. 65 points" in found.text
    assert "3.00 M/s; 32: 300 k/s" in found.text
    assert "10,000 are 2.0 times as fast again" in found.text


@pytest.mark.parametrize("of", [survey(FLAT), survey(repeats=NOISY)])
def test_noise_gives_no_advice(of: Survey) -> None:
    assert "cannot be told apart" in advice("runs", of).text
    assert not advice("runs", of).is_clear
    assert not advice("linger", of).is_clear


@pytest.mark.parametrize(
    ("small", "large", "setting"),
    [(RUNS, {1: 100e3}, 1024), (RUNS, {1: 400e3}, 8192), (RUNS, {1: 201e3}, None)],
)
def test_buffer_size_is_the_one_that_is_nowhere_slower(
    small: dict[int, float], large: dict[int, float], setting: int | None
) -> None:
    found = advice(
        "buffer_size", survey(small), survey({**RUNS, **large}, buffer_size=8192, label="large")
    )
    assert found.is_clear is (setting is not None)
    assert found.setting == (None if setting is None else f"buffer_size = {setting}")
    assert "1,024 from 65 points on, 8,192 from 513 points on" in found.text


def test_buffer_sizes_that_are_each_better_somewhere_are_no_advice() -> None:
    other = survey({**RUNS, 1: 100e3, 1_000: 9e6}, buffer_size=8192)
    found = advice("buffer_size", survey(), other)
    assert not found.is_clear
    assert "200 k/s > 100 k/s" in found.text
    assert "neither is better everywhere" in found.text


def test_one_buffer_size_says_that_no_other_was_measured() -> None:
    found = advice("buffer_size", survey())
    assert not found.is_clear
    assert "--new-database" in found.text


def test_sync_intervals_that_were_measured_are_compared() -> None:
    never = survey(sync_interval=500)
    often = survey({points: rate / 4 for points, rate in RUNS.items()}, sync_interval=0)
    found = advice("buffer_sync_interval", often, never)
    assert found.setting == "buffer_sync_interval = 500"
    assert "1: 200 k/s > 50.0 k/s" in found.text
    found = advice("buffer_sync_interval", survey(sync_interval=0), never)
    assert (found.setting, found.is_clear) == (None, False)


@pytest.mark.parametrize(
    ("point", "is_clear", "setting", "text"),
    [
        (0.5e-3, True, "buffer_sync_interval = 500", "seems to wait for the disk"),
        (0.12e-3, True, None, "no insert waits for the disk"),
        (0.17e-3, False, None, "does not tell"),
    ],
)
def test_sync_interval_is_read_from_what_a_point_takes(
    point: float, is_clear: bool, setting: str | None, text: str
) -> None:
    found = advice("buffer_sync_interval", survey(extra=[latency(0.1e-3, point)]))
    assert (found.is_clear, found.setting) == (is_clear, setting)
    assert text in found.text


def test_connections_are_the_default_unless_another_is_clearly_faster() -> None:
    found = advice("connections over tcp", survey())
    assert found.setting is None
    assert "2 × 1 in flight, is as good as any" in found.text
    found = advice(
        "connections over tcp", survey(connections={**CONNECTIONS, (1, 1): 9e6, (2, 2): 9.1e6})
    )
    assert found.setting == "connections=1, window=1"  # the simpler of two equals
    found = advice("connections over tcp", survey(connections=CONNECTIONS, repeats=NOISY))
    assert (found.setting, found.is_clear) == (None, False)


@pytest.mark.parametrize(
    ("rate", "text", "is_clear"),
    [(12e6, "the socket is 2.0 times as fast", True), (6.1e6, "within noise", False)],
)
def test_transports_are_compared_by_their_best_rates(
    rate: float, text: str, is_clear: bool
) -> None:
    found = advice("transport", survey(unix={(1, 2): rate}))
    assert text in found.text
    assert found.is_clear is is_clear
    assert "transport" not in topics(survey())


def test_advice_is_about_the_survey_that_wins_most_cells() -> None:
    slow = survey({points: rate / 9 for points, rate in RUNS.items()}, {}, label="slow")
    good, equal = survey(label="good"), survey(label="equal")
    assert "with good" in advice("ceiling", slow, good, equal).text


def test_delayed_acknowledgements_and_lost_points_are_named() -> None:
    assert "40 ms" in advice("latency", survey(extra=[latency(1e-4, 1e-4, 0.0405)])).text
    assert "latency" not in topics(survey(extra=[latency(1e-4, 1e-4, 0.02)]))
    text = advice("stored", replace(survey(), stored=90)).text
    assert "acknowledged 100 points and has 90" in text
    assert "stored" not in topics(survey())
    assert "2 pools" in advice("pools", survey(pools=2)).text


def test_writers_are_compared() -> None:
    def writer(linger: float, rate: float) -> Measured:
        of = cell(1, kind=Kind.WRITER, linger=linger)
        return replace(measured(of, rate), fast_fractions=(linger / 2,))

    found = advice("BatchWriter", survey(extra=[writer(0.1, 1e6), writer(1.0, 2e6)]))
    assert "linger 0.1: 1.00 M/s, 5 % by the fast path; linger 1: 2.00 M/s, 50 %" in found.text
    assert found.is_clear
    found = advice("BatchWriter", survey(extra=[writer(0.1, 1e6), writer(1.0, 1e6)]))
    assert not found.is_clear


def test_linger_is_the_time_of_a_run_over_the_buffer() -> None:
    found = {wait.rate: wait for wait in waits(survey())}
    assert found[10.0].linger == 6.5
    assert found[10.0].series_then == 600_000
    assert found[10.0].series_else == 20_000
    assert {wait.series_then for wait in waits(survey({}, {}))} == {None}


def test_cells_without_time_give_no_advice_and_no_error() -> None:
    empty = replace(survey({}, {}), cells=(Measured(cell=cell()),))
    assert topics(empty) == {"buffer_size", "repeats"}
    assert topics(empty, survey()) >= {"ceiling", "runs"}


def test_too_few_repeats_are_named() -> None:
    assert "repeats" not in topics(survey(extra=[latency(1e-4, 1e-4)]))
    assert advice("repeats", survey(), survey(repeats=(1.0, 1.1))).text.startswith("11 of 22 ways")


@pytest.mark.parametrize(
    ("rate", "text"),
    [(4_520_000, "4.52 M"), (45_200_000, "45.2 M"), (310_400, "310 k"), (999_900, "1.00 M")],
)
def test_rates_have_three_digits(rate: float, text: str) -> None:
    assert points_per_second(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(65e-6, "65 µs"), (0.0065, "6.5 ms"), (0.65, "650 ms"), (6.5, "6.5 s"), (650, "10.8 min")],
)
def test_times_have_their_unit(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
