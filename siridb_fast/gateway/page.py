"""``GET /``: one page for a person, without a script: what is wrong first, in words.

Pure: figures in, HTML out. Plots are Grafana's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from siridb_fast.delivery.stats import Stats
from siridb_fast.gateway.figures import DoorFigures

__all__ = ["PageFacts", "page", "troubles"]

RECENT = 300.0  # seconds that a refusal is worth a word
LONG = 60.0  # seconds that points may wait, beside what they linger
FULL = 0.8  # of the memory
STYLE = """
:root { color-scheme: light dark; --ink: #1a1d21; --paper: #fff; --soft: #5c6570; --line: #dde1e6;
  --well: #1a7f45; --bad: #b3261e; --mild: #f4f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --paper: #14171a; --soft: #9aa4af; --line: #2b3138; --well: #5ac98a;
    --bad: #ff8a80; --mild: #1c2126; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); } .well { color: var(--well); }
ul.bad { list-style: none; padding: 0; margin: 1rem 0; }
ul.bad li { border-left: 4px solid var(--bad); background: var(--mild); padding: .5rem .75rem;
  margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 500; } .n { text-align: right; }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
"""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the page tells.

    Attributes:
        database: Its name and hosts.
        acknowledge: The option.
        is_stopping: Nothing is taken any more.
        stats: Of the writer.
        doors: Of all.
        lost_lines: Refused lines that the disk did not take.
        now: Unix time.
        clock: Seconds, on the clock of the rates.
    """

    database: str
    acknowledge: str
    is_stopping: bool
    stats: Stats
    doors: Sequence[DoorFigures]
    lost_lines: int
    now: float
    clock: float


def troubles(facts: PageFacts) -> list[str]:
    """Return what is wrong, in words, the worst first."""
    stats, found = facts.stats, []
    if facts.is_stopping:
        found.append("The gateway is stopping: it takes nothing more.")
    if not stats.connected:
        waits = f"{stats.buffered + stats.in_flight + stats.spooled:,} points wait"
        found.append(f"No server is connected. {waits}, the oldest for {stats.oldest_age:,.0f} s.")
    else:
        found += [
            f"The server {one.host} has {one.connected} of {one.connections} connections."
            for one in stats.hosts
            if one.connected < one.connections
        ]
    if stats.connected and stats.oldest_age > LONG:
        found.append(f"The oldest point has waited for {stats.oldest_age:,.0f} s.")
    if stats.buffered_bytes > FULL * stats.max_buffered:
        share = 100 * stats.buffered_bytes / stats.max_buffered
        found.append(
            f"{share:.0f} % of the memory for points is taken; then senders have to wait."
        )
    if stats.rejected:
        found.append(f"{stats.rejected:,} points were refused by the database, or in vain.")
    if stats.in_doubt:
        found.append(f"{stats.in_doubt:,} points may or may not be stored.")
    if facts.lost_lines:
        found.append(f"{facts.lost_lines:,} refused lines could not be written to their file.")
    found += [f"{door.name}: {door.trouble}" for door in facts.doors if door.trouble]
    for door in facts.doors:
        refusal = door.last_refusal
        if refusal is not None and facts.now - refusal.at < RECENT:
            found.append(
                f"{door.name} has refused something {_ago(facts.now - refusal.at)}: "
                f"{refusal.reason}"
            )
    return found


def page(facts: PageFacts) -> str:
    """Return the page."""
    found = troubles(facts)
    if found:
        head = "<ul class=bad>" + "".join(f"<li>{escape(one)}</li>" for one in found) + "</ul>"
    else:
        head = "<p class=well>All is well.</p>"
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(facts.now))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        '<meta http-equiv=refresh content=10><meta name="color-scheme" content="light dark">'
        f"<title>SiriDB gateway</title><style>{STYLE}</style>"
        f"<h1>SiriDB gateway</h1><p class=soft>into {escape(facts.database)}; points are "
        f"acknowledged once they are {escape(facts.acknowledge)}. {at}</p>"
        f"{head}{_doors(facts)}{_waiting(facts.stats)}{_servers(facts.stats)}</html>\n"
    )


def _doors(facts: PageFacts) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.name)}<br><code>{escape(one.place)}</code>"
        f"<td class=n>{one.rate(facts.clock):,.0f}<td class=n>{one.points:,}"
        f"<td class=n>{one.bad_lines:,}{_dropped(one)}<td class=n>{one.connections:,}"
        f"<td>{_refusal(one, facts.now)}"
        for one in facts.doors
    )
    return (
        "<h2>Doors</h2><div class=wide><table><tr><th>door<th class=n>points/s"
        "<th class=n>points<th class=n>refused lines<th class=n>connections<th>last refused"
        f"{rows}</table></div>"
    )


def _dropped(door: DoorFigures) -> str:
    return f"<br>{door.dropped:,} dropped" if door.dropped else ""


def _refusal(door: DoorFigures, now: float) -> str:
    refusal = door.last_refusal
    if refusal is None:
        return "<span class=soft>nothing</span>"
    line = f"<br><code>{escape(refusal.line)}</code>" if refusal.line else ""
    return f"{_ago(now - refusal.at)}: {escape(refusal.reason)}{line}"


def _waiting(stats: Stats) -> str:
    rows = [
        (
            "in memory",
            f"{stats.buffered + stats.in_flight:,} points, {_mib(stats.buffered_bytes)} of "
            + _mib(stats.max_buffered),
        ),
        ("the oldest of them", f"{stats.oldest_age:,.1f} s"),
    ]
    if stats.spool is not None:
        rows.append(
            (
                "on disk",
                f"{stats.spool.points:,} points, the oldest for {stats.spool.oldest_age:,.0f} s",
            )
        )
    rows.append(("delivered since the start", f"{stats.delivered:,} points"))
    lines = "".join(f"<tr><td>{name}<td>{escape(text)}" for name, text in rows)
    return f"<h2>What waits</h2><table>{lines}</table>"


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _servers(stats: Stats) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one.host)}</code><td class=n>{one.connected} of {one.connections}"
        f"<td class=n>{one.reconnects:,}"
        for one in stats.hosts
    )
    return (
        "<h2>Servers</h2><table><tr><th>server<th class=n>connections<th class=n>connected again"
        f"{rows}</table>"
    )


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"
