"""The resident memory of this process, in bytes."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["peak", "reset_peak", "resident"]


def resident() -> int:
    """Return what it is now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Return the most that it was since the start, or since `reset_peak`."""
    # Not ru_maxrss: that begins with what the process that started this one had.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this kernel does not tell VmHWM")


def reset_peak() -> None:
    """Forget what it was before."""
    Path("/proc/self/clear_refs").write_text("5")
