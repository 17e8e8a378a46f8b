"""SIGTERM in a program with a blocking writer ends it as Ctrl+C does, and touches nothing else."""

import signal
import time

import pytest

from tests.fix_server import Database
from tests.processes.test_process_life import FIRST, count, end_of, program, wait_for

POINTS = 2_000
START = f"""
    import os, signal, sys, threading, time
    import siridb_fast

    FIRST, POINTS = {FIRST}, {POINTS}

    def fill(writer):
        for n in range(POINTS):
            writer.write("one", FIRST + n, 1.5)
        print("ready", flush=True)

    def wait():
        while True:
            time.sleep(60)
"""
PLACES = {
    "a block": """
    with siridb_fast.connect() as client, client.writer(linger=60) as writer:
        fill(writer)
        wait()
    """,
    "no block": """
    writer = siridb_fast.connect().writer(linger=60)
    fill(writer)
    wait()
    """,
    "a function that has lost it": """
    def record():
        fill(siridb_fast.connect().writer(linger=60))

    record()
    wait()
    """,
    "the second of two blocks": """
    with siridb_fast.connect() as client:
        with client.writer() as writer:
            pass
        with client.writer(linger=60) as writer:
            fill(writer)
            wait()
    """,
    "another is closed within": """
    with siridb_fast.connect() as client, client.writer(linger=60) as writer:
        client.writer().close()
        fill(writer)
        wait()
    """,
    "a block around an event loop": """
    import asyncio

    async def main():
        fill(writer)
        await asyncio.sleep(60)

    with siridb_fast.connect() as client, client.writer(linger=60) as writer:
        siridb_fast.run(main())
    """,
    "a block after an event loop": """
    import asyncio

    with siridb_fast.connect() as client, client.writer(linger=60) as writer:
        siridb_fast.run(asyncio.sleep(0))
        fill(writer)
        wait()
    """,
    "the block of a thread is written to": """
    with siridb_fast.connect() as client, client.writer(linger=60) as writer:
        thread = threading.Thread(target=fill, args=(writer,), daemon=True)
        thread.start()
        thread.join()
        wait()
    """,
    "siridb-connector's connection": """
    url = siridb_fast.SiriDBClient.from_url().config
    host = url.hosts[0]
    login = url.username, url.password, url.dbname, host.address, host.port
    with siridb_fast.connect(*login) as connection, connection.writer(linger=60) as writer:
        fill(writer)
        wait()
    """,
}


@pytest.mark.parametrize("place", PLACES)
def test_sigterm_delivers_what_a_blocking_writer_has(database: Database, place: str) -> None:
    running = program(START + PLACES[place], database)
    wait_for(running)
    code, errors = end_of(running, signal.SIGTERM)
    assert code == 143, errors
    assert count(database, "one") == POINTS, errors


def test_worker_of_a_pool_that_is_terminated_delivers_what_it_has(database: Database) -> None:
    pool = """
    import multiprocessing

    def work(_):
        global writer
        writer = siridb_fast.connect().writer(linger=60)
        fill(writer)

    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.map(work, [0])  # then it ends its workers by SIGTERM
    """
    code, errors = end_of(program(START + pool, database))
    assert code == 0, errors
    assert count(database, "one") == POINTS, errors


@pytest.mark.parametrize("signals", [1, 2])
def test_first_sigterm_while_a_program_ends_by_itself_is_no_reason_to_hurry(
    own_database: Database, signals: int
) -> None:
    text = """
    writer = siridb_fast.connect().writer(linger=60)
    print("open", flush=True)
    input()
    fill(writer)
    """
    running = program(START + text, own_database)
    wait_for(running, "open")
    own_database.server.pause()  # so that nothing leaves
    assert running.stderr is not None
    assert running.stdin is not None
    running.stdin.write("\n")
    running.stdin.flush()
    while "closed by the end" not in running.stderr.readline():
        assert running.poll() is None
    for _ in range(signals):
        running.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    if signals == 1:
        own_database.server.resume()
    errors = end_of(running)[1]
    own_database.server.resume()
    assert count(own_database, "one") == (POINTS if signals == 1 else 0), errors


UNTOUCHED = {
    "the option": """
    with siridb_fast.connect() as client, client.writer(handle_sigterm=False) as writer:
        print("ready", flush=True)
        wait()
    """,
    "it is closed": """
    with siridb_fast.connect() as client, client.writer() as writer:
        pass
    print("ready", flush=True)
    wait()
    """,
    "it was closed by another thread": """
    writer = siridb_fast.connect().writer()
    thread = threading.Thread(target=writer.close)
    thread.start()
    thread.join()
    print("ready", flush=True)
    wait()
    """,
    "a child of a fork": """
    with siridb_fast.connect() as client, client.writer() as writer:
        for _ in range(100):  # it comes at any moment of a fork
            pid = os.fork()
            if not pid:
                wait()
            os.kill(pid, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        writer.close()
    print("ready", flush=True)
    wait()
    """,
}


@pytest.mark.parametrize("why", UNTOUCHED)
def test_sigterm_kills_a_program_as_ever(database: Database, why: str) -> None:
    running = program(START + UNTOUCHED[why], database)
    wait_for(running)
    assert end_of(running, signal.SIGTERM)[0] == -signal.SIGTERM


HANDLERS = {
    "that of the program stays": """
    for own in (signal.SIG_IGN, lambda *_: None):
        signal.signal(signal.SIGTERM, own)
        with siridb_fast.connect() as client, client.writer():
            assert signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGTERM) is own
    """,
    "one that the program sets within the block stays": """
    own = lambda *_: None
    with siridb_fast.connect() as client, client.writer():
        assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, own)
        signal.signal(signal.SIGTERM, own)
    assert signal.getsignal(signal.SIGTERM) is own
    """,
    "the default comes back with the last writer": """
    with siridb_fast.connect() as client:
        one, other = client.writer(), client.writer()
        one.close()
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        other.close()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    """,
    "a writer of another thread sets none": """
    found = []

    def work():
        with siridb_fast.connect() as client, client.writer():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]
    """,
}


@pytest.mark.parametrize("which", HANDLERS)
def test_handler_of_sigterm(database: Database, which: str) -> None:
    # In a program of its own: other tests leave writers behind.
    code, errors = end_of(program(START + HANDLERS[which], database))
    assert code == 0, errors
