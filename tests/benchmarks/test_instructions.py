"""Counting instructions, without valgrind: what is read, taken off, divided and allowed."""

import os
from pathlib import Path

import pytest

from benchmarks.instructions import __main__ as command
from benchmarks.instructions.bounds import BOUNDS, Bounds, Build, machine
from benchmarks.instructions.callgrind import (
    CountingError,
    count_instructions,
    profile_path,
    read_profile,
)
from benchmarks.instructions.kernels import KERNELS
from benchmarks.instructions.valgrind import Valgrind, find_valgrind

OURS = Build(python="3.11.7", compiler="GCC: (Debian 12.2.0-14) 12.2.0", numpy="2.4.6")
OTHER = Build(python="3.11.9", compiler="GCC: (Debian 12.2.0-14) 12.2.0", numpy="2.4.6")

TEXT = """\
[tolerance]
same_build = 0.03
other_build = 0.15

["x86_64 cpython-311".build]
python = "3.11.7"
compiler = "GCC: (Debian 12.2.0-14) 12.2.0"
numpy = "2.4.6"

["x86_64 cpython-311".kernels]
"write" = 200.0
"""
BOUNDS_OF_WRITE = Bounds.parse(TEXT)

PROFILE = """\
# callgrind format
version: 1
cmd:  python -m benchmarks.instructions.acting
part: 2

desc: Timerange: Basic block 64160 - 91704051
desc: Trigger: Client Request: unpackb, insert's answer

events: Ir
summary: 17401

fn=(1) f
3 17401
totals: 17641
"""

# Writes what callgrind would: a profile for each name behind the library's, and one at the end.
FAKE_VALGRIND = """\
#!/bin/sh
[ "$1" = --version ] && { echo valgrind-9.8.7; exit; }
for word; do case $word in --callgrind-out-file=*) part=${word#*=} ;; esac; done
until [ "${1##*.}" = so ]; do shift; done
number=1
profile() {
    printf 'desc: Trigger: %s\\n\\nsummary: %s\\n' "$1" "$2" > "$part.$number"
    number=$((number + 1))
}
profile "Client Request: nothing" 1000
shift
for name; do profile "Client Request: $name" $((1000 + 20000 * number)); done
profile "Program termination" 18446744073707467962
env > "$ENVIRONMENT_FILE"
"""
FAKE_HEADER = """\
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
"""


@pytest.fixture
def valgrind(tmp_path: Path) -> Valgrind:
    """A valgrind that counts 1,000 of nothing, and 20,000 times the kernel's index beyond that."""
    root = tmp_path / "valgrind"
    header = root / "include" / "valgrind" / "callgrind.h"
    header.parent.mkdir(parents=True)
    header.write_text(FAKE_HEADER)
    fake = Valgrind(root, tmp_path / "tools")
    fake.program.parent.mkdir()
    script = FAKE_VALGRIND.replace("$ENVIRONMENT_FILE", str(tmp_path / "environment"))
    fake.program.write_text(script)
    fake.program.chmod(0o755)
    return fake


def test_a_profile_tells_its_kernel_and_what_was_counted() -> None:
    assert read_profile(PROFILE) == ("unpackb, insert's answer", 17_401)


def test_what_is_written_at_the_end_of_the_process_is_of_no_kernel() -> None:
    end = PROFILE.replace("Client Request: unpackb, insert's answer", "Program termination")
    assert read_profile(end) is None


def test_the_price_of_counting_is_taken_off(tmp_path: Path, valgrind: Valgrind) -> None:
    stale = tmp_path / "out" / "profiles" / "old.callgrind"
    stale.parent.mkdir(parents=True)
    stale.touch()
    counts = count_instructions(["write", "encode str"], tmp_path / "out", valgrind)
    assert counts == {"write": 40_000, "encode str": 60_000}
    profiles = {path.name for path in stale.parent.iterdir()}
    assert profiles == {"nothing.callgrind", "write.callgrind", "encode-str.callgrind"}


def test_the_counted_process_sees_nothing_of_the_callers_environment(
    tmp_path: Path, valgrind: Valgrind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    count_instructions(["write"], tmp_path / "out", valgrind)
    environment = (tmp_path / "environment").read_text().splitlines()
    assert "PYTHONHASHSEED=0" in environment
    assert f"VALGRIND_LIB={tmp_path / 'tools'}" in environment
    assert not any("PYTHONMALLOC" in line for line in environment)


def test_a_counted_process_that_fails_says_why(tmp_path: Path, valgrind: Valgrind) -> None:
    valgrind.program.write_text("#!/bin/sh\necho no such kernel >&2\nexit 1\n")
    with pytest.raises(CountingError, match="no such kernel"):
        count_instructions(["write"], tmp_path / "out", valgrind)


def test_valgrind_on_the_path_is_taken_as_it_is(
    tmp_path: Path, valgrind: Valgrind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(valgrind.program.parent), os.defpath]))
    found = find_valgrind(tmp_path / "nothing here")
    assert (found.program, found.environment) == (valgrind.program, {})
    assert found.version == "valgrind-9.8.7"


VERDICTS = [
    # build, count, is over, is under
    (OURS, 205.9, False, False),
    (OURS, 206.1, True, False),
    (OURS, 194.1, False, False),
    (OURS, 193.9, False, True),
    (OTHER, 229.9, False, False),
    (OTHER, 230.1, True, False),
    (OTHER, 169.9, False, True),
]


@pytest.mark.parametrize(("build", "count", "is_over", "is_under"), VERDICTS)
def test_another_build_is_allowed_more(
    build: Build, count: float, is_over: bool, is_under: bool
) -> None:
    verdict = BOUNDS_OF_WRITE.verdict("x86_64 cpython-311", build, "write", count)
    assert (verdict.is_over, verdict.is_under) == (is_over, is_under)


@pytest.mark.parametrize(
    ("key", "kernel"), [("riscv64 cpython-311", "write"), ("x86_64 cpython-311", "new")]
)
def test_nothing_is_too_much_where_there_is_no_bound(key: str, kernel: str) -> None:
    verdict = BOUNDS_OF_WRITE.verdict(key, OURS, kernel, 1e9)
    assert (verdict.bound, verdict.change) == (None, None)
    assert not verdict.is_over
    assert not verdict.is_under


def test_an_update_leaves_other_machines_alone() -> None:
    updated = BOUNDS_OF_WRITE.updated("riscv64 cpython-313", OTHER, {"write": 123.456})
    assert updated.verdict("riscv64 cpython-313", OTHER, "write", 123.5).change == 0
    assert updated.machines["x86_64 cpython-311"] == BOUNDS_OF_WRITE.machines["x86_64 cpython-311"]
    assert Bounds.parse(updated.dump()) == updated


@pytest.mark.parametrize(
    ("line", "wrong"), [("= 200.0", "= 0.0"), ("= 200.0", "= -1"), ("= 0.15", "= 0")]
)
def test_bounds_that_nothing_or_everything_meets_are_refused(line: str, wrong: str) -> None:
    with pytest.raises(ValueError, match="over 0"):
        Bounds.parse(TEXT.replace(line, wrong))


def test_the_file_has_a_bound_for_each_kernel_and_is_as_an_update_writes_it() -> None:
    text = BOUNDS.read_text()
    bounds = Bounds.parse(text)
    assert bounds.dump() == text
    assert bounds.machines
    for counted in bounds.machines.values():
        assert list(counted.kernels) == list(KERNELS)


def test_kernels_have_profiles_of_their_own() -> None:
    assert len({profile_path(name) for name in KERNELS}) == len(KERNELS)


def test_our_build_names_a_compiler() -> None:
    assert Build.ours().compiler.startswith(("GCC: (", "clang version "))


@pytest.mark.parametrize(("bound", "code"), [(2.0, 0), (1.9, 1)])
def test_the_command_fails_for_what_is_over_its_bound(
    tmp_path: Path,
    valgrind: Valgrind,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bound: float,
    code: int,
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(valgrind.program.parent), os.defpath]))
    bounds = Bounds(0.03, 0.15, {}).updated(machine(), Build.ours(), {"write": bound})
    (tmp_path / "bounds.toml").write_text(bounds.dump())
    monkeypatch.setattr(command, "BOUNDS", tmp_path / "bounds.toml")
    monkeypatch.setattr(command, "FOLDER", tmp_path / "out")
    monkeypatch.setattr(command, "KERNELS", {"write": KERNELS["write"]})
    # 40,000 instructions for 20,000 points
    assert command.main([]) == code
    assert ("OVER" in capsys.readouterr().out) == bool(code)
