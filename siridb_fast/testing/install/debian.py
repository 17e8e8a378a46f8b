"""Debian packages unpacked into a folder: programs without installing anything.

They come from the mirror that the system's own apt is set up with, and their signature is checked
with the distribution's key. The system's package lists, cache and database are not touched.

Rule: no host, release or architecture is written here.
"""

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PackageError", "run", "unpack_package"]

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


class PackageError(RuntimeError):
    """A package, or what is in it, cannot be had; the text says why."""


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


def unpack_package(
    package: str, root: Path, *, with_libraries: bool = True, other_debian_suite: str = ""
) -> None:
    """Unpack a package into `root`, and nothing else is there then.

    Args:
        package: Its name.
        root: A folder; what is in it goes. Packages are downloaded beside it.
        with_libraries: Also the libraries that it needs, and those that they need, the C library
            among them: so its programs run whatever the system has.
        other_debian_suite: Where Debian's own suite of the system has no such package: another.

    Raises:
        PackageError: no apt on this system, no such package, or no network.
    """
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise PackageError(
            f"this needs {', '.join(missing)}, which only Debian, Ubuntu and their like have"
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="apt-", dir=root.parent) as work:
        sources = _sources(other_debian_suite)
        for file in _download(package, sources, Path(work), with_libraries):
            run("dpkg-deb", "-x", file, root)


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a command in the C locale and return its output; `PackageError` if it fails."""
    words = [os.fspath(word) for word in command]
    try:
        done = subprocess.run(  # noqa: S603 - apt, dpkg and what they unpacked
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
        raise PackageError(f"{words[0]}: {error}") from error
    if done.returncode:
        raise PackageError(f"{' '.join(words[:4])} …: {done.stderr.strip()}")
    return done.stdout


def _download(package: str, sources: list[Source], work: Path, with_libraries: bool) -> list[Path]:
    """Download it into a subfolder of `work`, from the first source that has it."""
    work.chmod(0o755)  # apt fetches as a user of its own, who has to come in
    for folder in ("state", "lists/partial", "cache/archives/partial", "debs"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    config = work / "apt.conf"
    config.write_text(APT_CONFIG.format(work=work))
    failures = []
    for source in sources:
        (work / "sources.list").write_text(source.line)
        try:
            _fetch("apt-get", "-c", config, "update")
            names = _with_libraries(package, config) if with_libraries else [package]
            _fetch("apt-get", "-c", config, "download", *names, folder=work / "debs")
        except PackageError as error:
            failures.append(f"{source.suite} at {source.site}: {error}")
        else:
            return sorted((work / "debs").glob("*.deb"))
    raise PackageError("\n".join([f"no package source for {package} is left to try:", *failures]))


def _sources(other_debian_suite: str) -> list[Source]:
    """Return the system's own suite at each of its mirrors, then, on Debian, the other one."""
    release = platform.freedesktop_os_release()
    family = [release["ID"], *release.get("ID_LIKE", "").split()]
    distribution = next((name for name in family if name in COMPONENTS), None)
    if distribution is None:
        raise PackageError(f"{release['ID']} is neither Debian nor Ubuntu, nor made from them")
    own = release.get(f"{distribution.upper()}_CODENAME", release.get("VERSION_CODENAME", ""))
    suites = [own, other_debian_suite] if distribution == "debian" else [own]
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
    listing = run("apt-get", "indextargets", "--no-release-info", "--format", columns)
    rows = [line.split() for line in listing.splitlines()]
    mains = [(site, release) for site, release, component in rows if component == "main"]
    sites = [site for site, release in mains if release == suite] or [site for site, _ in mains]
    return list(dict.fromkeys(sites))


def _with_libraries(package: str, config: Path) -> list[str]:
    """Return the package and the libraries it needs, and those that they need.

    Asked of apt, because their names differ between releases (libuv1, libuv1t64).
    """
    found: set[str] = set()
    wanted = {package}
    while wanted:
        found |= wanted
        listing = run("apt-cache", "-c", config, "depends", "--important", *sorted(wanted))
        wanted = set(re.findall(r"^ [ |]Depends: (lib[^\s:]+)$", listing, re.MULTILINE)) - found
    return sorted(found)


def _fetch(*command: str | Path, folder: Path | None = None) -> None:
    for attempts_left in reversed(range(NETWORK_ATTEMPTS)):
        try:
            run(*command, folder=folder)
        except PackageError:
            if not attempts_left:
                raise
        else:
            return
