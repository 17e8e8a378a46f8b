from siridb_fast.formats.points import ParsedPoints, PointKey

class RemoteWrite:
    series: list[PointKey]
    line: int
    def __init__(self, line: int = 1) -> None: ...
    def parse(self, block: bytes, *, is_last: bool = False) -> ParsedPoints: ...
