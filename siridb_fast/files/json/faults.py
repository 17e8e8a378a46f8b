"""What is wrong with an object of a JSON file, in words that name the value and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from siridb_fast.files.csv.guess_numbers import beyond_floats

__all__ = ["fault_of"]

EXPECTED = {
    "double": "a number",
    "int64": "an integer of 64 bits",
    "bool": "true or false",
    "string": "a text",
}
OF_KIND: Mapping[str, tuple[type, ...]] = {
    "double": (int, float),
    "int64": (int,),
    "bool": (bool,),
    "string": (str,),
}


def fault_of(text: bytes, kinds: Mapping[str, str]) -> tuple[str, str | None] | None:
    """Return what is wrong with an object, and its column if it is about one; None if nothing is.

    Args:
        text: The object.
        kinds: Of each column that is known, as Arrow calls its type.
    """
    try:
        found = json.loads(text, object_pairs_hook=_fields, parse_float=_float)
    except UnicodeDecodeError:
        return "the line is not UTF-8 text", None
    except ValueError as exc:
        return f"not JSON: {exc}", None
    if not isinstance(found, dict):
        return f"expected an object, got {_shown(found)}", None
    for name, value in found.items():
        if name not in kinds:
            return (
                f"no line before has the field; types={{{name!r}: 'float'}} (--type {name}=float) "
                "says that there is one"
            ), name
        if value is not None and not _fits(value, kinds[name]):
            return f"expected {EXPECTED[kinds[name]]}, got {_shown(value)}", name
    return None


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} is there twice")
    return dict(pairs)


def _float(text: str) -> float:
    if (beyond := beyond_floats(text)) is not None:
        raise ValueError(beyond)
    return float(text)


def _fits(value: object, kind: str) -> bool:
    if kind not in OF_KIND:
        return True  # it is nested, and not read
    if isinstance(value, bool) != (kind == "bool"):
        return False
    if kind == "int64" and isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, OF_KIND[kind])


def _shown(value: object, limit: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}…"
