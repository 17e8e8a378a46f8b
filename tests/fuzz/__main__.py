"""Fuzz the decoders, each in turn, for so many seconds or executions: see README.md, Fuzzing.

Runs under the sanitizers, as `make fuzz` starts it. An execution is one input handed to one check,
which calls the decoder once to look at it, and a few times more if the input makes sense.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import corpora
from tests.fuzz._fuzzer import Fuzzer, Violation, allocated, in_use, install
from tests.fuzz._memory import keep_large_blocks
from tests.fuzz.checks import Checks

ROUND = 2_000  # executions of one target before the next has its turn
PASSES = 3
LEAK_LIMIT = 4_096  # bytes that may stay after all inputs were executed once more


def main() -> int:
    """Fuzz, and return the exit code: 1 if an input broke a property."""
    options = _options()
    folder: Path = options.work
    folder.mkdir(parents=True, exist_ok=True)
    if not install(bytes(folder / "crash.bin")):
        print("no libasan: start this with `make fuzz`")
        return 2
    keep_large_blocks()
    fuzzers = {name: _fuzzer(name, options.seed) for name in corpora.TARGETS}
    try:
        _fill(fuzzers, [options.corpus, folder])
        if not all(fuzzer.features for fuzzer in fuzzers.values()):
            print("the decoders are not built for coverage: start this with `make fuzz`")
            return 2
        _fuzz(fuzzers, options)
        _look_for_leaks(fuzzers)
    except Violation as exc:
        _report(exc, folder)
        return 1
    finally:
        for name, fuzzer in fuzzers.items():
            corpora.save(folder, name, fuzzer.corpus)
    if options.keep:
        _keep(fuzzers, options)
    print("no crash, no report of a sanitizer, no property broken, no memory lost")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--runs", type=int, default=10**18, help="executions, of all targets")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--every", type=float, default=60, help="seconds from report to report")
    parser.add_argument("--corpus", type=Path, default=Path("tests/fuzz/corpus"))
    parser.add_argument("--work", type=Path, default=Path("build/fuzz/found"))
    parser.add_argument("--keep", action="store_true", help="renew the corpus of the repository")
    return parser.parse_args()


def _fuzzer(name: str, seed: int) -> Fuzzer:
    return Fuzzer(getattr(Checks(allocated), name), seed, is_stream=name == "feed")


def _fill(fuzzers: dict[str, Fuzzer], folders: list[Path]) -> None:
    for name, fuzzer in fuzzers.items():
        fuzzer.add(b"")
        for data in [data for folder in folders for data in corpora.load(folder, name)]:
            fuzzer.add(data)


def _fuzz(fuzzers: dict[str, Fuzzer], options: argparse.Namespace) -> None:
    print(f"seed {options.seed}", flush=True)
    begin = reported = time.monotonic()
    now = begin
    for fuzzer in _in_turn(list(fuzzers.values())):
        fuzzer.run(ROUND)
        now = time.monotonic()
        is_over = now - begin >= options.seconds or _runs(fuzzers) >= options.runs
        if is_over or now - reported >= options.every:
            print(_line(fuzzers, now - begin), flush=True)
            reported = now
        if is_over:
            return


def _in_turn(fuzzers: list[Fuzzer]) -> Iterator[Fuzzer]:
    while True:
        yield from fuzzers


def _runs(fuzzers: dict[str, Fuzzer]) -> int:
    return sum(fuzzer.runs for fuzzer in fuzzers.values())


def _line(fuzzers: dict[str, Fuzzer], seconds: float) -> str:
    runs = _runs(fuzzers)
    parts = [
        f"{name} {fuzzer.runs:,} ({fuzzer.features} features, {len(fuzzer.corpus)} inputs)"
        for name, fuzzer in fuzzers.items()
    ]
    rate = f"{runs:,} executions in {seconds:,.0f} s, {runs / seconds:,.0f} a second"
    return f"{rate}: {', '.join(parts)}; {in_use() / 2**20:.1f} MiB in use"


def _look_for_leaks(fuzzers: dict[str, Fuzzer]) -> None:
    """Execute all that was kept a few times; the last pass must leave no memory behind."""
    used = []
    for _ in range(PASSES):
        for fuzzer in fuzzers.values():
            for data in fuzzer.corpus:
                fuzzer.add(data)
        used.append(in_use())
    lost = used[-1] - used[-2]
    if lost > LEAK_LIMIT:
        raise Violation(f"{lost:,} bytes are left behind by inputs seen before", b"")


def _report(violation: Violation, folder: Path) -> None:
    print(violation, flush=True)
    if not violation.data:
        return
    path = folder / f"broken-{hashlib.sha256(violation.data).hexdigest()[:12]}.bin"
    path.write_bytes(violation.data)
    print(f"{violation.data[:200].hex()}\nthe input is in {path}", flush=True)


def _keep(fuzzers: dict[str, Fuzzer], options: argparse.Namespace) -> None:
    """Write what is needed to take every edge as often, the shortest inputs before longer ones."""
    for name, fuzzer in fuzzers.items():
        fresh = _fuzzer(name, options.seed)
        for data in sorted(fuzzer.corpus, key=len):
            fresh.add(data)
        corpora.save(options.corpus, name, fresh.corpus)


if __name__ == "__main__":
    sys.exit(main())
