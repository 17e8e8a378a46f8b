"""The page for people in a real browser: readable in both themes, on a telephone and on a screen.

`GATEWAY_PICTURES=folder` keeps pictures of it.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from siridb_fast.testing import SiriDBServer
from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.chromium import Browser, browser
from tests.gateway.gateways import ANY_PORT, Running, running
from tests.gateway.http_calls import post

AT = 1_700_000_000_000_000_000
VIEWS = [(width, scheme) for width in (400, 1200) for scheme in ("light", "dark")]
LONGEST = "a" * 300
CONTRAST = """
(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(
    c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
  ).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const found = parts(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  return Math.min(...[...document.querySelectorAll("body *")].map(node => {
    const two = [light(parts(getComputedStyle(node).color)), light(behind(node))];
    return (Math.max(...two) + 0.05) / (Math.min(...two) + 0.05);
  }));
})()
"""

pytestmark = pytest.mark.one_loop


async def look(shown: Browser, gateway: Running, name: str) -> AsyncIterator[str]:
    """Show the page in all ways; yield what it says, and keep a picture."""
    for width, scheme in VIEWS:
        await shown.open(gateway.url("/"), width, scheme)
        folder = os.environ.get("GATEWAY_PICTURES")
        if folder:
            Path(folder, f"{name}-{width}-{scheme}.png").write_bytes(await shown.picture())  # noqa: ASYNC240
        assert await shown.ask("document.documentElement.scrollWidth") <= width
        assert await shown.ask(CONTRAST) >= 4.5  # WCAG AA, of all that is written
        paper = await shown.ask("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        yield await shown.ask("document.body.innerText")


def doors(**more: Any) -> dict[str, Any]:
    return {
        "influx": {"listen": ANY_PORT, "tcp": {"listen": ANY_PORT}, **more},
        "graphite": {"listen": ANY_PORT},
    }


async def test_all_is_well(database: Database, tmp_path: Path) -> None:
    async with browser(tmp_path) as shown, running(database, **doors()) as gateway:
        for number in range(50):
            body = b"".join(b"m,h=%d v=1 %d\n" % (n, AT + number) for n in range(100))
            assert (await post(gateway, body))[0] == 204
        await eventually(lambda: gateway.gateway.facts().databases[0].stats.delivered == 5_000)
        async for text in look(shown, gateway, "well"):
            assert "All is well." in text
            assert await shown.ask("document.title") == "SiriDB gateway"
            assert "5,000" in text
            for door in ("influx", "influx.tcp", "graphite.tcp"):
                assert door in text
                assert gateway.figures(door).place in text


async def test_what_is_wrong_is_seen_first(database: Database, tmp_path: Path) -> None:
    with SiriDBServer() as other:
        other.create_database("plant")
        names = {"plant": other.url("plant")}
        options = {**doors(databases=names), "drain_timeout": 0.5}
        async with browser(tmp_path) as shown, running(database, **options) as gateway:
            for path in ("/write", "/write?db=plant"):
                assert (await post(gateway, b"m v=1 %d" % AT, path))[0] == 204
            facts = gateway.gateway.facts
            await eventually(lambda: facts().databases[1].stats.delivered == 1)
            other.kill()
            await eventually(lambda: not facts().databases[1].stats.connected)
            assert (await post(gateway, b"m v=2 %d" % (AT + 1), "/write?db=plant"))[0] == 204
            assert (await post(gateway, f"m v={LONGEST} 1".encode()))[0] == 400
            async for text in look(shown, gateway, "wrong"):
                first = text.index("plant: No server is connected. 1 point waits, the oldest for")
                assert first < text.index("influx has refused something") < text.index("Doors")
                top = await shown.ask(
                    "document.querySelector('ul.bad').getBoundingClientRect().top"
                )
                assert top < 300
                assert (await shown.ask("document.title")).startswith("(2) ")
                assert LONGEST[:100] in text
                assert "0 of 2" in text
