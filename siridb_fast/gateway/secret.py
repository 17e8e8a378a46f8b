"""A text that nobody is shown."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

__all__ = ["Secret"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that no repr shows."""

    text: str = field(repr=False)

    def matches(self, given: str) -> bool:
        """Tell whether somebody knows it, in a time that tells nothing of it."""
        return hmac.compare_digest(self.text.encode(), given.encode("utf-8", "replace"))
