"""How long a scrape of the metrics takes, of a writer that a million series wait in.

    python -m benchmarks.scrape [--series 1000000]

Prints seconds and how many samples there are. No server is needed: none is there.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

import siridb_fast
from siridb_fast import NANOSECOND, BatchWriter, metrics

NOWHERE = "siridb://iris:siri@127.0.0.1:1/dbtest"
ROUNDS = 200
MAX_BUFFERED = 1 << 30


async def measure(series: int) -> None:
    """Have a point of each series wait, and scrape that."""
    registry = CollectorRegistry()
    writer = BatchWriter(
        NOWHERE,
        max_buffered=MAX_BUFFERED,
        wait_for_server="in_background",
        time_precision=NANOSECOND,
        buffer_size=1024,
    )
    await writer.open()
    metrics.register(writer, "plant", registry)
    print(f"{'series':>9} {'samples':>8} {'median':>10} {'slowest':>10} {'stats()':>10}")
    report(writer, registry)
    writer.ticker(f"series-{number}" for number in range(series)).write(1, np.ones(series))
    report(writer, registry)
    await writer.close(0.01)


def report(writer: BatchWriter, registry: CollectorRegistry) -> None:
    """Print a line of figures."""
    scrapes = [seconds_of(lambda: generate_latest(registry)) for _ in range(ROUNDS)]
    stats = [seconds_of(writer.stats) for _ in range(ROUNDS)]
    samples = sum(not line.startswith(b"#") for line in generate_latest(registry).splitlines())
    print(
        f"{writer.stats().series:>9,} {samples:>8} {statistics.median(scrapes) * 1e3:>7.3f} ms"
        f" {max(scrapes) * 1e3:>7.3f} ms {statistics.median(stats) * 1e3:>7.3f} ms"
    )


def seconds_of(call: object) -> float:
    """Return how long a call takes."""
    assert callable(call)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--series", type=int, default=1_000_000)
    logging.getLogger("siridb_fast").setLevel(logging.CRITICAL)
    siridb_fast.run(measure(parser.parse_args().series))


if __name__ == "__main__":
    main()
