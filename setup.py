"""Build the Cython extensions; everything else about the package is in pyproject.toml."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

IS_DEBUG = os.environ.get("SIRIDB_FAST_DEBUG", "0") not in ("", "0")
IS_SANITIZED = os.environ.get("SIRIDB_FAST_SANITIZE", "0") not in ("", "0")  # make sanitize, fuzz
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
HAS_SYMBOLS = os.environ.get("SIRIDB_FAST_SYMBOLS", "0") not in ("", "0")  # for profilers
IS_ANNOTATED = os.environ.get("SIRIDB_FAST_ANNOTATE", "0") not in ("", "0")
OPTIMIZED = ["-O3", "-funroll-loops", "-g" if HAS_SYMBOLS else "-g0"]
UNIX_ARGS = ["-O1", "-g"] if IS_DEBUG else OPTIMIZED
if IS_SANITIZED:
    UNIX_ARGS = ["-O1", "-g1", "-fno-omit-frame-pointer", "-fsanitize-coverage=trace-pc"]
    UNIX_ARGS += SANITIZERS
COMPILE_ARGS = [] if sys.platform == "win32" else UNIX_ARGS
LINK_ARGS = SANITIZERS if IS_SANITIZED else []
DIRECTIVES = {
    "language_level": "3",
    "boundscheck": IS_DEBUG,
    "wraparound": IS_DEBUG,
    "initializedcheck": IS_DEBUG,
    "nonecheck": IS_DEBUG,
    "overflowcheck": False,  # the kernels rely on two's complement
    "cdivision": True,
}


def extensions() -> list[Extension]:
    """Return one extension for each source in the mirrored folders."""
    root = Path("src_pyx")
    sources = sorted(root.rglob("*.pyx"))
    return [
        Extension(
            ".".join(path.relative_to(root).with_suffix("").parts),
            [str(path)],
            extra_compile_args=COMPILE_ARGS,
            extra_link_args=LINK_ARGS,
        )
        for path in sources
    ]


setup(
    ext_modules=cythonize(
        extensions(),
        include_path=["src_pyx"],
        build_dir=f"build/cython{'-debug' * IS_DEBUG}{'-symbols' * HAS_SYMBOLS}",
        emit_linenums=HAS_SYMBOLS,  # of the .pyx
        annotate=IS_ANNOTATED,
        force=IS_ANNOTATED,  # there is no page of what need not be translated
        compiler_directives=DIRECTIVES,
    )
)
