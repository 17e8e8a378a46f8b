"""A writer in a process that gets a signal to end, or just ends."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import siridb_fast
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
EXIT_TIMEOUT = 120.0


def count(database: Database, name: str) -> int:
    with siridb_fast.connect(database.url) as client:
        points = client.query_arrays("select * from *").get(name)
        return 0 if points is None else len(points[0])


def program(text: str, database: Database, *arguments: str) -> subprocess.Popen[str]:
    """Start a program that has the database's URL; it says "ready" once it is."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *arguments],
        env={**os.environ, "SIRIDB_URL": database.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(running: subprocess.Popen[str], line: str = "ready") -> None:
    assert running.stdout is not None
    assert running.stdout.readline() == f"{line}\n"


def end_of(running: subprocess.Popen[str], *signals: int) -> tuple[int, str]:
    """Send signals, one after another; return the exit code and what it said on stderr."""
    try:
        for number in signals:
            time.sleep(0.3)
            running.send_signal(number)
        _, errors = running.communicate(timeout=EXIT_TIMEOUT)
    finally:
        running.kill()
        running.communicate()
    return running.returncode, errors


NEVER_CLOSED = """
    import siridb_fast, time
    writer = siridb_fast.connect().writer(linger=60)
    for n in range(1000):
        writer.write("one", {first} + n, 1.5)
    print("ready", flush=True)
"""


def test_program_that_ends_without_closing_its_writer_delivers_all(database: Database) -> None:
    code, errors = end_of(program(NEVER_CLOSED.format(first=FIRST), database))
    assert (code, errors.count("\n")) == (0, 1)
    assert "closed by the end of the program; 1,000 points left" in errors
    assert count(database, "one") == 1000


def test_uncaught_error_does_not_keep_a_writer_from_delivering(database: Database) -> None:
    text = NEVER_CLOSED.format(first=FIRST) + "    raise ValueError('all is lost')\n"
    code, errors = end_of(program(text, database))
    assert code == 1
    assert "all is lost" in errors
    assert count(database, "one") == 1000


IN_A_LOOP = """
    import asyncio, siridb_fast

    async def main():
        async with siridb_fast.BatchWriter(linger=60) as writer:
            for n in range(1000):
                writer.write("one", {first} + n, 1.5)
            print("ready", flush=True)
            await asyncio.sleep(60)

    siridb_fast.run(main())
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)]
)
def test_signal_ends_a_program_that_delivers_all_before(
    database: Database, number: int, code: int
) -> None:
    running = program(IN_A_LOOP.format(first=FIRST), database)
    wait_for(running)
    assert end_of(running, number)[0] == code
    assert count(database, "one") == 1000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_a_program_whose_server_says_nothing(
    own_database: Database, number: int
) -> None:
    running = program(IN_A_LOOP.format(first=FIRST), own_database)
    wait_for(running)
    own_database.server.pause()
    try:
        since = time.monotonic()
        code, _ = end_of(running, number, signal.SIGINT)
    finally:
        own_database.server.resume()
    assert code in (-signal.SIGINT, 143)
    assert time.monotonic() - since < EXIT_TIMEOUT / 2  # and not delivery_timeout


BLOCKED = """
    import siridb_fast
    with siridb_fast.connect().writer(max_buffered=4 << 20) as writer:
        writer.write("one", {first}, 1.5)
        writer.flush()
        print("ready", flush=True)
        try:
            for n in range(10**9):
                writer.write("one", {first} + 1 + n, 1.5)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            raise
"""


def test_ctrl_c_ends_a_thread_that_waits_for_room(own_database: Database) -> None:
    running = program(BLOCKED.format(first=FIRST), own_database)
    wait_for(running)
    own_database.server.pause()
    try:
        time.sleep(2)
        running.send_signal(signal.SIGINT)
        wait_for(running, "interrupted")
    finally:
        own_database.server.resume()
    code, errors = end_of(running)
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in errors
    assert count(own_database, "one") > 1000
