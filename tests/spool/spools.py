"""What the tests of spools share: seeded packages, and processes that write until killed."""

import random
import subprocess
import sys
from pathlib import Path

from siridb_fast.spool.store import Spool, Spooled

__all__ = ["WRITER", "contents", "filled", "payload", "read_all", "writer_process"]

# Puts packages for ever; prints the id of each when it is on disk.
WRITER = """
import sys
from siridb_fast.spool.store import Spool
from tests.spool.spools import payload
spool = Spool(sys.argv[1])
print("open", flush=True)
seed = int(sys.argv[2])
while True:
    number = spool.put(payload(seed), seed)
    print(number, seed, flush=True)
    seed += 1
"""


def payload(seed: int, most: int = 200_000) -> bytes:
    """Return bytes that only depend on the seed, of some length."""
    source = random.Random(seed)
    return source.randbytes(source.randrange(1, most))


def filled(path: Path, packages: int = 10) -> dict[int, bytes]:
    """Make a spool of packages, closed in order; return their payloads by id."""
    with Spool(path) as spool:
        return {spool.put(payload(seed), seed): payload(seed) for seed in range(packages)}


def read_all(spool: Spool, limit_bytes: int = 1_000_000) -> list[Spooled]:
    """Return all packages, some at a time."""
    found: list[Spooled] = []
    while some := spool.read(found[-1].id if found else 0, limit_bytes):
        found += some
    return found


def contents(spool: Spool) -> dict[int, bytes]:
    """Return all payloads by id."""
    return {package.id: package.payload for package in read_all(spool)}


def writer_process(path: Path, seed: int = 0, script: str = WRITER) -> "subprocess.Popen[str]":
    """Start a process that writes to a spool."""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path), str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
