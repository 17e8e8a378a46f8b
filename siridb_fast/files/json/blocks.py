"""The text of JSON files in blocks of whole lines, an object a line.

An array of objects is read as a whole, and becomes lines; its objects count as lines do. This
module knows nothing of columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siridb_fast.columns.typed_values import SERIES, TIME, TYPED_VALUES
from siridb_fast.errors import FileError
from siridb_fast.files.text_file import TextFile

__all__ = ["JsonBlock", "JsonBlocks"]

BOM = b"\xef\xbb\xbf"
MAX_LINE = 64 * 1024 * 1024
OBJECTS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class JsonBlock:
    """Lines that are not blank, without those: the object of each, and its line in the file."""

    objects: list[bytes]
    lines: npt.NDArray[np.int64]

    @property
    def text(self) -> bytes:
        """All objects, one a line."""
        return b"\n".join(self.objects) + b"\n"


class JsonBlocks:
    """The blocks of one file, from its beginning; read once.

    Args:
        path: The file.
        block_bytes: How large blocks are.
        is_array: The file is one array of objects.
    """

    def __init__(self, path: Path, block_bytes: int, *, is_array: bool) -> None:
        self.path = path
        self.what = "a file of JSON" if is_array else "a file of JSON lines"
        self._block_bytes = block_bytes
        self._is_array = is_array
        self._file = TextFile(path, self.what)

    @property
    def bytes_read(self) -> int:
        """The offset in the file, of the compressed bytes if it is compressed."""
        return self._file.offset

    def __iter__(self) -> Iterator[JsonBlock]:
        return self._of_array() if self._is_array else self._of_lines()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _of_lines(self) -> Iterator[JsonBlock]:
        line, text = 1, self._file.read(len(BOM)).removeprefix(BOM)
        while data := self._file.read(self._block_bytes):
            text += data
            end = text.rfind(b"\n") + 1
            if not end and len(text) > MAX_LINE:
                reason = f"the line is longer than {MAX_LINE:,} bytes"
                raise FileError(reason, file=str(self.path), line=line)
            whole, text = text[:end], text[end:]
            yield _block(whole, line)
            line += whole.count(b"\n")
        if text:
            yield _block(text, line)

    def _of_array(self) -> Iterator[JsonBlock]:
        objects, number = self._objects(), 1
        while some := [*islice(objects, OBJECTS_AT_ONCE)]:
            raw = [json.dumps(one, ensure_ascii=False).encode() for one in some]
            yield JsonBlock(raw, np.arange(number, number + len(some)))
            number += len(some)

    def _objects(self) -> Iterator[object]:
        text = self._file.read().removeprefix(BOM)
        try:
            found = json.loads(text)
        except ValueError as exc:
            line = getattr(exc, "lineno", None)
            reason = f"not JSON: {exc}; a file of an object a line is called .ndjson or .jsonl"
            raise FileError(reason, file=str(self.path), line=line) from None
        if isinstance(found, list):
            return iter(found)
        if isinstance(found, dict) and found and all(map(_is_series, found.values())):
            return _rows_of(found)
        reason = f"expected an array of objects, got {_kind(found)}"
        raise FileError(reason, file=str(self.path))


def _block(text: bytes, first: int) -> JsonBlock:
    lines = text.split(b"\n")
    there = [number for number, line in enumerate(lines) if line.strip()]
    return JsonBlock([lines[number] for number in there], first + np.array(there, np.int64))


def _is_series(value: object) -> bool:
    # As a query writes it.
    if not isinstance(value, dict) or value.keys() != {"times", "values"}:
        return False
    times, values = value["times"], value["values"]
    return isinstance(times, list) and isinstance(values, list) and len(times) == len(values)


def _rows_of(found: dict[str, Any]) -> Iterator[object]:
    # Series with their points as objects of the long form, which all have the same fields.
    kinds = {float: "value_float", int: "value_integer", str: "value_text"}
    nothing = dict.fromkeys(TYPED_VALUES)
    for name, points in found.items():
        for time, value in zip(points["times"], points["values"], strict=True):
            column = kinds.get(type(value))
            row = {SERIES: name, TIME: time, **nothing}
            yield row if column is None else {**row, column: value}


def _kind(value: object) -> str:
    kinds = {dict: "an object", str: "a text", bool: "a bool", type(None): "null"}
    return kinds.get(type(value), "a number")
