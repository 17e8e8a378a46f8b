"""The text of a select in SiriDB's query language: its parts, and selects made of the same parts.

Knows the grammar of siridb-server 2.0 as far as needed to find where a part begins; a text that
it does not understand is left to the server, whose error says more. Sends nothing.

Texts are str here. A name that is not UTF-8, as other clients may give one, is bytes in answers;
in a text its odd bytes are lone surrogates (PEP 383), which `query_bytes` makes bytes again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

__all__ = [
    "NAMES_PER_QUERY",
    "QUERY_BYTES",
    "Select",
    "in_asked_order",
    "name_batches",
    "parse_select",
    "query_bytes",
    "quote",
    "quoted_bytes",
]

T = TypeVar("T")

QUERY_BYTES = 60_000  # the server takes 65,535 for the whole package
NAMES_PER_QUERY = 1000

CLAUSES = frozenset({"after", "before", "between", "head", "tail"})
PARTS = CLAUSES | {"from", "where", "merge"}
ALL_POINTS = frozenset({"*", "all", "points"})
REDUCERS = frozenset(
    {"count", "first", "last", "limit", "max", "mean", "median", "median_high", "median_low"}
    | {"min", "pvariance", "stddev", "sum", "variance"}
)
DIVIDED = frozenset({"number", "string", "now", ")"})
# A "/" begins a regular expression, unless it divides what comes before it: 1h / 2, (now) / 2.
TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>\#.*)
      | (?P<string>(?:'[^']*')+ | (?:"[^"]*")+ | (?:`[^`]*`)+)
      | (?P<number>[0-9.]+(?:[smhdw](?![a-z_]))?)
      | (?P<word>[a-z_]+)
      | (?P<sign>=>|[^'"`\#])
    """,
    re.VERBOSE,
)
REGEX = re.compile(r"/[^/\\]*(?:\\.[^/\\]*)*/i?")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query's text, and where it is."""

    kind: str
    text: str
    start: int
    depth: int


@dataclass(frozen=True, slots=True)
class Select:
    """``select <methods> from <series> [where <where>] [<clause> <times>] [merge <merge>]``.

    Each part is the text between the words; an absent one is empty. ``is_plain``: the methods
    return every point of a series under one name, so that answers for parts of the time can be put
    one after another. ``is_reduced``: each of them returns far fewer points than it reads.
    ``methods_count`` is the number of answers for a series.
    """

    methods: str
    series: str
    where: str = ""
    clause: str = ""
    times: str = ""
    merge: str = ""
    is_plain: bool = False
    is_reduced: bool = False
    methods_count: int = 1

    def __str__(self) -> str:
        parts = ["select", self.methods, "from", self.series]
        if self.where:
            parts.append(f"where {self.where}")
        if self.clause:
            parts.append(f"{self.clause} {self.times}")
        if self.merge:
            parts.append(f"merge {self.merge}")
        return " ".join(parts)

    def with_method(self, method: str) -> Select:
        """Return the select of another method that returns few points, of the same series."""
        return replace(self, methods=method, is_plain=False, is_reduced=True, methods_count=1)

    def of_series(self, quoted: str) -> Select:
        """Return the select of these series, which meet the condition of ``where`` already."""
        return replace(self, series=quoted, where="")

    def split_methods(self) -> list[Select]:
        """Return a select for each method."""
        texts = [
            self.methods[method[0].start : method[-1].start + len(method[-1].text)]
            for method in _methods(self.methods)
        ]
        selects = [parse_select(str(replace(self, methods=text))) for text in texts]
        return [select for select in selects if select is not None]

    def without_clause(self) -> Select:
        """Return the select of all times."""
        return replace(self, clause="", times="")

    def max_points(self, length: int) -> int:
        """Return the most points that may come of a series of this length."""
        if self.clause in ("head", "tail") and self.times.isdigit():
            length = min(length, int(self.times))
        return length * self.methods_count

    def within(self, start: int, stop: int | None) -> Select:
        """Return the select of ``start <= timestamp < stop``, instead of its own clause."""
        if stop is None:
            return replace(self, clause="after", times=str(start))
        return replace(self, clause="between", times=f"{start} and {stop}")

    def with_names_between(self, first: str | bytes | None, stop: str | bytes | None) -> Select:
        """Return the select of those series whose names are in ``first <= name < stop``."""
        conditions = [f"({self.where})"] if self.where else []
        conditions += [f"name >= {quote(first)}"] if first is not None else []
        conditions += [f"name < {quote(stop)}"] if stop is not None else []
        return replace(self, where=" and ".join(conditions))

    def list_query(self, limit: int) -> str:
        """Return the query that lists names of the series, in no order."""
        where = f" where {self.where}" if self.where else ""
        return f"list series name {self.series}{where} limit {limit}"

    def listed_names(self) -> list[str] | None:
        """Return the names of the series, where the series are nothing but names."""
        names = []
        for token in _tokens(self.series):
            if token.kind == "string" and token.text[0] != "`":  # that is a group or a tag
                mark = token.text[0]
                names.append(token.text[1:-1].replace(2 * mark, mark))
            elif token.kind != "space" and token.text not in (",", "|"):
                return None
        return names

    def time_bounds(self) -> tuple[str, str]:
        """Return the time expressions of ``after``, ``between`` and ``before``; "" for none."""
        if self.clause == "after":
            return self.times, ""
        if self.clause == "before":
            return "", self.times
        if self.clause == "between":
            middle = next(token for token in _tokens(self.times) if _is_top(token, {"and"}))
            return self.times[: middle.start].strip(), self.times[middle.start + 3 :].strip()
        return "", ""


def quote(name: str | bytes) -> str:
    """Return a series' name as the query language takes it."""
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    return '"' + text.replace('"', '""') + '"'


def query_bytes(text: str | bytes) -> bytes:
    """Return the text of a query as it is sent."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def name_batches(
    names: Iterable[str],
    size: int = QUERY_BYTES,
    *,
    limit: int = NAMES_PER_QUERY,
    weight: Callable[[str], int] = lambda _: 1,
) -> Iterator[list[str]]:
    """Yield names of series, as many as one query takes; one that is too much comes alone.

    Args:
        names: Of series.
        size: Bytes that there are for the names, quoted, and the commas between them.
        limit: What the names of one query may weigh together.
        weight: Returns what a name weighs; without it, 1.
    """
    batch: list[str] = []
    left, weight_left = size, limit
    for name in names:
        length, own_weight = quoted_bytes(name) + 1, weight(name)
        if batch and (length > left or own_weight > weight_left):
            yield batch
            batch, left, weight_left = [], size, limit
        batch.append(name)
        left -= length
        weight_left -= own_weight
    if batch:
        yield batch


def quoted_bytes(name: str | bytes) -> int:
    """Return the bytes that a name takes in a query, or more if it is not UTF-8."""
    return len(quote(name).encode("utf-8", "surrogatepass"))


def parse_select(query: str | bytes) -> Select | None:
    """Return the parts of a select, with or without ``timeit``; None if it is something else."""
    text = query.decode("utf-8", "surrogateescape") if isinstance(query, bytes) else query
    tokens = list(_tokens(text))
    if tokens and tokens[0].text == "timeit":
        del tokens[0]
    if not tokens or tokens[0].text != "select" or tokens[-1].kind == "unknown":
        return None
    if tokens[-1].kind == "comment":
        text = text[: tokens.pop().start]
    parts = _parts(text, tokens)
    clauses = [word for word in parts if word in CLAUSES]
    if not parts.get("select") or not parts.get("from") or len(clauses) > 1:
        return None
    clause = clauses[0] if clauses else ""
    methods = _methods(parts["select"])
    return Select(
        methods=parts["select"],
        series=parts["from"],
        where=parts.get("where", ""),
        clause=clause,
        times=parts.get(clause, ""),
        merge=parts.get("merge", ""),
        is_plain=len(methods) == 1 and _is_plain(methods[0]),
        is_reduced=all(any(token.text in REDUCERS for token in method) for method in methods),
        methods_count=len(methods),
    )


def in_asked_order(query: str | bytes, answer: dict[str, T]) -> dict[str, T]:
    """Return the series of an answer in the order in which a select names them.

    The server has an order of its own. What the select does not name itself comes last.
    """
    select = parse_select(query)
    names = None if select is None else select.listed_names()
    asked = [name for name in dict.fromkeys(names or ()) if name in answer]
    return {name: answer[name] for name in asked} | answer if asked else answer


def _tokens(text: str) -> Iterator[Token]:
    position = depth = 0
    last = ""  # the kind of the last token, or its text if it is a word or a sign
    while position < len(text):
        found = REGEX.match(text, position) if last not in DIVIDED else None
        kind = "regex" if found else ""
        found = found or TOKEN.match(text, position)
        if found is None:  # a quote that is not closed
            yield Token("unknown", text[position:], position, depth)
            return
        kind = kind or str(found.lastgroup)
        if kind != "space":
            depth -= found[0] == ")"
            yield Token(kind, found[0], position, depth)
            depth += found[0] == "("
            last = found[0] if kind in ("word", "sign") else kind
        position = found.end()


def _is_top(token: Token, words: Iterable[str]) -> bool:
    return token.kind == "word" and token.depth == 0 and token.text in words


def _parts(text: str, tokens: list[Token]) -> dict[str, str]:
    # From each word that begins a part to the next one.
    marks = [tokens[0], *(token for token in tokens[1:] if _is_top(token, PARTS))]
    stops = [*(mark.start for mark in marks[1:]), len(text)]
    return {
        mark.text: text[mark.start + len(mark.text) : stop].strip()
        for mark, stop in zip(marks, stops, strict=True)
    }


def _methods(text: str) -> list[list[Token]]:
    methods: list[list[Token]] = [[]]
    for token in _tokens(text):
        if token.text == "," and token.depth == 0:
            methods.append([])
        else:
            methods[-1].append(token)
    return methods


def _is_plain(method: list[Token]) -> bool:
    first, *modifiers = method
    return first.text in ALL_POINTS and all(
        token.kind == "string" or token.text in ("prefix", "suffix") for token in modifiers
    )
