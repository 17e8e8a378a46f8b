"""How fast are small requests packed and small answers unpacked, beside the qpack C extension?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import repeat

import pytest
import qpack

from benchmarks.data import data
from benchmarks.harness.contest import Contest
from siridb_fast import packb, unpackb

ROUNDS = 25
MAP_OPEN = b"\xfd"

REQUESTS: dict[str, object] = {
    "insert of one point": {"room.12.temperature": [[1_600_000_000_123_456_789, 21.5]]},
    "log-in": ("iris", "siri", "dbtest"),
    "query": ("select * from 'room.12.temperature' after now - 1h", None),
}
ANSWERS: dict[str, dict[str, object]] = {
    "insert's answer": {"success_msg": "Successfully inserted 1 point(s)."},
    "select of 10 points": {
        "room.12.temperature": data.as_lists(data.nanoseconds(10), data.doubles(10))
    },
    "list of 100 series": {
        "columns": ["name", "type", "length"],
        "series": [[f"room.{i}.temperature", "float", 1000 + i] for i in range(100)],
    },
}
CALLS = {"insert of one point": 20_000, "select of 10 points": 5_000, "list of 100 series": 500}


@pytest.mark.parametrize("kind", REQUESTS)
def test_packing(contest: Contest, kind: str) -> None:
    _compare(contest, f"pack: {kind}", CALLS.get(kind, 20_000), packb, qpack.packb, REQUESTS[kind])


@pytest.mark.parametrize("kind", ANSWERS)
def test_unpacking(contest: Contest, kind: str) -> None:
    # as the server writes it: an open map without a close
    items = ANSWERS[kind].items()
    answer = MAP_OPEN + b"".join(packb(name) + packb(value) for name, value in items)
    ours = partial(unpackb, decode="utf-8")
    reference = partial(qpack.unpackb, decode="utf-8")
    _compare(contest, f"unpack: {kind}", CALLS.get(kind, 20_000), ours, reference, answer)


def _compare(
    contest: Contest,
    what: str,
    calls: int,
    ours: Callable[[object], object],
    reference: Callable[[object], object],
    argument: object,
) -> None:
    contest.run(
        ROUNDS,
        {
            "ours": partial(_call, ours, argument, calls),
            "reference": partial(_call, reference, argument, calls),
        },
    )
    contest.row(what, "ns/call", calls)


def _call(function: Callable[[object], object], argument: object, times: int) -> None:
    for value in repeat(argument, times):
        function(value)
