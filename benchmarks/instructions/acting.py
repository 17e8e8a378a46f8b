"""`python -m benchmarks.instructions.acting LIBRARY NAME…`: act kernels out, to be counted.

Runs under callgrind, as `callgrind.py` starts it; LIBRARY is `callgrind.c`, compiled. Each kernel
acts WARM_UPS times uncounted, until Python has adapted its bytecode and memory is there, and then
once, after which callgrind writes what it counted, under the kernel's name. An action that does
nothing goes first: what is counted of it is the price of counting.
"""

from __future__ import annotations

import ctypes
import gc
import sys

from benchmarks.instructions.kernels import KERNELS, Work

__all__ = ["NOTHING"]

NOTHING = "nothing"
WARM_UPS = 3


def main() -> None:
    """Act out the kernels that are named on the command line."""
    library, *names = sys.argv[1:]
    callgrind = ctypes.CDLL(library)
    gc.disable()  # when it runs depends on all that was made before
    _act(callgrind, NOTHING, Work(lambda: None))
    for name in names:
        _act(callgrind, name, KERNELS[name].make())


def _act(callgrind: ctypes.CDLL, name: str, work: Work) -> None:
    for _ in range(WARM_UPS):
        work.prepare()
        work.action()
    work.prepare()
    raw_name = name.encode()
    callgrind.counting_start()
    callgrind.counting_reset()
    work.action()
    callgrind.counting_dump(raw_name)
    callgrind.counting_stop()


if __name__ == "__main__":
    main()
