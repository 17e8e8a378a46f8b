"""What follows from the figures of a bench, in words with the figures behind them.

Pure: surveys in, advice out. Rules: every figure is a measured one, or follows from the size of
the server's buffer; where noise hides which of two ways is better, that is what the advice says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from siridb_fast.cli.bench.cells import (
    FEWEST_REPEATS,
    Kind,
    Measured,
    Survey,
    Transport,
    best_of,
    is_clearly_faster,
)
from siridb_fast.cli.bench.figures import fastest, points_per_second, seconds_text
from siridb_fast.cli.bench.plan import default_connections
from siridb_fast.query.database_facts import BUFFERED_POINT_BYTES

__all__ = ["Advice", "advise"]

DISK = 100e-6  # seconds: a point takes the server's processor 5 to 30 µs, a disk far more
MEMORY = 50e-6
DELAYED_ACK = (0.038, 0.046)  # seconds that Linux puts off an acknowledgement, and a little


@dataclass(frozen=True, slots=True)
class Advice:
    """One recommendation; ``setting`` is the option in short, where there is something to set.

    ``is_clear`` is False where the figures do not decide it.
    """

    topic: str
    text: str
    is_clear: bool
    setting: str | None = None


def advise(surveys: Sequence[Survey]) -> list[Advice]:
    """Return what to set, and how sure that is."""
    main = fastest(surveys)
    found: list[Advice | None] = [_ceiling(main, is_one_of_several=len(surveys) > 1)]
    found += [_runs(main), _buffer(surveys), _sync(surveys), _linger(main), _writer(main)]
    found += [_connections(main, transport) for transport in Transport]
    found += [_transport(main), _pools(main), _repeats(surveys)]
    found += [*map(_delay, _latencies(surveys)), *map(_loss, surveys)]
    return [advice for advice in found if advice is not None]


def _ceiling(survey: Survey, *, is_one_of_several: bool) -> Advice | None:
    best = survey.best
    if best is None:
        return None
    text = (
        f"At best the server takes {points_per_second(best.rate)} points/s "
        f"({best.bytes_per_second / 1e6:.0f} MB/s): {_way(best)}."
    )
    if is_one_of_several:
        text += f" That is with {survey.facts.label}, and so is what is said of one server below."
    return Advice("ceiling", text, is_clear=True)


def _runs(survey: Survey) -> Advice | None:
    short, long = best_of(survey.short_runs), survey.just_over
    if short is None or long is None:
        return None
    limit = survey.facts.buffer_points
    pair = (
        f"{long.cell.points:,} points of a series in a package: "
        f"{points_per_second(long.rate)}/s; {short.cell.points:,}: "
        f"{points_per_second(short.rate)}/s"
    )
    if not is_clearly_faster(long, short):
        text = f"Runs over and under the server's {limit:,} points cannot be told apart. {pair}."
        return Advice("runs", text, is_clear=False)
    text = (
        f"Runs over the {limit:,} points that the server buffers of a series are stored "
        f"{long.rate / short.rate:.1f} times as fast. {pair}."
    )
    best = best_of(survey.long_runs)
    if best is not None and is_clearly_faster(best, long):
        text += (
            f" {best.cell.points:,} are {best.rate / long.rate:.1f} times as fast again; "
            "collect long runs of few series rather than short runs of many."
        )
    return Advice("runs", text, is_clear=True)


def _buffer(surveys: Sequence[Survey]) -> Advice | None:
    by_size = {survey.facts.buffer_size: survey for survey in surveys}
    small = by_size[min(by_size)]
    limits = ", ".join(
        f"{size:,} from {size // BUFFERED_POINT_BYTES + 1:,} points on" for size in sorted(by_size)
    )
    rule = f"buffer_size / 16 points of a series are buffered, longer runs are fast: {limits}."
    if len(by_size) == 1:
        text = f"{rule} Another size was not measured (--new-database)."
        return Advice("buffer_size", text, is_clear=False)
    large = by_size[max(by_size)]
    texts, sides = [], []
    for points, one, other in _pairs(small, large):
        sides.append(_side(one, other))
        texts.append(f"{points:,}: {_versus(one, other)}")
    compared = (
        f"{small.facts.buffer_size:,} against {large.facts.buffer_size:,}, by points of a series "
        f"in a package: {'; '.join(texts)}."
    )
    if any(side > 0 for side in sides) and not any(side < 0 for side in sides):
        size = small.facts.buffer_size
    elif any(side < 0 for side in sides) and not any(side > 0 for side in sides):
        size = large.facts.buffer_size
    else:
        ending = "neither is better everywhere." if any(sides) else "noise hides any difference."
        return Advice("buffer_size", f"{rule} {compared} So {ending}", is_clear=False)
    text = f"{rule} {compared} So {size:,}: it is nowhere clearly slower."
    return Advice("buffer_size", text, is_clear=True, setting=f"buffer_size = {size}")


def _sync(surveys: Sequence[Survey]) -> Advice | None:
    known = {survey.facts.sync_interval: survey for survey in surveys}
    late = [interval for interval in known if interval]
    if 0 not in known or not late:
        return _sync_by_latency(surveys[0])
    never, often = known[late[0]], known[0]
    pairs = _representative(_pairs(never, often), never.facts.buffer_points)
    texts = [f"{points:,}: {_versus(one, other)}" for points, one, other in pairs]
    text = (
        f"{late[0]} ms against 0, by points of a series in a package: {'; '.join(texts)}. "
        "At 0 every slice of an insert waits for the disk."
    )
    if not any(_side(one, other) > 0 for _, one, other in pairs):
        text += " Noise hides any gain of the longer interval."
        return Advice("buffer_sync_interval", text, is_clear=False)
    text += f" After a power failure, points of the last {late[0]} ms may be missing."
    setting = f"buffer_sync_interval = {late[0]}"
    return Advice("buffer_sync_interval", text, is_clear=True, setting=setting)


def _sync_by_latency(survey: Survey) -> Advice | None:
    found = next((each.latency for each in survey.of(Kind.LATENCY) if each.latency), None)
    if found is None:
        return None
    figures = (
        f"An insert of one point takes {seconds_text(max(found.extra, 0))} more than an insert of "
        f"nothing ({seconds_text(found.median)} and {seconds_text(found.nothing)})"
    )
    topic = "buffer_sync_interval"
    if found.extra >= DISK:
        text = (
            f"{figures}: each insert seems to wait for the disk, as with an interval of 0. With "
            "500 in the server's siridb.conf it would not; compare: siridb-fast bench "
            "--throw-away."
        )
        return Advice(topic, text, is_clear=True, setting=f"{topic} = 500")
    if found.extra <= MEMORY:
        text = f"{figures}: no insert waits for the disk; the interval is well set."
        return Advice(topic, text, is_clear=True)
    text = f"{figures}: this does not tell whether inserts wait for the disk."
    return Advice(topic, text, is_clear=False)


def _linger(survey: Survey) -> Advice | None:
    short, long = best_of(survey.short_runs), survey.just_over
    if short is None or long is None:
        return None
    run = survey.facts.buffer_points + 1
    text = (
        f"Over {run:,} / rate: so long a series of that rate takes for a run of {run:,} points "
        "(the table above)."
    )
    if not is_clearly_faster(long, short):
        text += " Here such runs are not clearly faster, so a short linger costs little."
        return Advice("linger", text, is_clear=False)
    slow = min(survey.short_runs, key=lambda each: each.cell.points)
    text += (
        f" With less, all series together reach {points_per_second(slow.rate)} points/s; if yours "
        "stay well under that, keep linger short."
    )
    return Advice("linger", text, is_clear=True)


def _writer(survey: Survey) -> Advice | None:
    cells = [each for each in survey.of(Kind.WRITER) if each.rates]
    best = best_of(cells)
    if best is None or len(cells) < 2:
        return None
    texts = [
        f"linger {each.cell.linger:g}: {points_per_second(each.rate)}/s, "
        f"{(each.fast_fraction or 0) * 100:.0f} % by the fast path"
        for each in cells
    ]
    text = f"A writer of single points of {best.cell.series:,} series: {'; '.join(texts)}."
    others = [each for each in cells if each is not best]
    if not all(is_clearly_faster(best, other) for other in others):
        return Advice("BatchWriter", f"{text} Noise hides any difference.", is_clear=False)
    return Advice("BatchWriter", text, is_clear=True)


def _connections(survey: Survey, transport: Transport) -> Advice | None:
    cells = survey.of(Kind.CONNECTIONS, transport)
    best = best_of(cells)
    if best is None:
        return None
    good = [each for each in cells if not is_clearly_faster(best, each)]
    simple = min(good, key=lambda each: (each.cell.in_flight, each.cell.connections))
    cell = simple.cell
    default = default_connections(transport)
    usual = next((c for c in cells if (c.cell.connections, c.cell.window) == default), None)
    setting = f"connections={cell.connections}, window={cell.window}"
    topic = f"connections over {transport.value}"
    if usual is not None and usual in good:
        text = (
            f"The writer's default, {default[0]} × {default[1]} in flight, is as good as any: "
            f"{points_per_second(usual.rate)}/s; best {best.cell.flight} with "
            f"{points_per_second(best.rate)}/s, {len(good)} of {len(cells)} ways within noise."
        )
        return Advice(topic, text, is_clear=len(good) < len(cells))
    text = f"{simple.cell.flight} in flight: {points_per_second(simple.rate)}/s"
    if usual is not None:
        text += f"; the writer's default {usual.cell.flight}: {points_per_second(usual.rate)}/s"
    return Advice(topic, f"{text}.", is_clear=True, setting=setting)


def _transport(survey: Survey) -> Advice | None:
    tcp = best_of(survey.of(Kind.CONNECTIONS, Transport.TCP))
    unix = best_of(survey.of(Kind.CONNECTIONS, Transport.UNIX))
    if tcp is None or unix is None:
        return None
    text = (
        f"TCP {points_per_second(tcp.rate)}/s with {tcp.cell.flight} in flight, the unix socket "
        f"{points_per_second(unix.rate)}/s with {unix.cell.flight}"
    )
    if is_clearly_faster(unix, tcp):
        text += f": the socket is {unix.rate / tcp.rate:.1f} times as fast."
        return Advice("transport", text, is_clear=True, setting="?socket=/path in the URL")
    if is_clearly_faster(tcp, unix):
        text += f": TCP is {tcp.rate / unix.rate:.1f} times as fast."
        return Advice("transport", text, is_clear=True)
    return Advice("transport", f"{text}: within noise.", is_clear=False)


def _pools(survey: Survey) -> Advice | None:
    if survey.facts.pools == 1:
        return None
    text = (
        f"The database has {survey.facts.pools} pools, and one server was measured: it passes on "
        "what is not its own. A writer with all servers in its URL reaches more."
    )
    return Advice("pools", text, is_clear=False)


def _repeats(surveys: Iterable[Survey]) -> Advice | None:
    cells = [
        each for survey in surveys for each in survey.cells if each.cell.kind is not Kind.LATENCY
    ]
    few = sum(len(each.rates) < FEWEST_REPEATS for each in cells)
    if not few:
        return None
    text = (
        f"{few} of {len(cells)} ways were measured fewer than {FEWEST_REPEATS} times, too few to "
        "tell small differences from noise: more --seconds tell more."
    )
    return Advice("repeats", text, is_clear=False)


def _delay(measured: Measured) -> Advice | None:
    found = measured.latency
    if found is None or not DELAYED_ACK[0] <= found.p99 - found.ping <= DELAYED_ACK[1]:
        return None
    text = (
        f"The slowest inserts of one point over {measured.cell.transport.value} take "
        f"{seconds_text(found.p99)}: the 40 ms of a delayed acknowledgement."
    )
    return Advice("latency", text, is_clear=True)


def _loss(survey: Survey) -> Advice | None:
    if survey.stored == survey.acknowledged:
        return None
    text = (
        f"{survey.facts.label}: the server acknowledged {survey.acknowledged:,} points and has "
        f"{survey.stored:,} of them."
    )
    return Advice("stored", text, is_clear=True)


def _latencies(surveys: Iterable[Survey]) -> list[Measured]:
    return [each for survey in surveys for each in survey.of(Kind.LATENCY)]


def _pairs(one: Survey, other: Survey) -> list[tuple[int, Measured, Measured]]:
    others = {each.cell.points: each for each in other.of(Kind.RUNS)}
    return [
        (each.cell.points, each, others[each.cell.points])
        for each in one.of(Kind.RUNS)
        if each.cell.points in others
    ]


def _representative(
    pairs: list[tuple[int, Measured, Measured]], limit: int
) -> list[tuple[int, Measured, Measured]]:
    # The shortest run, the first one over the buffer, and the longest.
    over = [pair for pair in pairs if pair[0] > limit]
    return pairs[:1] + over[:1] + (over[-1:] if len(over) > 1 else [])


def _side(one: Measured, other: Measured) -> int:
    return int(is_clearly_faster(one, other)) - int(is_clearly_faster(other, one))


def _versus(one: Measured, other: Measured) -> str:
    sign = {1: ">", 0: "≈", -1: "<"}[_side(one, other)]
    return f"{points_per_second(one.rate)}/s {sign} {points_per_second(other.rate)}/s"


def _way(measured: Measured) -> str:
    cell = measured.cell
    return (
        f"packages of {cell.points:,} points of {cell.series:,} series over "
        f"{cell.transport.value}, {cell.flight} in flight"
    )
