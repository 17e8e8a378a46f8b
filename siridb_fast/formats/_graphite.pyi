from siridb_fast.formats.points import ParsedPoints, PointKey

class Graphite:
    series: list[PointKey]
    line: int
    def __init__(self, line: int = 1, unit: int = 1_000_000_000) -> None: ...
    def parse(self, block: bytes, *, is_last: bool = False) -> ParsedPoints: ...
