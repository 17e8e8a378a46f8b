"""Values of JSON → the bits that arrays of points have; and which are refused.

Pure; knows nothing of lines, messages and series.
"""

from __future__ import annotations

import json
from struct import Struct

from siridb_fast.formats._point_rows import ValueKind
from siridb_fast.formats.points import LineError

__all__ = ["INT64", "SHOWN", "bits_of", "checked_text", "refuse_constant", "shown"]

INT64 = range(-(2**63), 2**63)
SHOWN = 40
FLOAT, INTEGER, TEXT = int(ValueKind.FLOAT), int(ValueKind.INTEGER), int(ValueKind.TEXT)
DOUBLE_TO, INT64_OF = Struct("<d").pack, Struct("<q").unpack


def bits_of(value: object, texts: list[bytes]) -> tuple[int, int]:
    """Return the kind of a value, and the bits of it; a text is appended to ``texts``.

    Raises:
        LineError: No series takes it.
    """
    if type(value) is float:
        if value - value != 0:
            raise LineError(f"the value {value} does not fit a float of 64 bits")
        return FLOAT, INT64_OF(DOUBLE_TO(value))[0]
    if type(value) is int:
        if value not in INT64:
            raise LineError(f"the value {str(value)[:SHOWN]} does not fit 64 bits with a sign")
        return INTEGER, value
    if type(value) is bool:
        return INTEGER, int(value)
    if type(value) is not str:
        raise LineError(f"value is a number, true, false or a text, got {shown(value)}")
    texts.append(checked_text(value))
    return TEXT, len(texts) - 1


def checked_text(text: str) -> bytes:
    """Return a text in UTF-8.

    Raises:
        LineError: It has a NUL, or is no text of Unicode.
    """
    if "\0" in text:
        raise LineError(f"there is a NUL in {text[:SHOWN]!r}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise LineError(f"{text[:SHOWN]!r} has half a surrogate") from None


def refuse_constant(name: str) -> None:
    """Refuse what Python's reader takes beside JSON: NaN and infinities."""
    raise LineError(f"{name} is no number in JSON")


def shown(value: object) -> str:
    """Return the beginning of a value, for errors."""
    return json.dumps(value)[:SHOWN]
