"""How annotated CSV of InfluxDB begins, for whoever has to tell it from other CSV."""

from __future__ import annotations

import re

__all__ = ["ANNOTATION", "LOOKED_AT", "is_annotated"]

ANNOTATION = re.compile(r"#(group|datatype|default|constant|concat|timezone)\b *")
LOOKED_AT = 32  # bytes of a text


def is_annotated(start: bytes) -> bool:
    """Tell whether a text that begins so is annotated CSV."""
    text = start[:LOOKED_AT].decode("utf-8-sig", "replace").lstrip('\r\n"')
    return ANNOTATION.match(text) is not None
