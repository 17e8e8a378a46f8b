"""Valgrind: the system's own, or its Debian package in a folder; nothing is installed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from siridb_fast.testing.install.debian import PackageError, run, unpack_package

__all__ = ["Valgrind", "find_valgrind"]

HEADER = "valgrind/callgrind.h"
TOOL = "callgrind-*-linux"


@dataclass(frozen=True, slots=True)
class Valgrind:
    """Where it is.

    Attributes:
        root: What its `bin` and `include` are in.
        tools: The folder of its tools, None where it knows that itself.
    """

    root: Path
    tools: Path | None = None

    @property
    def program(self) -> Path:
        """What is started."""
        return self.root / "bin" / "valgrind"

    @property
    def include(self) -> Path:
        """The folder for a compiler to find `valgrind/callgrind.h` in."""
        return self.root / "include"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it needs."""
        return {} if self.tools is None else {"VALGRIND_LIB": str(self.tools)}

    @property
    def version(self) -> str:
        """What it says of itself, `valgrind-3.19.0`."""
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        return run("env", *settings, self.program, "--version").strip()


def find_valgrind(folder: Path) -> Valgrind:
    """Return the one on the PATH if its header is there too, or else that of `folder`, unpacked.

    Raises:
        PackageError: There is none, and it cannot be unpacked.
    """
    program = shutil.which("valgrind")
    if program is not None:
        system = Valgrind(Path(program).parent.parent)
        if (system.include / HEADER).exists():
            return system
    unpacked = _unpacked(folder)
    if unpacked is None:
        # its libraries are left out: it starts with the system's, which are of the same release
        unpack_package("valgrind", folder / "root", with_libraries=False)
        unpacked = _unpacked(folder)
    if unpacked is None:
        raise PackageError(f"no callgrind in the valgrind that was unpacked into {folder}")
    return unpacked


def _unpacked(folder: Path) -> Valgrind | None:
    tool = next(folder.glob(f"root/usr/lib*/**/{TOOL}"), None)
    return None if tool is None else Valgrind(folder / "root" / "usr", tool.parent)
