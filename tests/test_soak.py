"""Under faults nothing is lost, doubled or changed: the short form of `make soak`."""

import pytest

import siridb_fast
import siridb_fast.cluster
from benchmarks.soak import soak


@pytest.mark.parametrize("seed", [1, 2])
def test_every_point_is_there_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siridb_fast.cluster, "FIRST_RETRY", 0.05)
    verdict = siridb_fast.run(
        soak(12, every=1.0, seed=seed, durability="safe", linger=0.05, package_bytes=100_000)
    )
    assert verdict.is_exact, str(verdict)
    assert verdict.kills >= 3
    assert verdict.written > 10_000
