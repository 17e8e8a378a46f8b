"""Folders of many short files: each point once, also where the load is killed in the middle."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from siridb_fast.testing import wait_until
from tests.commands import figures, run_command
from tests.fix_server import Database
from tests.loading.load_runs import START, Points, manifest_entries, running_load, stored_points

FILES, ROWS = 600, 20
OPTIONS = ["--time", "ts", "--series", "{stem}"]


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


def short_files(folder: Path) -> Points:
    """Write files of numbers, and some of texts; return their points."""
    expected: Points = {}
    for number in range(FILES):
        rows = [(START + row, number + row / 4) for row in range(ROWS)]
        lines = "".join(f"{at},{value}\n" for at, value in rows)
        (folder / f"s{number:04d}.csv").write_text("ts,v\n" + lines)
        expected[f"s{number:04d}"] = Counter(rows)
    return expected


def test_all_files_are_loaded_and_noted(seconds: Database, tmp_path: Path) -> None:
    expected = short_files(tmp_path)
    done = run_command("load", tmp_path, *OPTIONS, url=seconds.url)
    assert figures(done.stdout)["files"] == str(FILES)
    assert stored_points(seconds.url) == expected
    assert set(manifest_entries(tmp_path).values()) == {(ROWS, ROWS, 1)}
    done = run_command("load", tmp_path, *OPTIONS, "--resume", url=seconds.url)
    assert done.stderr.count("loaded already") == FILES


def test_load_that_is_killed_goes_on_to_each_point_once(seconds: Database, tmp_path: Path) -> None:
    expected = short_files(tmp_path)
    with running_load(tmp_path, *OPTIONS, url=seconds.url) as process:
        wait_until(lambda: bool(manifest_entries(tmp_path)), timeout=60, what="rows have left")
        process.kill()
        process.communicate(timeout=60)
    run_command("load", tmp_path, *OPTIONS, "--resume", url=seconds.url)
    assert stored_points(seconds.url) == expected
