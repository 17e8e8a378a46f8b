"""What is started at the beginning of a ``with`` block and gone at its end.

Knows nothing of what that is.
"""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

__all__ = ["Startable"]


class Startable(ABC):
    """A context manager by its `start` and `close`."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def start(self, timeout: float = 30) -> Self:
        """Start it, and return it once it is ready."""

    @abstractmethod
    def close(self) -> None:
        """End it, and remove what it has left."""
