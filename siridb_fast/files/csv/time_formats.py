"""Which formats some texts of times allow: one is a guess, several are ambiguous, none is no time.

Formats are made of the shape that most texts have, and kept if the texts are times of them, as
`read_times` reads them. This module needs pyarrow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from siridb_fast.files._time_texts import Status
from siridb_fast.files.arrow_constants import arrow_texts
from siridb_fast.files.csv.dialect import TimeFormat
from siridb_fast.files.csv.times import statuses_of

__all__ = ["possible_formats"]

DATE_NAMES = {"date", "datum", "day", "fecha", "data", "tag", "yyyymmdd"}
NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")
YEAR = re.compile(r"[12]\d{3}")
COMPACT = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
SHORT_NAME = 3
LONGEST_EPOCH = 10  # digits of seconds; longer ones are a date and a time, if they fit
CLOCK = re.compile(
    r"(?<![\d.,])(\d{1,2}):\d\d(:\d\d)?(?:([.,])\d{1,9})?(?![\d:])"
    r"(?:(\s*)[ap](\.?)m\5)?(?:(\s*)(?:z|utc|gmt|[+-]\d\d(?::?\d\d)?)(?![a-z\d]))?",
    re.IGNORECASE,
)
SIGNS = re.compile(r"\d+|[^\W\d_]+")
WORD = re.compile(r"[A-Za-z]{3,9}")
MONTH = re.compile(r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec", re.IGNORECASE)
WEEKDAY = re.compile(r"mon|tue|wed|thu|fri|sat|sun", re.IGNORECASE)
NUMBERS = re.compile(r"(?<!%)\d+")
REFUSED = (Status.MISSING, Status.NO_MATCH, Status.NO_SUCH_DATE, Status.NO_SUCH_CLOCK)
ODD_LETTER = re.compile(r"\d[A-Za-z](?!\0)|[A-Za-z]\d|(?<=\d)[A-SU-Za-su-z]\0")  # 1974Q1


def possible_formats(texts: Sequence[str], name: str, share: float = 1.0) -> list[TimeFormat]:
    """Return the formats that some texts allow, ISO 8601 first, numbers since 1970 last.

    Args:
        texts: Of a sample, none of which is missing.
        name: Of the column. In one called ``date``, 20240301 is a date where all are.
        share: Of the texts that have to be times of a format. Of several formats those are left
            that most texts are times of.
    """
    texts = [text.strip() for text in texts]
    if not texts:
        return []
    numbers = [text for text in texts if NUMBER.fullmatch(text)]
    least = share * len(texts)
    if len(numbers) >= least:
        found = _of_digits(numbers, name)
    elif _count(texts, "iso") >= least:
        found = ["iso"]
    else:
        found = _best(texts, dict.fromkeys(_written(_usual(texts))), least)
    return [TimeFormat(columns=(name,), form=form) for form in found]


def _usual(texts: Sequence[str]) -> str:
    # The first of those that look as most do.
    shapes = [SIGNS.sub(_shape, text) for text in texts]
    ((most, _),) = Counter(shapes).most_common(1)
    return texts[shapes.index(most)]


def _shape(found: re.Match[str]) -> str:
    return "0" if found[0].isdecimal() else "a"


def _best(texts: Sequence[str], forms: Iterable[str], least: float) -> list[str]:
    counts = {form: _count(texts, form) for form in forms}
    most = max([*counts.values(), 1])
    return [form for form, count in counts.items() if count == most >= least]


def _count(texts: Sequence[str], form: str) -> int:
    # A time that no database holds is one all the same: its row is bad then.
    statuses = statuses_of(arrow_texts(texts), TimeFormat(columns=(), form=form))
    return len(texts) - int(np.isin(statuses, REFUSED).sum())


def _of_digits(texts: Sequence[str], name: str) -> list[str]:
    if all(map(YEAR.fullmatch, texts)):
        return ["%Y", "epoch"]
    widths = {*map(len, texts)}
    date = COMPACT.get(min(widths), "") if len(widths) == 1 else ""
    is_named = date == "%Y%m%d" and name.strip().lower() in DATE_NAMES
    dates = _count(texts, date) if date else 0
    if not is_named and 2 * dates < max(1, len(texts)):
        return ["epoch"]
    is_date = is_named or min(widths) > LONGEST_EPOCH
    return [date] if is_date and dates == len(texts) else [date, "epoch"]


def _written(text: str) -> Iterator[str]:
    # A date in any order, and a clock time behind it, or before it.
    clock = CLOCK.search(text)
    if clock is None:
        yield from _dates(text)
        return
    before, after = text[: clock.start()], text[clock.end() :]
    for form in _dates(f"{before}\0{after}"):
        yield form.replace("\0", _clock(clock))


def _clock(found: re.Match[str]) -> str:
    _, seconds, point, half_blank, _, zone_blank = found.groups()
    half = "" if half_blank is None else f"{half_blank[:1]}%p"
    zone = "" if zone_blank is None else f"{zone_blank[:1]}%z"
    decimals = f"{point}%f" if point else ""
    return f"{'%I' if half else '%H'}:%M{':%S' if seconds else ''}{decimals}{half}{zone}"


def _dates(text: str) -> Iterator[str]:
    text = text.replace("%", "%%")
    named = re.sub(r"\s+", " ", WORD.sub(lambda found: _directive_of(found[0]), text))
    numbers = NUMBERS.findall(named)
    has_month = "%b" in named or "%B" in named
    if ODD_LETTER.search(re.sub("%[abB]", "", named)):
        return
    if len(numbers) != (2 if has_month else 3) and not _is_month_only(numbers, has_month):
        return
    for order in _orders(numbers, named, has_month):
        letters = iter(order)
        yield NUMBERS.sub(lambda found: _numeric(next(letters), found[0]), named)  # noqa: B023


def _is_month_only(numbers: Sequence[str], has_month: bool) -> bool:
    # 2024-03, 03/2024, March 2024
    return len(numbers) == 2 - has_month and any(len(number) == 4 for number in numbers)


def _orders(numbers: Sequence[str], text: str, has_month: bool) -> Sequence[str]:
    if _is_month_only(numbers, has_month):
        return ("Y",) if has_month else ("Ym", "mY")
    if has_month:
        return ("dY", "Yd") if len(numbers[0]) != len(numbers[1]) else ("dY",)
    if re.search(r"\d\.\d{1,2}\.\d", text):
        return ("Ymd", "dmY") if len(numbers[0]) == 4 else ("dmY",)  # no month first, with points
    return ("Ymd", "dmY", "mdY")


def _directive_of(word: str) -> str:
    if MONTH.match(word):
        return "%b" if len(word) == SHORT_NAME else "%B"
    return "%a" if WEEKDAY.match(word) else word


def _numeric(letter: str, number: str) -> str:
    return "%y" if letter == "Y" and len(number) == 2 else f"%{letter}"
