"""Build the fuzzer itself, which is not sanitized and not covered: only what it executes is.

Run at the root of the project, where it is the package ``tests.fuzz``.
"""

from Cython.Build import cythonize
from setuptools import Extension, setup

MODULES = {"_mutator": "pyx", "_memory": "pyx", "_fuzzer": "pyx", "checks": "py"}
DIRECTIVES = {"language_level": "3", "boundscheck": False, "wraparound": False, "cdivision": True}

setup(
    name="siridb_fast_fuzz",
    packages=["tests", "tests.fuzz"],
    ext_modules=cythonize(
        [
            Extension(
                f"tests.fuzz.{name}",
                [f"tests/fuzz/{name}.{suffix}"],
                include_dirs=["tests/fuzz"],
                extra_compile_args=["-O2", "-g0"],
            )
            for name, suffix in MODULES.items()
        ],
        compiler_directives=DIRECTIVES,
        build_dir="build/fuzz/cython",
    ),
)
