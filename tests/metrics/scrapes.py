"""What Prometheus would read of a registry: one scrape, and the values in it."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from siridb_fast.metrics import PREFIX

__all__ = ["Scrape", "scrape"]

Key = tuple[str, frozenset[tuple[str, str]]]


class Scrape:
    """The samples of one scrape, by name and labels."""

    def __init__(self, samples: dict[Key, float]) -> None:
        self.samples = samples

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}

    def value(self, metric: str, /, **labels: str) -> float:
        """Return a value; the metric's name is without its prefix."""
        return self.samples[PREFIX + metric, frozenset(labels.items())]

    def of(self, source: str) -> dict[Key, float]:
        """Return the samples of what is registered under a name."""
        return {key: n for key, n in self.samples.items() if ("name", source) in key[1]}


def scrape(registry: CollectorRegistry) -> Scrape:
    """Read a registry through the text that Prometheus gets."""
    text = generate_latest(registry).decode()
    return Scrape(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )
