"""A function over many items in several threads, a few ahead of who takes the results, in order.

Knows nothing of what is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

__all__ = ["in_order"]

T = TypeVar("T")
U = TypeVar("U")


def in_order(
    function: Callable[[T], U], items: Iterable[T], threads: int, ahead: int
) -> Iterator[U]:
    """Yield what a function returns of each item, in their order; of a single one without threads.

    What it raises, or what the items raise, is raised behind the results of the items before.

    Args:
        function: Called in threads.
        items: Taken in the thread that takes the results.
        threads: How many.
        ahead: How many items are taken before the first result is.
    """
    iterator = iter(items)
    for first in iterator:
        try:
            second = next(iterator)
        except StopIteration:
            yield function(first)
        except Exception:
            yield function(first)
            raise
        else:
            yield from _in_threads(function, chain((first, second), iterator), threads, ahead)


def _in_threads(
    function: Callable[[T], U], iterator: Iterator[T], threads: int, ahead: int
) -> Iterator[U]:
    pool = ThreadPoolExecutor(threads, "siridb_fast csv")
    coming: deque[Future[U]] = deque()
    try:
        while True:
            error: Exception | None = None
            try:
                coming.append(pool.submit(function, next(iterator)))
            except StopIteration:
                break
            except Exception as exc:  # noqa: BLE001 - raised behind the results
                error = exc
            if error is not None:
                yield from (future.result() for future in coming)
                raise error
            if len(coming) > ahead:
                yield coming.popleft().result()
        yield from (future.result() for future in coming)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
