"""decode_points: answers of the server as arrays, against unpackb, and answers of an enemy."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siridb_fast import UnpackError, decode_points, unpackb
from tests.fix_examples import examples
from tests.protocol import reference_qpack


def answer(series: dict[str, list[Any]], *, closed: bool = False) -> bytes:
    """An answer as the server writes it: open maps and arrays, the outer one never closed."""
    raw = b"\xfd"
    for name, points in series.items():
        raw += reference_qpack.pack(name) + b"\xfc"
        raw += b"".join(
            b"\xef" + reference_qpack.pack(t) + reference_qpack.pack(v) for t, v in points
        )
        raw += b"\xfe"
    return raw + b"\xff" if closed else raw


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(
    ("points", "dtype"),
    [
        ([], np.int64),
        ([(1, 2.5)], np.float64),
        ([(10**18, 0.0), (10**18 + 1, 1.0), (2, -1.0), (3, 1e300), (4, float("inf"))], np.float64),
        ([(1_700_000_000 + i, i / 7) for i in range(3000)], np.float64),
        ([(10**18 + i, i / 7) for i in range(5000)], np.float64),
        ([(i, i) for i in range(-70, 70) if i >= 0], np.int64),
        (
            [(1, v) for v in (0, 63, 64, -1, -60, -61, 2**15, -(2**31), 2**63 - 1, -(2**63))],
            np.int64,
        ),
        ([(1, "a"), (2, ""), (3, "ß" * 200)], object),
        ([(1, 2), (2, 2.5), (3, "x")], object),
    ],
    ids=lambda value: str(value)[:20],
)
def test_every_type_of_series(points: list[Any], dtype: Any, closed: bool) -> None:
    arrays = decode_points(answer({"a": points, "b": points}, closed=closed))
    assert list(arrays) == ["a", "b"]
    for timestamps, values in arrays.values():
        assert timestamps.dtype == np.int64
        assert values.dtype == dtype
        assert timestamps.flags.owndata
        assert list(zip(timestamps.tolist(), values.tolist(), strict=True)) == points


def test_fixed_arrays_and_maps_are_read_too() -> None:
    arrays = decode_points(reference_qpack.pack({"a": [[1, 2], [3, 4]], "b": []}))
    assert arrays["a"][1].tolist() == [2, 4]
    assert arrays["b"][0].tolist() == []
    assert decode_points(b"\xfd") == {}
    assert decode_points(b"\xf3") == {}


points = st.lists(
    st.tuples(st.integers(0, 2**63 - 1) | st.integers(0, 100), st.floats(allow_nan=False))
    | st.tuples(st.integers(0, 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
    | st.tuples(st.integers(0, 9), st.text(max_size=150)),
    max_size=40,
)


names = st.text(max_size=20) | st.just("__timeit__")


def as_lists(arrays: Any) -> dict[str, list[list[Any]]]:
    return {
        name: [list(point) for point in zip(times.tolist(), values.tolist(), strict=True)]
        for name, (times, values) in arrays.items()
    }


@given(st.dictionaries(names, points, max_size=4))
@settings(max_examples=examples(200))
def test_arrays_hold_what_unpackb_reads(series: dict[str, list[Any]]) -> None:
    raw = answer(series)
    assert as_lists(decode_points(raw)) == unpackb(raw, "utf-8")


def test_text_that_is_not_utf_8_comes_as_bytes() -> None:
    raw = b"\xfd\x81\xff\xfc\xef\x01\x82\xff\xfe\xfe"
    arrays: Any = decode_points(raw)
    assert arrays[b"\xff"][1].tolist() == [b"\xff\xfe"]


# As a siridb-server 2.0.52 writes them, and one that asks two other pools.
TIMING = "8a5f5f74696d6569745f5f fc"
ONE_SERVER = "f5 86736572766572 8b3132372e302e302e313a39 8474696d65 ec5d6f3d380f8f133f"
SAME_NAME = "8a5f5f74696d6569745f5f fc ef0107 ef0208 fe"
OTHER = "8161 fc ef0102 fe"


@pytest.mark.parametrize(
    ("raw", "series"),
    [
        (f"fd {TIMING} {ONE_SERVER}", {}),
        (f"fd {TIMING} {ONE_SERVER * 3}", {}),
        (f"fd {OTHER} {TIMING} {ONE_SERVER * 3}", {"a": [[1, 2]]}),
        (f"fd {OTHER} {TIMING} {ONE_SERVER} fe ff", {"a": [[1, 2]]}),
        (f"f5 {OTHER} 8a5f5f74696d6569745f5f ee {ONE_SERVER}", {"a": [[1, 2]]}),
        (f"fd {SAME_NAME}", {"__timeit__": [[1, 7], [2, 8]]}),
        (f"fd {SAME_NAME} {OTHER}", {"__timeit__": [[1, 7], [2, 8]], "a": [[1, 2]]}),
        (f"fd {SAME_NAME} {TIMING} {ONE_SERVER * 2}", {"__timeit__": [[1, 7], [2, 8]]}),
        (
            f"fd {SAME_NAME} {OTHER} {TIMING} {ONE_SERVER}",
            {"__timeit__": [[1, 7], [2, 8]], "a": [[1, 2]]},
        ),
        (f"fd {TIMING} fe", {"__timeit__": []}),
        (f"fd {TIMING} fe {OTHER}", {"__timeit__": [], "a": [[1, 2]]}),
        (f"fd {TIMING} fe {TIMING} {ONE_SERVER}", {"__timeit__": []}),
        ("fd 8a5f5f74696d6569745f5f ed", {"__timeit__": []}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_timing_is_left_out_and_a_series_of_its_name_is_not(
    raw: str, series: dict[str, Any]
) -> None:
    assert as_lists(decode_points(bytes.fromhex(raw))) == series


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (f"fd {TIMING} {ONE_SERVER} fe {OTHER}", r"goes on behind its timing \(at byte 48\)"),
        (f"fd {TIMING} {ONE_SERVER} fe {SAME_NAME}", "goes on behind its timing"),
        (f"f5 {TIMING} {ONE_SERVER} fe {OTHER}", "goes on behind its timing"),
        (f"f5 {TIMING} {ONE_SERVER}", "goes on behind its timing"),
        (f"fd {TIMING} {ONE_SERVER} fe ff 00", "1 bytes after the answer"),
        (f"fd {TIMING} {ONE_SERVER} ef0107", "the timing of a server is expected"),
        (f"fd {TIMING} f4 8161 fc fe", "the timing of a server is damaged"),
        (f"fd {TIMING} f4 8161", "the timing of a server is damaged"),
        ("fd 8a5f5f74696d6569745f5f ef f48161 01", "the timing of a server is expected"),
        (f"fd {TIMING} fd 8161 01", "'__timeit__' holds no"),
        ("fd 8a5f5f74696d6569745f5f f48161 01", "'__timeit__' holds no"),
        (f"fd {OTHER} 8162 fc {ONE_SERVER}", "'b' holds no"),
        (f"fd {OTHER} {OTHER}", "a series is there twice"),
        (f"fd {SAME_NAME} {SAME_NAME} {TIMING} {ONE_SERVER}", "a series is there twice"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_neither_a_timing_nor_a_series_is_refused(raw: str, reason: str) -> None:
    with pytest.raises(UnpackError, match=reason):
        decode_points(bytes.fromhex(raw))


def test_timing_that_is_cut_off_is_refused_wherever_that_is() -> None:
    raw = bytes.fromhex(f"fd {SAME_NAME} {TIMING} {ONE_SERVER}")
    begin = len(bytes.fromhex(f"fd {SAME_NAME} {TIMING}"))
    # Right behind its name it is an array without points, and the series is there twice.
    assert {outcome(raw[:stop]) for stop in range(begin, len(raw))} == {"refused"}
    assert as_lists(decode_points(bytes.fromhex(f"fd {TIMING}"))) == {"__timeit__": []}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"columns": ["name"], "series": [["a"]]}, "'columns' holds no"),
        ({"series": 4}, "'series' holds no"),
        ({"success_msg": "done"}, "'success_msg' holds no"),
        ({"a": [[1, None]]}, "'a' holds no"),
        ({"a": [[1.5, 2]]}, "'a' holds no"),
        ({"a": [[1, 2, 3]]}, "'a' holds no"),
        ({5: []}, "a name or a text is expected"),
        ([1, 2], "an answer is a map, got type code 239"),
    ],
)
def test_answers_without_points_are_named(value: object, reason: str) -> None:
    with pytest.raises(UnpackError, match=reason):
        decode_points(reference_qpack.pack(value))


SAMPLE = answer(
    {"a": [(10**18, 2.5), (5, 1.0), (300, -7.5)], "b": [(1, -70000), (2, 3)], "c": [(1, "xyz")]}
)


def outcome(raw: bytes) -> str:
    try:
        decode_points(raw)
    except UnpackError:
        return "refused"
    return "read"


def test_every_cut_and_every_changed_byte_gives_arrays_or_an_error() -> None:
    hostile = [SAMPLE[:i] for i in range(len(SAMPLE))]
    for i in range(len(SAMPLE)):
        hostile += [SAMPLE[:i] + bytes([byte]) + SAMPLE[i + 1 :] for byte in range(256)]
    outcomes = [outcome(raw) for raw in hostile]
    assert outcomes.count("refused") > len(SAMPLE)
    assert outcomes.count("read") > len(SAMPLE)


@given(st.binary(max_size=80).map(lambda raw: b"\xfd\x81a\xfc" + raw))
@settings(max_examples=examples(500))
def test_random_bytes_give_arrays_or_an_error(raw: bytes) -> None:
    assert outcome(raw) in ("refused", "read")


GUARDED = """
import ctypes, mmap, sys
from siridb_fast import UnpackError, decode_points, unpackb
from siridb_fast.protocol._session import Session

page = mmap.PAGESIZE
memory = mmap.mmap(-1, 2 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mprotect(ctypes.c_void_p(start + page), page, 0) == 0
sample = bytes.fromhex(sys.argv[1])
for length in range(len(sample) + 1):
    for begin in range(0, min(8, length)):
        raw = sample[begin:length]
        memory[page - len(raw):page] = raw
        view = memoryview(memory)[page - len(raw):page]
        for reads in (decode_points, unpackb, Session().feed):
            try:
                reads(view)
            except UnpackError:
                pass
        view.release()
print("no byte behind the end was read")
"""


def test_nothing_behind_the_end_is_read() -> None:
    # The bytes end where a page begins that may not be touched: one read too far is a SIGSEGV.
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, SAMPLE.hex()], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "no byte behind the end" in done.stdout
