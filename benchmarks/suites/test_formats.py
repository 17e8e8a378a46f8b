"""How fast do the parsers of text protocols read?

Line protocol is that of TSBS, cpu-only: 1,000 hosts, lines of ten fields. Beside it stands what no
parser in Python can do without, `bytes.split` of all lines into head, fields and timestamp, and of
the fields into keys and values, which are still bytes.
"""

from __future__ import annotations

from benchmarks.data.tsbs import CpuOnly
from benchmarks.harness.contest import Contest
from siridb_fast.formats._graphite import Graphite
from siridb_fast.formats._line_protocol import LineProtocol

ROUNDS = 7
BLOCK = 2 * 1024 * 1024  # bytes that are parsed at once, as files are read
HOSTS, TIMES = 1000, 100


def test_line_protocol(contest: Contest) -> None:
    data = CpuOnly(HOSTS, TIMES)
    text = data.lines()
    assert parse(LineProtocol(), text) == data.points
    contest.run(
        ROUNDS,
        {"ours": lambda: parse(LineProtocol(), text), "reference": lambda: split(text)},
    )
    megabytes = len(text) / 1e6
    what = "line protocol, TSBS cpu-only, parsed / bytes.split of all fields"
    contest.row(what, "ms/MB", megabytes)


def test_graphite(contest: Contest) -> None:
    text = b"".join(
        b"servers.host_%d.cpu.usage_%d %d.5 %d\n" % (host, metric, host, 1_451_606_400 + at)
        for at in range(TIMES)
        for host in range(HOSTS)
        for metric in range(10)
    )
    assert parse(Graphite(), text) == HOSTS * TIMES * 10
    contest.run(
        ROUNDS,
        {
            "ours": lambda: parse(Graphite(), text),
            "reference": lambda: [line.split(b" ") for line in text.split(b"\n")],
        },
    )
    what = "Graphite lines, parsed / bytes.split of all lines"
    contest.row(what, "ms/MB", len(text) / 1e6)


def parse(parser: LineProtocol | Graphite, text: bytes) -> int:
    """Parse a text in blocks; return how many points it has."""
    start = points = 0
    while start < len(text):
        found = parser.parse(text[start : start + BLOCK])
        assert not found.bad
        points += len(found)
        start += found.size
    return points


def split(text: bytes) -> int:
    """Split a text into the bytes of its parts; return how many fields it has."""
    fields = 0
    for line in text.split(b"\n"):
        if line:
            _head, values, _timestamp = line.split(b" ")
            fields += len([field.split(b"=") for field in values.split(b",")])
    return fields
