"""Kernels acted out under callgrind → instructions of each, and a profile of each to look into.

The process starts the same way each time: its bytecode is compiled, its hashes have one seed, its
environment is only what it needs. Valgrind puts memory at the same addresses, and shows a CPU of
its own making, so that the C library and numpy take the same code on most machines.
"""

from __future__ import annotations

import compileall
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.instructions.acting import NOTHING
from benchmarks.instructions.valgrind import Valgrind

__all__ = ["CountingError", "count_instructions", "read_profile"]

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("callgrind.c")
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH")
TRIGGER = re.compile(r"^desc: Trigger: Client Request: (.*)$", re.MULTILINE)
SUMMARY = re.compile(r"^summary: (\d+)$", re.MULTILINE)


class CountingError(RuntimeError):
    """Nothing was counted; the text is what the failing command said."""


def count_instructions(names: Sequence[str], folder: Path, valgrind: Valgrind) -> dict[str, int]:
    """Return the instructions of an action of each kernel.

    Args:
        names: Of the kernels.
        folder: For the profiles, one for each kernel, named as `profile_path` says; those of
            earlier runs go.
        valgrind: What counts.

    Raises:
        CountingError: No C compiler, or the counted process failed.
    """
    profiles = folder / "profiles"
    shutil.rmtree(profiles, ignore_errors=True)
    profiles.mkdir(parents=True)
    library = _compiled(folder, valgrind)
    for package in ("siridb_fast", "benchmarks"):
        compileall.compile_dir(ROOT / package, quiet=1)
    _run_counted(library, names, profiles, valgrind)
    counts = _collect(profiles)
    return {name: counts[name] - counts[NOTHING] for name in names}


def read_profile(text: str) -> tuple[str, int] | None:
    """Return the name and the instructions of a profile, None where nobody asked for it."""
    trigger, summary = TRIGGER.search(text), SUMMARY.search(text)
    if trigger is None or summary is None:
        return None
    return trigger[1], int(summary[1])


def profile_path(name: str) -> str:
    """Return the file's name for a kernel's profile."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".callgrind"


def _compiled(folder: Path, valgrind: Valgrind) -> Path:
    library = folder / "callgrind.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    options = ["-O1", "-shared", "-fPIC", f"-I{valgrind.include}"]
    _run([*compiler, *options, str(SOURCE), "-o", str(library)], dict(os.environ))
    return library


def _run_counted(library: Path, names: Sequence[str], profiles: Path, valgrind: Valgrind) -> None:
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
        **valgrind.environment,
    }
    command = [
        str(valgrind.program),
        "--tool=callgrind",
        "--instr-atstart=no",  # imports and setting up run five times faster uncounted
        f"--callgrind-out-file={profiles / 'part'}",
        sys.executable,
        "-m",
        "benchmarks.instructions.acting",
        str(library),
        *names,
    ]
    _run(command, environment)


def _run(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - a compiler and valgrind
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError as exc:
        raise CountingError(f"{command[0]}: {exc}") from exc
    if done.returncode:
        raise CountingError(f"{shlex.join(command[:5])} …: {done.stderr.strip()}")


def _collect(profiles: Path) -> dict[str, int]:
    counts = {}
    for path in sorted(profiles.iterdir()):
        profile = read_profile(path.read_text())
        if profile is None:
            path.unlink()  # of the end of the process
            continue
        name, counts[name] = profile
        path.rename(profiles / profile_path(name))
    return counts
