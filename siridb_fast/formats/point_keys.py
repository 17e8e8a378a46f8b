"""The names in a text protocol: split and unescaped, once for each series.

Rules of escapes are those of InfluxDB 1 (``models/points.go`` of its sources), which takes
an escaped ``=`` in a measurement for one, as clients write it. Those of QuestDB are what its
clients write: a backslash before whatever means something, itself too.
"""

from __future__ import annotations

import re

from siridb_fast.formats.points import LineError

__all__ = [
    "field_key",
    "graphite_path",
    "influx_head",
    "questdb_head",
    "questdb_text",
    "text_of",
]

Tags = tuple[tuple[str, str], ...]

COMMA = re.compile(r"(?<!\\),")
EQUALS = re.compile(r"(?<!\\)=")
OF_NAME = re.compile(r"\\([,= ])")
OF_TEXT = re.compile(rb'\\(["\\])')
QUESTDB_TEXT = re.compile(rb'\\(["\\\n\r])')
QUESTDB_NAME = re.compile(r"\\([,= \\\n\r])")
QUESTDB_PAIR = re.compile(r"(?:\\.|[^,\\])+|(?<=,)(?=,|$)", re.DOTALL)
QUESTDB_TAG = re.compile(r"((?:\\.|[^=\\])+)=((?:\\.|[^=\\])+)", re.DOTALL)


def influx_head(raw: bytes) -> tuple[str, Tags]:
    """Return the measurement and the tags, sorted, of what stands before the fields of a line.

    Raises:
        LineError: It is wrong.
    """
    is_plain = b"\\" not in raw
    text = _decoded(raw)
    measurement, *pairs = text.split(",") if is_plain else COMMA.split(text)
    if not measurement:
        raise LineError("expected a measurement, got a comma")
    tags = {}
    for pair in pairs:
        key, *values = pair.split("=") if is_plain else EQUALS.split(pair)
        if not key or len(values) != 1 or not values[0]:
            raise LineError(f"expected tag=value, got {pair!r}")
        name = key if is_plain else OF_NAME.sub(r"\1", key)
        if name in tags:
            raise LineError(f"the tag {name!r} is there twice")
        tags[name] = values[0] if is_plain else OF_NAME.sub(r"\1", values[0])
    return OF_NAME.sub(r"\1", measurement), tuple(sorted(tags.items()))


def questdb_head(raw: bytes) -> tuple[str, Tags]:
    """Return the same of a line that a client of QuestDB wrote.

    Raises:
        LineError: It is wrong.
    """
    text = _decoded(raw)
    if text.startswith(","):
        raise LineError("expected a measurement, got a comma")
    measurement, *pairs = QUESTDB_PAIR.findall(text)
    tags = {}
    for pair in pairs:
        found = QUESTDB_TAG.fullmatch(pair)
        if found is None:
            raise LineError(f"expected tag=value, got {pair!r}")
        name, value = (QUESTDB_NAME.sub(r"\1", part) for part in found.groups())
        if name in tags:
            raise LineError(f"the tag {name!r} is there twice")
        tags[name] = value
    return QUESTDB_NAME.sub(r"\1", measurement), tuple(sorted(tags.items()))


def questdb_text(raw: bytes) -> bytes:
    """Return what stands between the quotes of a text that a client of QuestDB wrote.

    Raises:
        LineError: As `text_of`.
    """
    _decoded(raw)
    return QUESTDB_TEXT.sub(rb"\1", raw) if b"\\" in raw else raw


def field_key(raw: bytes) -> str:
    """Return the name of a field.

    Raises:
        LineError: It is wrong.
    """
    text = _decoded(raw)
    return OF_NAME.sub(r"\1", text) if b"\\" in raw else text


def text_of(raw: bytes) -> bytes:
    """Return what stands between the quotes of a text.

    Raises:
        LineError: It is not UTF-8, or has a NUL, which the server takes for its end.
    """
    _decoded(raw)
    return OF_TEXT.sub(rb"\1", raw) if b"\\" in raw else raw


def graphite_path(raw: bytes) -> tuple[str, Tags]:
    """Return the path and the tags, sorted, of ``path;tag=value…``.

    Raises:
        LineError: It is wrong.
    """
    path, *pairs = _decoded(raw).split(";")
    if not path:
        raise LineError("expected a path, got a semicolon")
    tags = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise LineError(f"expected tag=value, got {pair!r}")
        if name in tags:
            raise LineError(f"the tag {name!r} is there twice")
        tags[name] = value
    return path, tuple(sorted(tags.items()))


def _decoded(raw: bytes) -> str:
    if b"\0" in raw:
        raise LineError(f"there is a NUL in {raw[:40]!r}")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise LineError(f"{raw[:40]!r} is not UTF-8") from None
