"""Remote write into a gateway: requests by the book, and Prometheus itself."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from siridb_fast.errors import ConfigError
from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.formats.remote_writes import compressed, request, time_series
from tests.gateway.gateways import ANY_PORT, running, stored
from tests.gateway.http_calls import post
from tests.gateway.test_config import config

HEADERS = {"Content_Encoding": "snappy", "Content_Type": "application/x-protobuf"}
UP = {"__name__": "up", "instance": "x", "job": "a"}
PATH = "/api/v1/write"


async def test_samples_are_stored(database: Database) -> None:
    body = compressed(request(time_series(UP, [(1.0, 5), (2.5, 6)]), time_series({"a": "b"}, [])))
    async with running(database, prometheus={}) as gateway:
        status, found, _ = await post(gateway, body, PATH, **HEADERS)
        assert status == 400
        assert found["error"] == (
            "partial write: 1 of 2 series are refused: series 2: a series has the label __name__"
        )
        good = compressed(request(time_series({"__name__": "b"}, [(3.0, 7)])))
        assert (await post(gateway, good, PATH, **HEADERS))[0] == 204
        assert gateway.figures("influx").points == 3
    assert await stored(database) == {
        "up,instance=x,job=a:value": [[5_000_000, 1.0], [6_000_000, 2.5]],
        "b:value": [[7_000_000, 3.0]],
    }


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"hello", HEADERS, 400),
        (compressed(b"hello"), HEADERS, 400),
        (b"", HEADERS, 400),
        (compressed(b"x" * 5_000), HEADERS, 400),
        (
            compressed(b""),
            {**HEADERS, "Content_Type": "x;proto=io.prometheus.write.v2.Request"},
            415,
        ),
        (compressed(b""), HEADERS, 204),
    ],
)
async def test_what_is_no_request_is_refused(
    database: Database, body: bytes, headers: dict[str, str], status: int
) -> None:
    async with running(database, prometheus={}, max_body=4_000) as gateway:
        assert (await post(gateway, body, PATH, **headers))[0] == status
    assert await stored(database) == {}


async def test_a_path_and_a_template_and_an_address_of_its_own(database: Database) -> None:
    door = {"listen": ANY_PORT, "path": "/receive", "series": "{job}.{__name__}"}
    body = compressed(request(time_series(UP, [(1.0, 5)])))
    async with running(database, influx={}, prometheus=door) as gateway:
        place = gateway.figures("prometheus").place
        gateway.figures("prometheus").name = "influx"  # where `post` sends it
        assert place.startswith("127.0.0.1:")
        assert (await post(gateway, body, "/receive", **HEADERS))[0] == 204
    assert await stored(database) == {"a.up": [[5_000_000, 1.0]]}


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"influx": {}, "prometheus": {}}, "prometheus.listen: expected an address"),
        ({"prometheus": {"path": "x"}}, "prometheus.path: expected a path such as /api/v1/write"),
        ({"prometheus": {"series": "{x"}}, "prometheus.series: a template has"),
        ({"prometheus": {"listen": "0.0.0.0:1"}}, "prometheus.listen: 0.0.0.0:1 is not only"),
    ],
)
def test_what_is_wrong_with_its_table_is_told(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**keys)
    assert text in str(caught.value)


PROMETHEUS = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
- job_name: gateway
  static_configs: [{{targets: ["{address}"]}}]
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: "siridb_fast_gateway_requests_total|up", action: keep}}
remote_write:
- url: "http://{address}/api/v1/write"
  queue_config: {{batch_send_deadline: 100ms}}
"""


@pytest.mark.one_loop
async def test_prometheus_writes_what_it_has_scraped(database: Database, tmp_path: Path) -> None:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Debian's prometheus is not installed")
    async with running(database, prometheus={}) as gateway:
        host, port = gateway.address("influx")
        path = tmp_path / "prometheus.yml"
        path.write_text(PROMETHEUS.format(address=f"{host}:{port}"))
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={path}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            "--web.listen-address=127.0.0.1:0",
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await eventually(lambda: gateway.figures("influx").points >= 50)
        finally:
            process.terminate()
            await process.wait()
        assert gateway.figures("influx").bad_lines == 0
    found = await stored(database)
    tags = f"instance={host}:{port},job=gateway"
    assert {value for _, value in found[f"up,{tags}:value"]} == {1.0}
    requests = [
        value
        for name, points in found.items()
        if name.startswith("siridb_fast_gateway_requests_total,door=influx,")
        for _, value in points
    ]
    assert requests == sorted(requests)
    assert len(requests) > 3
    assert requests[-1] > requests[0]
