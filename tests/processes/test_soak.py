"""Under faults nothing is lost, doubled or changed: the short form of `make soak`."""

from pathlib import Path

import pytest

import siridb_fast
import siridb_fast.connection.reconnect
from benchmarks.soak.soak import soak
from siridb_fast import SpoolOptions


@pytest.mark.server
@pytest.mark.parametrize(
    ("has_journal", "bursts", "threads", "seed"),  # whose faults begin with kills, and differ
    [(False, "mixed", 16, 36), (True, "long", 4, 97)],
)
def test_every_point_is_there_once(
    has_journal: bool,
    bursts: str,
    threads: int,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(siridb_fast.connection.reconnect, "FIRST_RETRY", 0.05)
    journal = tmp_path / "journal" if has_journal else None
    verdict = siridb_fast.run(
        soak(
            9,
            every=0.7,
            seed=seed,
            bursts=bursts,
            pace=0.0005 * threads,
            threads=threads,
            durability="safe",
            linger=0.05,
            package_bytes=100_000,
            spool=SpoolOptions(tmp_path / "spool", journal=journal),
        )
    )
    assert verdict.is_exact, str(verdict)
    assert verdict.faults["kill"] >= 1
    assert verdict.found.wanted > 10_000
