"""How many instructions each kernel may take: `bounds.toml`, counts of one build and a tolerance.

A machine is an architecture and a minor version of Python, since the interpreter is a part of
every call. Counts of the very build that the bounds were counted with may differ by little; to
another compiler, numpy or patch release of Python more is allowed.
"""

from __future__ import annotations

import platform
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from siridb_fast.columns import _points

__all__ = ["BOUNDS", "Bounds", "Build", "Verdict", "machine"]

BOUNDS = Path(__file__).with_name("bounds.toml")
COMPILER = re.compile(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+")
HEAD = """\
# Instructions that an action takes for each point, row, reply or call: counted by callgrind with
# the build that stands beside them, and written here by `make instructions ARGS=--update`.
# `make instructions` fails where a count is higher by more than the tolerance, a share of 1.
"""


def machine() -> str:
    """Return the key of what we run on: `x86_64 cpython-311`."""
    return f"{platform.machine()} {sys.implementation.cache_tag}"


@dataclass(frozen=True, slots=True)
class Build:
    """What the instructions come from."""

    python: str
    compiler: str
    numpy: str

    @classmethod
    def ours(cls) -> Self:
        """Return that of the extensions as they are compiled."""
        compiler = COMPILER.search(Path(_points.__file__).read_bytes())
        return cls(
            python=platform.python_version(),
            compiler="unknown" if compiler is None else compiler[0].decode(),
            numpy=np.__version__,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """A kernel's count beside what is allowed; both are of one unit.

    Attributes:
        bound: None where the machine has no bounds, or the kernel is new.
        tolerance: By how much of the bound the count may differ from it.
    """

    count: float
    bound: float | None
    tolerance: float

    @property
    def change(self) -> float | None:
        """How much higher the count is than the bound, as a share of it."""
        return None if self.bound is None else self.count / self.bound - 1

    @property
    def is_over(self) -> bool:
        """Whether it is too many."""
        return self.change is not None and self.change > self.tolerance

    @property
    def is_under(self) -> bool:
        """Whether it is so few that the bound holds nothing any more."""
        return self.change is not None and self.change < -self.tolerance


@dataclass(frozen=True, slots=True)
class Counted:
    """The bounds of a machine, and the build that they were counted with."""

    build: Build
    kernels: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bounds:
    """All that is in the file."""

    same_build: float
    other_build: float
    machines: Mapping[str, Counted]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of the file; `ValueError` where a number is not over 0."""
        tables = tomllib.loads(text)
        tolerance = tables.pop("tolerance")
        machines = {
            key: Counted(Build(**table["build"]), table["kernels"])
            for key, table in tables.items()
        }
        numbers = [
            *tolerance.values(),
            *(n for m in machines.values() for n in m.kernels.values()),
        ]
        if not all(number > 0 for number in numbers):
            raise ValueError("tolerances and bounds are numbers over 0")
        return cls(**tolerance, machines=machines)

    def dump(self) -> str:
        """Return the text of the file."""
        lines = [HEAD, "[tolerance]"]
        lines += [f"same_build = {self.same_build}", f"other_build = {self.other_build}"]
        for key, counted in sorted(self.machines.items()):
            lines += ["", f'["{key}".build]']
            lines += [f'{name} = "{text}"' for name, text in asdict(counted.build).items()]
            lines += ["", f'["{key}".kernels]']
            lines += [f'"{name}" = {count}' for name, count in counted.kernels.items()]
        return "\n".join(lines) + "\n"

    def verdict(self, key: str, build: Build, kernel: str, count: float) -> Verdict:
        """Judge a kernel's count."""
        counted = self.machines.get(key)
        if counted is None:
            return Verdict(count, None, self.other_build)
        tolerance = self.same_build if build == counted.build else self.other_build
        return Verdict(count, counted.kernels.get(kernel), tolerance)

    def updated(self, key: str, build: Build, counts: Mapping[str, float]) -> Bounds:
        """Return them with new ones of a machine; the others stay."""
        rounded = {name: float(f"{count:.4g}") for name, count in counts.items()}
        machines = {**self.machines, key: Counted(build, rounded)}
        return Bounds(self.same_build, self.other_build, machines)
