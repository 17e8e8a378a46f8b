"""An agent as Telegraf is one: a batch that failed is given back, and cut otherwise."""

import http.client
import random
from collections import deque
from contextlib import suppress

__all__ = ["Agent"]

Place = tuple[str, int]


class Agent:
    """Sends lines until each of them was acknowledged.

    Args:
        lines: To be sent, in their order.
        seed: Of how batches are cut, and of what goes wrong.
        fault_rate: Of how many requests the answer is not waited for, or the body cut off.
    """

    def __init__(self, lines: list[bytes], seed: int, *, fault_rate: float = 0.2) -> None:
        self._buffer = deque(lines)
        self._random = random.Random(seed)
        self._fault_rate = fault_rate
        self._to: http.client.HTTPConnection | None = None
        self.failed = 0

    def send_all(self, place: Place, *, twice: bool = False) -> None:
        """Send what is left; ``twice`` sends each batch again right after its answer."""
        while self._buffer:
            size = min(len(self._buffer), self._random.randrange(1, 400))
            batch = [self._buffer.popleft() for _ in range(size)]
            body = b"".join(batch)
            is_taken = self._request(place, body)
            if is_taken and twice:
                self._request(place, body)
            if not is_taken:
                self.failed += 1
                self._buffer.extendleft(reversed(batch))
        self.hang_up()

    def hang_up(self) -> None:
        if self._to is not None:
            self._to.close()
        self._to = None

    def _request(self, place: Place, body: bytes) -> bool:
        # Tell whether it is known to be taken.
        kind = self._random.random() / self._fault_rate
        try:
            if self._to is None:
                self._to = http.client.HTTPConnection(*place, timeout=60)
                self._to.connect()
            if kind < 0.3:  # the body is cut off
                self._to.putrequest("POST", "/write?db=any")
                self._to.putheader("Content-Length", str(len(body)))
                self._to.endheaders(body[: self._random.randrange(len(body))])
                self.hang_up()
                return False
            self._to.request("POST", "/write?db=any", body)
            if kind < 1:  # as after a timeout: it may be taken
                self.hang_up()
                return False
            with self._to.getresponse() as answer:
                answer.read()
                return answer.status == 204
        except (OSError, http.client.HTTPException):
            with suppress(OSError):
                self.hang_up()
            return False
