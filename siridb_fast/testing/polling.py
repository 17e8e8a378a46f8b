"""Waiting for something that nobody announces: check again and again, until a deadline."""

import time
from collections.abc import Callable

__all__ = ["wait_until"]


def wait_until(
    condition: Callable[[], bool], *, timeout: float, what: str, interval: float = 0.005
) -> None:
    """Call `condition` until it is true.

    Args:
        condition: checked once in any case; what it raises is passed on.
        timeout: seconds.
        what: completes "… did not come true", for the error.
        interval: seconds between two checks.

    Raises:
        TimeoutError: the condition was still false after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout:g} s: {what} did not come true")
        time.sleep(interval)
