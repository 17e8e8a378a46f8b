"""`python -m siridb_fast.testing.unpack [FOLDER]`: a siridb-server without installing anything.

Debian and Ubuntu have the server as a package. This takes it and the libraries it needs from the
mirror that the system's own apt is set up with, checks the signature with the distribution's key,
and unpacks everything into FOLDER. The system's package lists, cache and database are not touched.
FOLDER/siridb-server then starts the server with its own libraries and its own dynamic loader.

Rule: no host, release or architecture is written here, but for the Debian release that is taken
where the system's own has no siridb-server.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ServerUnpackError", "main", "unpack"]

PACKAGE = "siridb-server"
OTHER_DEBIAN_SUITE = "trixie"
COMPONENTS = {"debian": "main", "ubuntu": "main universe"}
TOOLS = ("apt-get", "apt-cache", "dpkg-deb")
NETWORK_TIMEOUT = 300
NETWORK_ATTEMPTS = 2

# Nothing of the system's state counts, above all not what is installed; and the signature of the
# lists is checked whatever the system's own configuration says.
APT_CONFIG = """\
#clear APT::Default-Release;
#clear APT::Update;
Dir::Etc::SourceList "{work}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{work}/state";
Dir::State::Lists "{work}/lists";
Dir::State::Status "{work}/status";
Dir::Cache "{work}/cache";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::Retries "0";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
"""

# The wrapper becomes the server (exec), so that its pid is the server's.
WRAPPER = """\
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
exec "$root/{loader}" --library-path "{libraries}" "$root/{server}" "$@"
"""


class ServerUnpackError(RuntimeError):
    """The server cannot be had this way; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A mirror and one of its suites."""

    site: str
    suite: str
    distribution: str

    @property
    def line(self) -> str:
        """The line of an apt source list that names it, for packages only."""
        options = ["target=Packages", *self._signed_by()]
        components = COMPONENTS[self.distribution]
        return f"deb [{' '.join(options)}] {self.site} {self.suite} {components}\n"

    def _signed_by(self) -> Iterator[str]:
        keyring = Path(f"/usr/share/keyrings/{self.distribution}-archive-keyring.gpg")
        if keyring.exists():
            yield f"signed-by={keyring}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m siridb_fast.testing.unpack",
        description="Unpack siridb-server and its libraries into a folder; install nothing.",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".siridb-server"))
    folder = parser.parse_args(arguments).folder.absolute()
    try:
        version = _version(folder / PACKAGE)
        if version is None:
            version = unpack(folder)
    except ServerUnpackError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{version} is ready: {folder / PACKAGE}")
    return 0


def unpack(folder: Path) -> str:
    """Unpack the server into `folder`, whatever is there, and return its version.

    Raises:
        ServerUnpackError: no apt on this system, no such package, or no network.
    """
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise ServerUnpackError(
            f"this needs {', '.join(missing)}, which only Debian, Ubuntu and their like have; "
            f"elsewhere build or install {PACKAGE} and set SIRIDB_SERVER to its path"
        )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "root", ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="apt-", dir=folder) as work:
        for package in _download(Path(work)):
            _run("dpkg-deb", "-x", package, folder / "root")
    wrapper = folder / PACKAGE
    wrapper.write_text(_wrapper(folder / "root"))
    wrapper.chmod(0o755)
    version = _version(wrapper)
    if version is None:
        raise ServerUnpackError(f"{wrapper} was unpacked but does not start")
    return version


def _download(work: Path) -> list[Path]:
    """Download the packages into a subfolder of `work`, from the first source that has them."""
    work.chmod(0o755)  # apt fetches as a user of its own, who has to come in
    for folder in ("state", "lists/partial", "cache/archives/partial", "debs"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    config = work / "apt.conf"
    config.write_text(APT_CONFIG.format(work=work))
    failures = []
    for source in _sources():
        (work / "sources.list").write_text(source.line)
        try:
            _fetch("apt-get", "-c", config, "update")
            names = _with_libraries(config)
            _fetch("apt-get", "-c", config, "download", *names, folder=work / "debs")
        except ServerUnpackError as error:
            failures.append(f"{source.suite} at {source.site}: {error}")
        else:
            return sorted((work / "debs").glob("*.deb"))
    raise ServerUnpackError(
        "\n".join([f"no package source for {PACKAGE} is left to try:", *failures])
    )


def _sources() -> list[Source]:
    """Return the system's own suite at each of its mirrors, then, on Debian, another suite."""
    release = platform.freedesktop_os_release()
    family = [release["ID"], *release.get("ID_LIKE", "").split()]
    distribution = next((name for name in family if name in COMPONENTS), None)
    if distribution is None:
        raise ServerUnpackError(
            f"{release['ID']} is neither Debian nor Ubuntu, nor made from them"
        )
    own = release.get(f"{distribution.upper()}_CODENAME", release.get("VERSION_CODENAME", ""))
    suites = [own, OTHER_DEBIAN_SUITE] if distribution == "debian" else [own]
    return [
        Source(site, suite, distribution)
        for suite in dict.fromkeys(filter(None, suites))
        for site in _mirrors(own)
    ]


def _mirrors(suite: str) -> list[str]:
    """Return the mirrors of `suite` in the system's apt configuration, or all where it has none.

    Taken from the configuration alone, so it does not matter if apt never fetched a list. A
    stranger's mirror with a suite of that name fails the check of its signature later.
    """
    columns = "$(SITE) $(RELEASE) $(COMPONENT)"
    listing = _run("apt-get", "indextargets", "--no-release-info", "--format", columns)
    rows = [line.split() for line in listing.splitlines()]
    mains = [(site, release) for site, release, component in rows if component == "main"]
    sites = [site for site, release in mains if release == suite] or [site for site, _ in mains]
    return list(dict.fromkeys(sites))


def _with_libraries(config: Path) -> list[str]:
    """Return the server's package and the libraries it needs, and those that they need.

    Asked of apt, because their names differ between releases (libuv1, libuv1t64).
    """
    found: set[str] = set()
    wanted = {PACKAGE}
    while wanted:
        found |= wanted
        listing = _run("apt-cache", "-c", config, "depends", "--important", *sorted(wanted))
        wanted = set(re.findall(r"^ [ |]Depends: (lib[^\s:]+)$", listing, re.MULTILINE)) - found
    return sorted(found)


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
        raise ServerUnpackError(f"no {what} in {folder}")
    return path


def _version(program: Path) -> str | None:
    """Return the first line of the program's `--version`, or None if it cannot be run."""
    if not program.exists():
        return None
    try:
        return _run(program, "--version").partition("\n")[0]
    except ServerUnpackError:
        return None


def _fetch(*command: str | Path, folder: Path | None = None) -> None:
    for attempts_left in reversed(range(NETWORK_ATTEMPTS)):
        try:
            _run(*command, folder=folder)
        except ServerUnpackError:
            if not attempts_left:
                raise
        else:
            return


def _run(*command: str | Path, folder: Path | None = None) -> str:
    words = [os.fspath(word) for word in command]
    try:
        done = subprocess.run(  # noqa: S603 - apt, dpkg and the unpacked server
            words,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NETWORK_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerUnpackError(f"{words[0]}: {error}") from error
    if done.returncode:
        raise ServerUnpackError(f"{' '.join(words[:4])} …: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
