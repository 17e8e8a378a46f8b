"""A limit of new series a minute, which names where most of them come from.

Pure: the clock is given. Knows nothing of points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

__all__ = ["NewSeriesGuard"]

MINUTE = 60.0
KEPT = 1_000  # different values of a tag that are counted
SUBJECTS = 10_000  # that are counted


class NewSeriesGuard:
    """Counts series that the database did not have.

    Args:
        limit: So many a minute.
        clock: Returns seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._since = clock()
        self._count = 0
        self._by_subject: Counter[str] = Counter()
        self._values: dict[tuple[str, str], set[str]] = {}

    def admit(self, subject: str, tags: tuple[tuple[str, str], ...]) -> str | None:
        """Count a new series; None, or why it is refused.

        Args:
            subject: Its measurement, or the like.
            tags: Its tags.
        """
        now = self._clock()
        if now - self._since >= MINUTE:
            self._since, self._count = now, 0
            self._by_subject.clear()
            self._values.clear()
        if subject in self._by_subject or len(self._by_subject) < SUBJECTS:
            self._by_subject[subject] += 1
        for name, value in tags if len(self._values) < SUBJECTS else ():
            values = self._values.setdefault((subject, name), set())
            if len(values) < KEPT:
                values.add(value)
        if self._count < self._limit:
            self._count += 1
            return None
        return self._refusal()

    def _refusal(self) -> str:
        (subject, count), *_ = self._by_subject.most_common(1)
        text = (
            f"there are more than {self._limit:,} new series in a minute (max_new_series); "
            f"{count:,} are of {subject!r}"
        )
        tags = {name: values for (of, name), values in self._values.items() if of == subject}
        if not tags:
            return text
        name = max(tags, key=lambda one: len(tags[one]))
        many = "or more " if len(tags[name]) == KEPT else ""
        return f"{text}, whose tag {name!r} has {len(tags[name]):,} {many}different values"
