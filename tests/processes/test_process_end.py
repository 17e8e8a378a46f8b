"""Programs that never close their writer: what it took is delivered before the process ends.

However the program loses it, or keeps it, and wherever its event loop is.
"""

import textwrap
from pathlib import Path

import pytest

from tests.fix_server import Database
from tests.processes.test_process_life import FIRST, count, end_of, program

POINTS = 20_000
WRITE = f"""
    import asyncio, gc, sys, threading, time
    import siridb_fast

    FIRST, POINTS = {FIRST}, {POINTS}

    def fill(writer):
        for n in range(POINTS):
            writer.write("one", FIRST + n, 1.5)
        return writer
"""
WAYS_TO_LOSE_IT = {
    "a local variable": """
    def record():
        fill(siridb_fast.connect().writer(linger=60))

    record()
    """,
    "del, and the program goes on": """
    writer = fill(siridb_fast.connect().writer(linger=60))
    del writer
    gc.collect()
    """,
    "a global variable": """
    writer = fill(siridb_fast.connect().writer(linger=60))
    """,
    "a cycle": """
    class Sensor:
        def __init__(self):
            self.me = self
            self.writer = fill(siridb_fast.connect().writer(linger=60))

    Sensor()
    """,
    "its handle is all that is left": """
    def record():
        writer = siridb_fast.connect().writer(linger=60)
        handle = writer.series("one")
        for n in range(POINTS):
            handle.append(FIRST + n, 1.5)
        return handle

    handle = record()
    """,
    "a daemon thread": """
    done = threading.Event()

    def record():
        writer = fill(siridb_fast.connect().writer(linger=60))
        done.set()
        time.sleep(60)

    threading.Thread(target=record, daemon=True).start()
    done.wait()
    """,
    "a thread that ends": """
    def record():
        fill(siridb_fast.connect().writer(linger=60))

    threading.Thread(target=record).start()
    """,
    "an event loop that runs in a daemon thread": """
    done = threading.Event()

    async def record():
        writer = siridb_fast.BatchWriter(linger=60)
        await writer.open()
        fill(writer)
        done.set()
        await asyncio.sleep(60)

    threading.Thread(target=lambda: siridb_fast.run(record()), daemon=True).start()
    done.wait()
    """,
    "an event loop that stands still": """
    loop = asyncio.new_event_loop()
    writer = siridb_fast.BatchWriter(linger=60)
    loop.run_until_complete(writer.open())
    fill(writer)
    """,
}


@pytest.mark.parametrize("way", WAYS_TO_LOSE_IT)
def test_program_that_loses_its_writer_delivers_all(database: Database, way: str) -> None:
    code, errors = end_of(program(WRITE + WAYS_TO_LOSE_IT[way], database))
    assert code == 0, errors
    assert count(database, "one") == POINTS
    assert "Traceback" not in errors


SERVER_KILLED = """
    import os

    def record():
        writer = fill(siridb_fast.connect().writer(linger=60))
        os.kill(int(sys.argv[1]), 9)

    record()
"""


def test_program_whose_server_is_killed_tells_how_many_points_are_lost(
    own_database: Database,
) -> None:
    code, errors = end_of(
        program(WRITE + SERVER_KILLED, own_database, str(own_database.server.pid))
    )
    assert code == 0
    assert f"end of the program; {POINTS:,} points left" in errors
    assert f"{POINTS:,} not delivered" in errors


WORKERS = (
    WRITE
    + """
    import concurrent.futures, multiprocessing

    writer = None

    def open_writer():
        global writer
        writer = siridb_fast.connect().writer(linger=60)

    def write(first):
        if writer is None:
            open_writer()
        for n in range(1000):
            writer.write("one", FIRST + 1000 * first + n, 1.5)

    def write_by_batch_writer(first):
        # In an event loop that stands still between two calls.
        global writer, loop
        if writer is None:
            loop = asyncio.new_event_loop()
            writer = siridb_fast.BatchWriter(linger=60)
            loop.run_until_complete(writer.open())
        write(first)

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
"""
)
WAYS_TO_WORK = {
    "a pool": """
        pool = context.Pool(2)
        pool.map(write, range(20), chunksize=1)
        pool.close()
        pool.join()
    """,
    "a pool whose workers are replaced": """
        pool = context.Pool(2, open_writer, maxtasksperchild=3)
        pool.map(write, range(20), chunksize=1)
        pool.close()
        pool.join()
    """,
    "processes": """
        children = [context.Process(target=write, args=(n,)) for n in range(20)]
        for child in children:
            child.start()
            child.join()
            assert child.exitcode == 0
    """,
    "an executor": """
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(write, range(20)))
    """,
    "event loops": """
        pool = context.Pool(2)
        pool.map(write_by_batch_writer, range(20), chunksize=1)
        pool.close()
        pool.join()
    """,
    "a child of a program that has a writer too": """
        open_writer()
        parents, writer = writer, None
        child = context.Process(target=lambda: [write(n) for n in range(1, 20)])
        child.start()
        child.join()
        writer = parents
        write(0)
    """,
}
"""How a program starts its workers, each of which opens a writer and never closes it."""


@pytest.mark.parametrize("way", WAYS_TO_WORK)
def test_worker_that_was_forked_delivers_all_before_it_ends(database: Database, way: str) -> None:
    code, errors = end_of(program(WORKERS + WAYS_TO_WORK[way], database, "fork"))
    assert code == 0, errors
    assert count(database, "one") == POINTS
    assert "Traceback" not in errors


def test_worker_of_a_fork_server_delivers_all_before_it_ends(
    database: Database, tmp_path: Path
) -> None:
    script = tmp_path / "workers.py"
    script.write_text(textwrap.dedent(WORKERS + WAYS_TO_WORK["a pool"]))
    text = f"""
        import runpy, sys
        sys.argv = [{str(script)!r}, "forkserver"]
        runpy.run_path({str(script)!r}, run_name="__main__")
    """
    code, errors = end_of(program(text, database))
    assert code == 0, errors
    assert count(database, "one") == POINTS
