"""The alert rules and the dashboard: what they name exists, and rules fire when they should."""

import asyncio
import json
import re
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from siridb_fast import BatchWriter, SpoolOptions
from siridb_fast.metrics import MetricsCollector, register
from siridb_fast.testing import ScriptedServer
from tests.delivery.held_inserts import INSERT_REFUSED, HeldInserts, scripted_writer
from tests.fix_loop import eventually
from tests.fix_scripted import answer_all
from tests.fix_server import Database
from tests.metrics.promql import Rule, fires, read_rules
from tests.metrics.scrapes import Scrape, scrape

DOCS = Path(__file__).parent.parent.parent / "docs"
RULES = read_rules(DOCS / "alerts.yml")
METRIC = re.compile(r"siridb_fast_\w+")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("", "_bucket", "_sum", "_count")}
MINUTE = 60.0

Scrapes = list[tuple[float, Scrape]]


def there() -> set[str]:
    """Return the names of all metrics, as a query writes them."""
    families = MetricsCollector().describe()
    return {one.name + suffix for one in families for suffix in SUFFIXES[one.type]}


def expressions(part: object) -> list[str]:
    """Return all queries in a part of the dashboard."""
    if isinstance(part, list):
        return [text for one in part for text in expressions(one)]
    if isinstance(part, dict):
        own = [text for key in ("expr", "query") if isinstance(text := part.get(key), str)]
        return own + expressions(list(part.values()))
    return []


def firing(scrapes: Scrapes) -> set[str]:
    return {name for name, rule in RULES.items() if fires(rule, scrapes)}


@pytest.mark.parametrize("document", ["alerts.yml", "grafana-dashboard.json", "metrics.md"])
def test_metrics_that_are_named_exist(document: str) -> None:
    text = (DOCS / document).read_text()
    named = {name for name in METRIC.findall(text) if name != "siridb_fast_"}
    assert named
    assert named - there() == set()


@pytest.mark.parametrize("document", ["grafana-dashboard.json", "metrics.md"])
def test_every_metric_is_shown_and_explained(document: str) -> None:
    text = (DOCS / document).read_text()
    families = [family.name for family in MetricsCollector().describe()]
    assert [
        name for name in families if not re.search(rf"\b{name}(_total|_bucket)?\b", text)
    ] == []


def test_dashboard_is_one_that_grafana_reads() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    for text in expressions(panels):
        assert text.count("(") == text.count(")"), text
        assert text.count("{") == text.count("}"), text


def test_every_rule_can_be_evaluated() -> None:
    names = re.findall(r"- alert: (\w+)", (DOCS / "alerts.yml").read_text())
    assert names == list(RULES)
    for rule in RULES.values():
        assert not fires(rule, [(0.0, Scrape({}))])


async def test_nothing_fires_in_quiet_times() -> None:
    registry, scrapes = CollectorRegistry(), Scrapes()
    async with ScriptedServer(answer_all) as server, scripted_writer(server) as writer:
        register(writer, "plant", registry)
        for minute in range(5):
            await (await writer.write_arrays("a", [minute], [minute]))
            scrapes.append((minute * MINUTE, scrape(registry)))
    assert firing(scrapes) == set()


async def test_outage_fires_for_the_connection_and_the_spool(
    own_database: Database, fast_retry: None, tmp_path: Path
) -> None:
    """An hour without a server, in which a minute lasts as long as the disk takes."""
    registry, scrapes = CollectorRegistry(), Scrapes()
    spool = SpoolOptions(tmp_path / "plant.spool", max_bytes=8 << 20)
    async with BatchWriter(own_database.url, linger=0.01, spool=spool) as writer:
        register(writer, "plant", registry)
        own_database.server.kill()
        await eventually(lambda: writer.stats().connected == 0)
        for minute in range(10):
            first = minute * 4000
            values = np.random.default_rng(minute).random(4000)
            await writer.write_arrays("a", np.arange(first, first + 4000), values)
            await eventually(lambda first=first: writer.stats().spooled == first + 4000)  # type: ignore[misc]
            scrapes.append((minute * MINUTE, scrape(registry)))
        assert firing(scrapes) == {
            "SiriDBNoConnection",
            "SiriDBHostMissing",
            "SiriDBSpoolFullIn12Hours",
            "SiriDBSpoolFullIn4Hours",
        }
        await asyncio.to_thread(own_database.server.start)
        await eventually(lambda: writer.stats().connected == 2 and not writer.stats().spooled)
        scrapes.append((24 * 60 * MINUTE, scrape(registry)))
        assert firing(scrapes) == set()


async def test_refused_points_fire() -> None:
    registry, held = CollectorRegistry(), HeldInserts()
    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, linger=0)
        await writer.open()
        register(writer, "plant", registry)
        scrapes = [(0.0, scrape(registry))]
        writer.write("a", 1, 1)
        await held.refuse(INSERT_REFUSED)
        await eventually(lambda: writer.stats().rejected == 1)
        scrapes.append((MINUTE, scrape(registry)))
        await writer.close()
    assert firing(scrapes) == {"SiriDBPointsRejected"}


@pytest.mark.parametrize(
    ("name", "metric", "values"),
    [
        ("SiriDBOldestPendingPoint", "oldest_pending_seconds", [301]),
        ("SiriDBMemoryFull", "room_bytes", [7_999_999]),
        ("SiriDBSpoolOldest", "spool_oldest_seconds", [3601]),
        ("SiriDBPointsDropped", "points_dropped_total", [5, 6]),
        ("SiriDBPointsInDoubt", "points_in_doubt_total", [5, 6]),
        ("SiriDBPointsChanged", "points_changed_total", [5, 6]),
    ],
)
def test_rule_fires_just_beyond_its_bound(name: str, metric: str, values: list[float]) -> None:
    key = f"siridb_fast_{metric}", frozenset({("name", "plant")})
    scrapes = [(n * MINUTE, Scrape({key: value})) for n, value in enumerate(values)]
    assert firing(scrapes) == {name}


@pytest.mark.parametrize(
    ("hours", "wanted"),
    [
        (3, {"SiriDBSpoolFullIn12Hours", "SiriDBSpoolFullIn4Hours"}),
        (11, {"SiriDBSpoolFullIn12Hours"}),
        (13, set()),
    ],
)
def test_spool_fires_so_many_hours_before_it_is_full(hours: int, wanted: set[str]) -> None:
    key = "siridb_fast_spool_room_bytes", frozenset({("name", "plant")})
    rate = 1_000_000.0
    scrapes = [
        (n * MINUTE, Scrape({key: rate * (hours * 60 + 30 - n)})) for n in range(31)
    ]  # in the last of them so many hours are left
    assert firing(scrapes) == wanted


def test_rule_of_an_unknown_form_is_an_error() -> None:
    with pytest.raises(AssertionError):
        fires(Rule("x", "rate(siridb_fast_series[5m]) > 0"), [(0.0, Scrape({}))])
