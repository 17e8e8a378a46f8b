from siridb_fast.formats.points import ParsedPoints, PointKey

class LineProtocol:
    series: list[PointKey]
    line: int
    def __init__(
        self, line: int = 1, *, keeps_types: bool = False, is_questdb: bool = False
    ) -> None: ...
    def parse(self, block: bytes, *, is_last: bool = False) -> ParsedPoints: ...
