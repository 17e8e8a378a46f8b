"""One child process that does not outlive its parent.

Knows nothing of SiriDB. Rules: a process is signalled only through its own, not yet awaited pid;
output is appended to a log file; standard input is empty.

On Linux the kernel kills the child when its parent dies, even by SIGKILL (PR_SET_PDEATHSIG).
"Parent" there means the *thread* that started the child, so that thread has to last as long as
the child: every child is started from a thread of its own, which lives until the child is gone.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["ChildProcess"]

PR_SET_PDEATHSIG = 1


class ChildProcess:
    """A program that is started, signalled, killed and started again.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        log: the file that its output and errors are appended to.
    """

    def __init__(self, command: Sequence[str | Path], *, folder: Path, log: Path) -> None:
        self._command = [os.fspath(part) for part in command]
        self._folder = folder
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._starter: ThreadPoolExecutor | None = None

    @property
    def pid(self) -> int:
        """The pid of the running process; RuntimeError if none runs."""
        if self._process is None or not self.is_running:
            raise RuntimeError(f"{self._command[0]} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has been started and has not ended (a paused one runs)."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last process, the negative signal number, or None."""
        return None if self._process is None else self._process.poll()

    @property
    def cpu_seconds(self) -> float:
        """User and system time used so far, in steps of the kernel's clock tick (10 ms)."""
        # The name of the program, in parentheses, may itself hold blanks and parentheses.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        user_ticks, system_ticks = int(fields[11]), int(fields[12])
        return (user_ticks + system_ticks) / os.sysconf("SC_CLK_TCK")

    @property
    def rss(self) -> int:
        """Resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def start(self) -> None:
        """Start the program; RuntimeError if it runs already."""
        if self.is_running:
            raise RuntimeError(f"{self._command[0]} is already running as process {self.pid}")
        self._release_starter()
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="siridb-server")
        self._process = self._starter.submit(self._spawn).result()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process has ended."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout: float) -> bool:
        """Wait for the end of the process; return whether it came within `timeout` seconds."""
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                return False
        self._release_starter()
        return True

    def kill(self) -> None:
        """End the process with SIGKILL and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        self._release_starter()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the command is the caller's
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_death_pact(os.getpid()),
            )

    def _release_starter(self) -> None:
        if self._starter is not None:
            self._starter.shutdown(wait=False)
            self._starter = None


def _death_pact(parent: int) -> Callable[[], None] | None:
    """Return what the child calls between fork and exec; everything is resolved before."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)

    return die_with_parent
