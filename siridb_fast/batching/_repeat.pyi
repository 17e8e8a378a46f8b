from siridb_fast.batching._series import Series

class Repeat:
    series: Series
    first: int
    last: int
    oldest: int
    newest: int
    key: int
    points: int

def note_run(series: Series, first: int, last: int, repeats: list[Repeat]) -> None: ...
