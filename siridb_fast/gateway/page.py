"""``GET /``: one page for a person, without a script: what is wrong first, in words.

Pure: facts in, HTML out. On a narrow screen each row of a table is a block of its own. Plots are
Grafana's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape

from siridb_fast.delivery.stats import Stats
from siridb_fast.gateway.figures import DoorFigures
from siridb_fast.gateway.page_facts import DatabaseFacts, PageFacts, ago, points, troubles

__all__ = ["page"]

REFRESH = 10  # seconds
STYLE = """
:root { color-scheme: light dark; --ink: #1a1d21; --paper: #fff; --soft: #5c6570; --line: #dde1e6;
  --well: #1a7f45; --bad: #b3261e; --mild: #f4f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --paper: #14171a; --soft: #9aa4af; --line: #2b3138; --well: #5ac98a;
    --bad: #ff8a80; --mild: #1c2126; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 68rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); }
.well { color: var(--well); font-weight: 600; margin: 1rem 0; }
ul.bad { list-style: none; padding: 0; margin: 1rem 0; }
ul.bad li { border-left: 4px solid var(--bad); background: var(--mild); padding: .5rem .75rem;
  margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .75rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; min-width: 12rem; }
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
.n { text-align: right; white-space: nowrap; }
code { font: .85em ui-monospace, monospace; word-break: break-all; }
@media (max-width: 44rem) {
  body { margin: 1rem auto; }
  thead { display: none; }
  table, tbody, tr, td { display: block; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td, td:first-child { border: 0; padding: .1rem 0; }
  td.n { display: inline-block; text-align: left; white-space: normal; margin-right: 1rem; }
  td[data-of]::before { content: attr(data-of) ": "; color: var(--soft); } }
"""


def page(facts: PageFacts) -> str:
    """Return the page."""
    found = troubles(facts)
    if found:
        head = "<ul class=bad>" + "".join(f"<li>{escape(one)}</li>" for one in found) + "</ul>"
    else:
        head = "<p class=well>All is well.</p>"
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(facts.now))
    into = escape(facts.databases[0].database)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<meta http-equiv=refresh content={REFRESH}>"
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_title(found)}</title><style>{STYLE}</style>"
        f"<h1>SiriDB gateway</h1>{head}<p class=soft>Points go into {into}, and are acknowledged "
        f"once they are {escape(facts.acknowledge)}. <span class=n>{at}</span></p>"
        f"{_doors(facts)}{_waiting(facts.databases)}{_servers(facts.databases)}</html>\n"
    )


def _title(found: Sequence[str]) -> str:
    return f"({len(found)}) SiriDB gateway" if found else "SiriDB gateway"


def _doors(facts: PageFacts) -> str:
    names = ("points/s", "points", "refused lines", "connections")
    rows = [
        (
            f"<b>{escape(one.name)}</b><br><code>{escape(one.place)}</code>",
            f"{one.rate(facts.clock):,.0f}",
            f"{one.points:,}",
            f"{one.bad_lines:,}{_dropped(one)}",
            f"{one.connections:,}",
            _refusal(one, facts.now),
        )
        for one in facts.doors
    ]
    return "<h2>Doors</h2>" + _table(("door", *names, "last refused"), rows, len(names))


def _dropped(door: DoorFigures) -> str:
    return f"<br>{door.dropped:,} dropped" if door.dropped else ""


def _refusal(door: DoorFigures, now: float) -> str:
    refusal = door.last_refusal
    if refusal is None:
        return "<span class=soft>nothing</span>"
    line = f"<br><code>{escape(refusal.line)}</code>" if refusal.line else ""
    return f"{ago(now - refusal.at)}: {escape(refusal.reason)}{line}"


def _waiting(databases: Sequence[DatabaseFacts]) -> str:
    # A database a row; what can be said of one in a line.
    has_spool = any(one.stats.spool is not None for one in databases)
    names = ("in memory", "the oldest waits", *(["on disk"] if has_spool else []), "delivered")
    rows = []
    for one in databases:
        stats = one.stats
        waits = stats.buffered + stats.in_flight
        age = f"{stats.oldest_age:,.1f} s" if waits else "–"
        memory = f"{points(waits)}, {_mib(stats.buffered_bytes)} of {_mib(stats.max_buffered)}"
        on_disk = [_on_disk(stats)] if has_spool else []
        rows.append((_name_of(one), memory, age, *on_disk, points(stats.delivered)))
    return "<h2>What waits</h2>" + _table(("database", *names), rows, len(names))


def _on_disk(stats: Stats) -> str:
    if stats.spool is None or not stats.spool.points:
        return "nothing"
    return f"{points(stats.spool.points)}, the oldest for {stats.spool.oldest_age:,.0f} s"


def _name_of(one: DatabaseFacts) -> str:
    name = f"<b>{escape(one.name)}</b><br>" if one.name else ""
    return f"{name}<code>{escape(one.database)}</code>"


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _servers(databases: Sequence[DatabaseFacts]) -> str:
    found: dict[str, tuple[int, ...]] = {}  # a server may have several databases
    for one in databases:
        for host in one.stats.hosts:
            sums = found.get(host.host, (0, 0, 0))
            mine = (host.connected, host.connections, host.reconnects)
            found[host.host] = tuple(a + b for a, b in zip(sums, mine, strict=True))
    rows = [
        (f"<code>{escape(host)}</code>", f"{connected} of {all_of_them}", f"{again:,}")
        for host, (connected, all_of_them, again) in found.items()
    ]
    names = ("server", "connections", "connected again")
    return "<h2>Servers</h2>" + _table(names, rows, len(names) - 1)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> str:
    # The first column says what a row is of; then so many columns of numbers.
    kinds = ["", *[" class=n"] * numbers, *[""] * (len(names) - 1 - numbers)]
    head = "".join(f"<th{kind}>{name}" for kind, name in zip(kinds, names, strict=True))
    lines = ""
    for row in rows:
        cells = zip(kinds, names, row, strict=True)
        first = f"<td>{next(cells)[2]}"
        others = (f'<td{kind} data-of="{name}">{cell}' for kind, name, cell in cells)
        lines += f"<tr>{first}{''.join(others)}"
    return f"<table><thead><tr>{head}<tbody>{lines}</table>"
