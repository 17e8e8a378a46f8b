"""The few forms of PromQL that the alert rules have, evaluated over scrapes of a test.

Knows selectors, `increase`, `predict_linear`, `sum by` and one comparison; whatever else a rule
says is an error, so that no rule is left unchecked.
"""

import operator
import re
from dataclasses import dataclass
from pathlib import Path

from tests.metrics.scrapes import Scrape

__all__ = ["Rule", "fires", "read_rules"]

RULE = re.compile(r"- alert: (\w+)\n\s+expr: (.+)\n(?:\s+for: (\w+)\n)?")
COMPARISON = re.compile(r"^(?:sum by \([\w, ]+\) )?\(*(.+?)\)* (==|<|>) (-?\d+)$")
CALL = re.compile(r"^(increase|predict_linear)\((\S+)\[(\d+)([hm])\](?:, (\d+))?$")
SELECTOR = re.compile(r"^(\w+)(?:\{(\w+)(=|!=)\"(\w+)\"\})?$")
OPERATORS = {"==": operator.eq, "<": operator.lt, ">": operator.gt}
SECONDS = {"m": 60, "h": 3600}

Series = dict[frozenset[tuple[str, str]], list[tuple[float, float]]]  # labels: (time, value), …


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert."""

    name: str
    expression: str


def read_rules(path: Path) -> dict[str, Rule]:
    """Return the rules of a file, by name."""
    return {name: Rule(name, text) for name, text, _ in RULE.findall(path.read_text())}


def fires(rule: Rule, scrapes: list[tuple[float, Scrape]]) -> bool:
    """Tell whether the condition of a rule is true at the time of the last scrape.

    Args:
        rule: The rule.
        scrapes: (time in seconds, scrape), …
    """
    match = COMPARISON.match(rule.expression)
    assert match is not None, rule.expression
    term, comparison, number = match.groups()
    values = _values(term, scrapes)
    if rule.expression.startswith("sum by"):
        values = _sums(values, re.findall(r"\w+", rule.expression.partition(")")[0])[2:])
    return any(OPERATORS[comparison](value, float(number)) for value in values.values())


def _values(
    term: str, scrapes: list[tuple[float, Scrape]]
) -> dict[frozenset[tuple[str, str]], float]:
    call = CALL.match(term)
    if call is None:
        found = _select(term, scrapes[-1:])
        return {labels: samples[-1][1] for labels, samples in found.items()}
    function, selector, count, unit, ahead = call.groups()
    since = scrapes[-1][0] - int(count) * SECONDS[unit]
    window = [(at, one) for at, one in scrapes if at >= since]
    if function == "increase":
        found = _select(selector, window)
        return {labels: some[-1][1] - some[0][1] for labels, some in found.items()}
    found = {labels: some for labels, some in _select(selector, window).items() if len(some) > 1}
    return {labels: _predict(some, float(ahead)) for labels, some in found.items()}


def _select(term: str, scrapes: list[tuple[float, Scrape]]) -> Series:
    match = SELECTOR.match(term)
    assert match is not None, term
    metric, label, sign, wanted = match.groups()
    found: Series = {}
    for at, scrape in scrapes:
        for (name, labels), value in scrape.samples.items():
            is_wanted = label is None or (dict(labels).get(label) == wanted) == (sign == "=")
            if name == metric and is_wanted:
                found.setdefault(labels, []).append((at, value))
    return found


def _sums(
    values: dict[frozenset[tuple[str, str]], float], by: list[str]
) -> dict[frozenset[tuple[str, str]], float]:
    sums: dict[frozenset[tuple[str, str]], float] = {}
    for labels, value in values.items():
        key = frozenset((name, text) for name, text in labels if name in by)
        sums[key] = sums.get(key, 0.0) + value
    return sums


def _predict(samples: list[tuple[float, float]], ahead: float) -> float:
    # The least squares, as Prometheus does it; at so many seconds after the last sample.
    end = samples[-1][0]
    times = [at - end for at, _ in samples]
    mean_time = sum(times) / len(samples)
    mean = sum(value for _, value in samples) / len(samples)
    slope = sum((t - mean_time) * v for t, (_, v) in zip(times, samples, strict=True)) / sum(
        (t - mean_time) ** 2 for t in times
    )
    return mean + slope * (ahead - mean_time)
