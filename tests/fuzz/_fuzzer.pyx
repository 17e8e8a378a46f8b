"""The loop of a fuzzer that is led by coverage: change an input, execute it, keep what is new.

An input is kept when it takes an edge, or takes it a number of times, that no input before it
did. Each lies in memory of just its size while it is executed, so that libasan sees a byte too
far. Knows nothing of what the inputs mean: that is the check, a callable that raises.
"""

from cpython.buffer cimport PyBUF_READ
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset, strdup
from posix.unistd cimport alarm

from tests.fuzz._mutator cimport KEPT_SIZE, Mutator

cdef extern from "runtime.h":
    enum:
        FUZZ_EDGES
    uint8_t[1] fuzz_counts
    uint16_t[1] fuzz_touched
    uint32_t fuzz_touched_count
    uint64_t fuzz_allocated
    int fuzz_install(const char* path)
    void fuzz_begin(const unsigned char* data, size_t size)
    void fuzz_end()
    size_t __sanitizer_get_current_allocated_bytes()

cdef enum:
    PATIENCE = 20  # seconds that so many executions may take
    PATIENT_RUNS = 256
    DRAWN = 3
    NEWEST = 32


class Violation(Exception):
    """An input breaks a property; ``data`` is the input."""

    def __init__(self, text, data):
        super().__init__(text)
        self.data = data


def install(bytes crash_path) -> bool:
    """Write the input there when the process dies; tell whether memory is counted."""
    cdef char* path = strdup(crash_path)  # for as long as the process lives
    return fuzz_install(path) != 0


def allocated() -> int:
    """Return the bytes of memory asked for since the execution began."""
    return fuzz_allocated


def in_use() -> int:
    """Return the bytes of memory that are not released."""
    return __sanitizer_get_current_allocated_bytes()


cdef class Fuzzer:
    """One check with its corpus and its coverage."""

    cdef:
        readonly object check
        readonly list corpus
        readonly uint64_t runs
        readonly uint64_t features          # edges, and numbers of times, that were seen
        Mutator mutator
        uint8_t[1 << 14] seen               # a bit for each number of times

    def __init__(self, check, uint64_t seed, *, is_stream):
        self.check = check
        self.corpus = []
        self.mutator = Mutator(seed, is_stream)
        memset(self.seen, 0, FUZZ_EDGES)

    def add(self, bytes data) -> bool:
        """Execute an input as it is; keep it if it shows something new, and tell whether."""
        self.mutator.load(data)
        is_new = self._execute()
        if is_new:
            self.corpus.append(data)
        return is_new

    def run(self, uint64_t runs) -> None:
        """Execute so many changed inputs.

        Raises:
            Violation: An input broke a property.
        """
        cdef bytes parent, other
        if not self.corpus:
            raise ValueError("an input to begin with is needed: add() one")
        while runs:
            if runs % PATIENT_RUNS == 0:
                alarm(PATIENCE)
            parent = self._pick()
            other = self._pick()
            self.mutator.load(parent)
            self.mutator.mutate(other)
            if self._execute() and self.mutator.size <= KEPT_SIZE:
                self.corpus.append(self._input())
            runs -= 1
        alarm(0)

    cdef bytes _pick(self):
        # the shortest of a few; one of the newest as often as any
        cdef Py_ssize_t count = len(self.corpus)
        cdef Py_ssize_t newest = min(count, <Py_ssize_t>NEWEST) if self.mutator.below(2) else count
        cdef bytes best = None, other
        for _ in range(DRAWN):
            other = <bytes>self.corpus[count - 1 - <Py_ssize_t>self.mutator.below(newest)]
            if best is None or len(other) < len(best):
                best = other
        return best

    cdef bytes _input(self):
        return PyBytes_FromStringAndSize(<char*>self.mutator.data, self.mutator.size)

    cdef bint _execute(self) except -1:
        cdef Py_ssize_t size = self.mutator.size
        cdef unsigned char* exact = <unsigned char*>malloc(size if size else 1)
        memcpy(exact, self.mutator.data, size)
        view = PyMemoryView_FromMemory(<char*>exact, size, PyBUF_READ)
        self.runs += 1
        fuzz_begin(exact, size)
        try:
            self.check(view)
        except Exception as exc:
            raise Violation(f"{type(exc).__name__}: {exc}", self._input()) from exc
        finally:
            fuzz_end()
            view.release()
            free(exact)
        return self._take_new()

    cdef bint _take_new(self) noexcept:
        # Tell whether an edge was taken a number of times that is new, and forget the counts.
        global fuzz_touched_count
        cdef bint is_new = False
        cdef uint32_t i
        cdef uint16_t edge
        cdef uint8_t bit
        for i in range(fuzz_touched_count):
            edge = fuzz_touched[i]
            bit = _bucket(fuzz_counts[edge])
            fuzz_counts[edge] = 0
            if not self.seen[edge] & bit:
                self.seen[edge] |= bit
                self.features += 1
                is_new = True
        fuzz_touched_count = 0
        return is_new


cdef inline uint8_t _bucket(uint8_t count) noexcept:
    # 1, 2, 3, 4-7, 8-15, 16-31, 32-127, more: a bit each
    if count < 4:
        return 1 << (count - 1)
    if count < 8:
        return 8
    if count < 16:
        return 16
    if count < 32:
        return 32
    return 64 if count < 128 else 128
