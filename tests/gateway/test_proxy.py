"""Through nginx, which keeps connections to the gateway: agents are mixed, and send again."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from siridb_fast.testing.ports import Ports
from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.agents import Agent
from tests.gateway.gateways import running, stored

FIRST = 1_700_000_000_000_000_000
AGENTS, LINES = 5, 1_500

NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream gateway {{
    server {upstream};
    server {upstream};
    keepalive 2;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream error timeout http_503 non_idempotent;
      {more}
    }}
  }}
}}
"""

pytestmark = pytest.mark.one_loop


@asynccontextmanager
async def nginx(upstream: str, folder: Path, more: str = "") -> AsyncIterator[tuple[str, int]]:
    """Run nginx before a gateway; yield where it listens."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("Debian's nginx is not installed")
    ports = Ports.free()
    port = ports.http
    path = folder / "nginx.conf"
    path.write_text(NGINX.format(folder=folder, upstream=upstream, port=port, more=more))
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(path), "-p", str(folder), "-e", str(folder / "error.log")
    )
    try:
        await eventually(lambda: _listens(port))
        yield "127.0.0.1", port
    finally:
        process.terminate()
        await process.wait()
        ports.release()


def _listens(port: int) -> bool:
    with socket.socket() as to:
        return to.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    "more", ["", "proxy_request_buffering off;"], ids=["buffered", "streamed"]
)
async def test_agents_behind_a_proxy_are_stored_once(
    database: Database, tmp_path: Path, more: str
) -> None:
    agents = [
        Agent(
            [b"m,agent=%d v=%di %d\n" % (number, n, FIRST + n) for n in range(LINES)],
            number,
            fault_rate=0.3,
        )
        for number in range(AGENTS)
    ]
    async with running(database) as gateway:
        upstream = gateway.url().removeprefix("http://")
        async with nginx(upstream, tmp_path, more) as place:
            await asyncio.gather(
                *(asyncio.to_thread(one.send_all, place, twice=True) for one in agents)
            )
            assert gateway.figures("influx").connections < AGENTS + 3
        assert sum(one.failed for one in agents) > 5
        assert gateway.figures("influx").points > AGENTS * LINES
        assert gateway.figures("influx").bad_lines == 0
    assert await stored(database) == {
        f"m,agent={number}:v": [[FIRST + n, n] for n in range(LINES)] for number in range(AGENTS)
    }
