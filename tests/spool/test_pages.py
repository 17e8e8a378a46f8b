"""The walk of a damaged file: each byte of a row may be anything, and the walk goes on."""

import random
import shutil
from pathlib import Path

import pytest

from siridb_fast.spool.log_replay import PAGE_SIZE
from siridb_fast.spool.salvage import Salvage
from siridb_fast.spool.schema import PACKAGES_ROOT
from siridb_fast.spool.store import Spool

HEAD = 40  # bytes of a row of packages: its size, its number, the types of its columns, and these
PAGE = (PACKAGES_ROOT - 1) * PAGE_SIZE


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a spool of one package, once for all tests."""
    path = tmp_path_factory.mktemp("sound") / "spool"
    with Spool(path, dbname="db") as spool:
        spool.put(b"payload", 1)
    return path


def read_changed(path: Path, offset: int, change: bytes) -> int:
    """Read a file of which some bytes are changed; return how many rows are sound."""
    with path.open("r+b") as file:
        file.seek(offset)
        before = file.read(len(change))
        file.seek(offset)
        file.write(change)
        file.flush()
        salvage = Salvage(path)
        salvage.settings()
        found = len(list(salvage.packages()))
        file.seek(offset)
        file.write(before)
    return found


def row_offset(path: Path) -> int:
    page = path.read_bytes()[PAGE : PAGE + PAGE_SIZE]
    return PAGE + int.from_bytes(page[8:10], "big")


@pytest.mark.parametrize("byte", [0x00, 0x01, 0x07, 0x0B, 0x0C, 0x7F, 0x80, 0xFF])
def test_walk_passes_over_any_byte_of_a_row(sound: Path, tmp_path: Path, byte: int) -> None:
    path = Path(shutil.copy(sound, tmp_path / "spool"))
    start = row_offset(path)
    for offset in range(start, start + HEAD):
        assert read_changed(path, offset, bytes([byte])) <= 1
    assert read_changed(path, start, b"") == 1


@pytest.mark.parametrize("length", [2, 9, 10])
def test_walk_passes_over_any_number_of_a_row(sound: Path, tmp_path: Path, length: int) -> None:
    path = Path(shutil.copy(sound, tmp_path / "spool"))
    start = row_offset(path)
    source = random.Random(length)
    for offset in range(start, start + HEAD - length):
        for change in (b"\xff" * length, source.randbytes(length)):
            assert read_changed(path, offset, change) <= 1


def test_walk_passes_over_a_number_of_64_bits_before_a_time(sound: Path, tmp_path: Path) -> None:
    # a size beyond what Python takes as an offset, and behind it a float
    path = Path(shutil.copy(sound, tmp_path / "spool"))
    huge = b"\xff" * 9
    head = bytes([1 + len(huge) + 1]) + huge + b"\x07"
    size = len(head)
    start = row_offset(path)
    assert read_changed(path, start, bytes([size]) + b"\x01" + head) == 0
