"""Series whose names mean something elsewhere: in the server's answers, or in our own tables.

And what a database holds of them, told by the server's HTTP interface: in JSON, in which no
decoder of ours has a part.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.fix_server import Database

__all__ = ["KINDS", "NAMES", "Points", "arrays_of", "as_points", "held", "points_of"]

Points = dict[str, list[list[Any]]]

# Keys of the server's answers: of selects that say timeit, of lists, counts, times and messages.
OF_ANSWERS = (
    "__timeit__ access calc columns data end error_msg groups help length motd name online pool "
    "pools select select_points_limit series series_length server servers servers_length shards "
    "shards_size sid start status success_msg tags time timeit type users value version"
)
# Columns of tables and files that are read or written here, and parts of templates.
OF_TABLES = "column index level_0 points time_ timestamp times values"
NEIGHBOURS = ["!", "~"]  # an answer has names in order: one before all others, one behind them
NAMES = [*OF_ANSWERS.split(), *OF_TABLES.split(), *NEIGHBOURS]

FIRST = 1_767_225_600_000_000_001  # 2026-01-01 in ns
TIMES = [FIRST, FIRST + 1, FIRST + 10**9]
VALUES: dict[str, Callable[[int], object]] = {
    "float": lambda number: number + 0.5,
    "integer": lambda number: number,
    "text": lambda number: f"é{number}",
}
KINDS = list(VALUES)


def points_of(kind: str) -> Points:
    """Return the points of each name: the same times, and values of a kind that no other has."""
    return {
        name: [[at, VALUES[kind](10 * place + k)] for k, at in enumerate(TIMES)]
        for place, name in enumerate(NAMES)
    }


def arrays_of(points: Points) -> dict[str, tuple[Any, Any]]:
    """Return points as pairs of arrays; texts are objects."""
    found = {}
    for name, pairs in points.items():
        values = [value for _, value in pairs]
        dtype = object if isinstance(values[0], str) else None
        found[name] = np.array([at for at, _ in pairs]), np.array(values, dtype)
    return found


def as_points(arrays: Any) -> Points:
    """Return pairs of arrays as points."""
    return {
        name: [list(pair) for pair in zip(times.tolist(), values.tolist(), strict=True)]
        for name, (times, values) in arrays.items()
    }


def held(database: Database) -> Points:
    """Return all that a database holds."""
    answer = database.server.api.query(database.name, "select * from *")
    return {name: sorted(points) for name, points in answer.items()}
