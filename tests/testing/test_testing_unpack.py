"""Finding the server program, and unpacking it with a toolbox that only pretends to be apt."""

import os
import platform
from pathlib import Path

import pytest

from siridb_fast.testing import ServerNotFound, find_server
from siridb_fast.testing.install.debian import unpack_package
from siridb_fast.testing.install.unpack import main

PRINT_VERSION = "echo SiriDB Server 9.8.7"

# Knows siridb-server in the suite trixie only, as bookworm does; each call is written down.
FAKE_APT_GET = """\
echo "apt-get $*" >> "$CALLS"
case "$*" in
*indextargets*)
    echo "http://mirror.invalid/other bookworm extra"
    echo "http://mirror.invalid/debian bookworm main"
    echo "http://mirror.invalid/debian bookworm-updates main" ;;
*update) grep -h ^deb "$(dirname "$2")/sources.list" >> "$CALLS" ;;
*download*) touch siridb-server.deb libuv1t64.deb ;;
esac
"""
FAKE_APT_CACHE = """\
echo "apt-cache $*" >> "$CALLS"
grep -q trixie "$(dirname "$2")/sources.list" || { echo no packages found >&2; exit 100; }
case "$*" in
*important*siridb-server*)
    echo siridb-server
    echo "  Depends: ucf"
    echo "  Depends: libuv1t64"
    echo "  Depends: <libvirtual>" ;;
*important*libuv1t64*)
    echo libuv1t64
    echo " |Depends: libc6"
    echo "    libprovided" ;;
esac
"""
FAKE_DPKG_DEB = r"""
lib=$3/usr/lib/some-linux-gnu
mkdir -p $lib $3/usr/lib/siridb-server $3/usr/share/overrides/
touch $lib/libc.so.6 $3/usr/share/overrides/siridb-server
printf '#!/bin/sh\nshift 2\nexec "$@"\n' > $lib/ld-linux-some.so.1
printf '#!/bin/sh\necho SiriDB Server 9.8.7; echo more\n' > $3/usr/lib/siridb-server/siridb-server
chmod +x $lib/ld-linux-some.so.1 $3/usr/lib/siridb-server/siridb-server
"""


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a system that has no server and no tools."""
    monkeypatch.delenv("SIRIDB_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    work = tmp_path / "project" / "deep"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    return tmp_path


@pytest.fixture
def fake_debian(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tools = nowhere / "bin"
    program(tools / "apt-get", FAKE_APT_GET)
    program(tools / "apt-cache", FAKE_APT_CACHE)
    program(tools / "dpkg-deb", FAKE_DPKG_DEB)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tools), os.defpath]))
    monkeypatch.setenv("CALLS", str(nowhere / "calls"))
    release = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    return nowhere


def test_server_is_looked_for_in_order(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = program(nowhere / "cache" / "siridb_fast" / "siridb-server" / "siridb-server", "")
    assert find_server() == cached
    (nowhere / "project" / "pyproject.toml").touch()
    unpacked = program(nowhere / "project" / ".siridb-server" / "siridb-server", "")
    assert find_server() == unpacked
    on_path = program(nowhere / "bin" / "siridb-server", "")
    assert find_server() == on_path
    named = program(nowhere / "mine", "")
    monkeypatch.setenv("SIRIDB_SERVER", str(named))
    assert find_server() == named


def test_server_above_the_project_is_not_looked_at(nowhere: Path) -> None:
    program(nowhere / "project" / ".siridb-server" / "siridb-server", "")
    with pytest.raises(ServerNotFound):  # no mark of a project: the current folder alone
        find_server()
    Path("setup.py").touch()
    with pytest.raises(ServerNotFound):
        find_server()


OPEN_PLACES = {  # folder or file whose permissions are changed, and to what
    "project": ("project/deep", 0o777),
    "project in which nobody renames what is another's": ("project/deep", 0o1777),
    "folder": ("project/deep/.siridb-server", 0o777),
    "program": ("project/deep/.siridb-server/siridb-server", 0o777),
    "parent": ("project", 0o777),
    "cache": ("cache", 0o777),
    "target of a link": ("linked", 0o777),
}


@pytest.mark.parametrize("place", OPEN_PLACES)
def test_server_that_others_may_have_put_there_is_left_out(nowhere: Path, place: str) -> None:
    name, mode = OPEN_PLACES[place]
    folder = Path.cwd() / ".siridb-server"
    if place == "cache":
        folder = nowhere / "cache" / "siridb_fast" / "siridb-server"
    if place == "target of a link":
        program(nowhere / "linked" / "siridb-server", "")
        folder.symlink_to(nowhere / "linked")
    else:
        program(folder / "siridb-server", "")
    assert find_server() == folder / "siridb-server"
    (nowhere / name).chmod(mode)
    with pytest.raises(ServerNotFound, match=f"other users may write to {nowhere / name}"):
        find_server()


def test_server_below_a_folder_for_everybody_is_found(nowhere: Path) -> None:
    program(Path.cwd() / ".siridb-server" / "siridb-server", "")
    nowhere.chmod(0o1777)  # as that for temporary files is
    assert find_server() == Path.cwd() / ".siridb-server" / "siridb-server"


def test_server_of_another_user_is_left_out(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(Path.cwd() / ".siridb-server" / "siridb-server", "")
    if os.geteuid() == 0:
        os.chown(Path.cwd() / ".siridb-server", 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 1)
    with pytest.raises(ServerNotFound, match="belongs to another user"):
        find_server()


def test_missing_server_says_what_to_do(nowhere: Path) -> None:
    with pytest.raises(ServerNotFound) as caught:
        find_server()
    for advice in (
        "SIRIDB_SERVER",
        "'siridb-server' package",
        "siridb_fast.testing.install",
    ):
        assert advice in str(caught.value)


@pytest.mark.parametrize("name", ["absent", "folder", "plain"])
def test_named_server_that_cannot_be_run_is_an_error(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (nowhere / "folder").mkdir()
    (nowhere / "plain").touch()
    program(nowhere / "bin" / "siridb-server", "")
    monkeypatch.setenv("SIRIDB_SERVER", str(nowhere / name))
    with pytest.raises(ServerNotFound, match=f"/{name} is not an executable file"):
        find_server()


def test_unpack_without_apt_says_so(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(nowhere / "server")]) == 1
    assert "apt-get, apt-cache, dpkg-deb" in capsys.readouterr().err
    assert not (nowhere / "server").exists()


def test_unpack_leaves_a_working_server_alone(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapper = program(nowhere / "server" / "siridb-server", PRINT_VERSION)
    assert main([str(nowhere / "server")]) == 0
    assert capsys.readouterr().out == f"SiriDB Server 9.8.7 is ready: {wrapper}\n"


def test_unpack_takes_the_suite_that_has_the_server(
    fake_debian: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0

    folder = Path.cwd() / ".siridb-server"
    assert capsys.readouterr().out == f"SiriDB Server 9.8.7 is ready: {folder}/siridb-server\n"
    assert sorted(path.name for path in folder.iterdir()) == ["root", "siridb-server"]
    assert find_server() == folder / "siridb-server"
    calls = (fake_debian / "calls").read_text().splitlines()
    sources = [line.rpartition("] ")[2] for line in calls if line.startswith("deb ")]
    assert sources == [
        "http://mirror.invalid/debian bookworm main",
        "http://mirror.invalid/debian trixie main",
    ]
    assert calls[-1].endswith("download libc6 libuv1t64 siridb-server")


def test_wrapper_works_after_a_move(fake_debian: Path) -> None:
    assert main([]) == 0
    moved = fake_debian / "elsewhere"
    (Path.cwd() / ".siridb-server").rename(moved)
    assert main([str(moved)]) == 0


def test_failing_network_is_tried_once_more(
    fake_debian: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = FAKE_APT_GET + 'case "$*" in *update) echo no route >&2; exit 100;; esac'
    program(fake_debian / "bin" / "apt-get", failing)
    assert main([]) == 1
    assert "no route" in capsys.readouterr().err
    calls = (fake_debian / "calls").read_text()
    assert calls.count(" update") == 4  # two suites, twice each


def test_unknown_distribution_is_refused(
    fake_debian: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "else"})
    assert main([]) == 1
    assert "neither Debian nor Ubuntu" in capsys.readouterr().err


def test_package_without_its_libraries_comes_from_the_own_suite(fake_debian: Path) -> None:
    root = fake_debian / "tool" / "root"
    unpack_package("valgrind", root, with_libraries=False)
    assert (root / "usr/lib").is_dir()
    assert [path.name for path in root.parent.iterdir()] == ["root"]
    calls = (fake_debian / "calls").read_text()
    assert "apt-cache" not in calls
    assert "trixie" not in calls
    assert calls.splitlines()[-1].endswith(" download valgrind")
