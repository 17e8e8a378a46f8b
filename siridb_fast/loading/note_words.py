"""Notes as integers: SiriDB keeps numbers, and a series of texts would spoil ``select mean()``.

A note is a text. Its words are a checksum, its length in bytes, and seven bytes in each of the
others. So a note that is there in part, since its load was killed or a server lost a point, is
left out as a whole, and those behind it are found. Knows nothing of what notes say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

__all__ = ["texts_in", "words_of"]

WORD_BYTES = 7


def words_of(text: str) -> list[int]:
    """Return the integers of a note, which is not empty."""
    data = text.encode()
    parts = (data[at : at + WORD_BYTES] for at in range(0, len(data), WORD_BYTES))
    padded = (part.ljust(WORD_BYTES, b"\0") for part in parts)
    return [_checksum(data), len(data), *map(int.from_bytes, padded)]


def texts_in(words: Sequence[int]) -> Iterator[str]:
    """Yield the notes among some integers, in their order."""
    at = 0
    while at + 2 < len(words):
        data = _data(words, at)
        if data is None or words[at] != _checksum(data):
            at += 1
        else:
            yield data.decode()
            at += 2 + _count(len(data))


def _data(words: Sequence[int], at: int) -> bytes | None:
    # What a note would have that begins there; None if none can.
    length, start = words[at + 1], at + 2
    stop = start + _count(length)
    if length <= 0 or stop > len(words):
        return None
    some = words[start:stop]
    if min(some) < 0 or max(some) >> 8 * WORD_BYTES:
        return None
    return b"".join(word.to_bytes(WORD_BYTES) for word in some)[:length]


def _count(length: int) -> int:
    return -(-length // WORD_BYTES)


def _checksum(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest()) >> 2  # 62 bits
