class Series:
    name: str
    points: int
