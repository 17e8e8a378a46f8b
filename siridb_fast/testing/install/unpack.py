"""`python -m siridb_fast.testing.install [FOLDER]`: a siridb-server without installing anything.

Debian and Ubuntu have the server as a package. This unpacks it, with the libraries it needs, into
FOLDER; FOLDER/siridb-server then starts the server with its own libraries and its own dynamic
loader.

Rule: no host, release or architecture is written here, but for the Debian release that is taken
where the system's own has no siridb-server.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from siridb_fast.testing.install.debian import PackageError, run, unpack_package

__all__ = ["main", "unpack"]

PACKAGE = "siridb-server"
OTHER_DEBIAN_SUITE = "trixie"

# The wrapper becomes the server (exec), so that its pid is the server's.
WRAPPER = """\
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
exec "$root/{loader}" --library-path "{libraries}" "$root/{server}" "$@"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m siridb_fast.testing.install",
        description="Unpack siridb-server and its libraries into a folder; install nothing.",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".siridb-server"))
    folder = parser.parse_args(arguments).folder.absolute()
    try:
        version = _version(folder / PACKAGE)
        if version is None:
            version = unpack(folder)
    except PackageError as error:
        advice = f"Or build or install {PACKAGE} yourself, and set SIRIDB_SERVER to its path."
        print(error, advice, sep="\n", file=sys.stderr)
        return 1
    print(f"{version} is ready: {folder / PACKAGE}")
    return 0


def unpack(folder: Path) -> str:
    """Unpack the server into `folder`, whatever is there, and return its version.

    Raises:
        PackageError: no apt on this system, no such package, or no network.
    """
    unpack_package(PACKAGE, folder / "root", other_debian_suite=OTHER_DEBIAN_SUITE)
    wrapper = folder / PACKAGE
    wrapper.write_text(_wrapper(folder / "root"))
    wrapper.chmod(0o755)
    version = _version(wrapper)
    if version is None:
        raise PackageError(f"{wrapper} was unpacked but does not start")
    return version


def _wrapper(root: Path) -> str:
    programs = (path for path in root.rglob(PACKAGE) if _is_program(path))
    server = _first(programs, PACKAGE, root)
    libc = _first(root.rglob("libc.so.6"), "C library", root)
    loader = _first(libc.parent.glob("ld*.so.*"), "dynamic loader", libc.parent)
    # Before the two were merged, packages put their libraries partly in /lib, partly in /usr/lib.
    folders = [root / lib / libc.parent.name for lib in ("lib", "usr/lib")]
    return WRAPPER.format(
        server=server.relative_to(root),
        loader=loader.relative_to(root),
        libraries=":".join(f"$root/{path.relative_to(root)}" for path in folders if path.is_dir()),
    )


def _is_program(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and os.access(path, os.X_OK)


def _first(paths: Iterator[Path], what: str, folder: Path) -> Path:
    path = next(paths, None)
    if path is None:
        raise PackageError(f"no {what} in {folder}")
    return path


def _version(program: Path) -> str | None:
    """Return the first line of the program's `--version`, or None if it cannot be run."""
    if not program.exists():
        return None
    try:
        return run(program, "--version").partition("\n")[0]
    except PackageError:
        return None
