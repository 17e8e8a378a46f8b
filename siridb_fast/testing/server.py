"""A real siridb-server in a temporary folder on free loopback ports.

Knows nothing of the binary protocol. Rules: a server keeps its ports and its folder from the
first start to `close()`; nothing is waited for by the clock, always by asking the server.
"""

import os
import shutil
import signal
import tempfile
import weakref
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import quote

from siridb_fast.connection.http_api import HttpApi, HttpApiError
from siridb_fast.testing.binary import find_server
from siridb_fast.testing.launch import ServerStartError, launch
from siridb_fast.testing.polling import wait_until
from siridb_fast.testing.ports import Ports
from siridb_fast.testing.process import ChildProcess
from siridb_fast.testing.settings import HOST, Settings
from siridb_fast.testing.startable import Startable

__all__ = ["SiriDBServer"]

START_ATTEMPTS = 3
# A unix socket's path has room for 107 bytes; our own names take 28 of them.
MAX_TEMP_FOLDER = 79


class SiriDBServer(Startable):
    """A siridb-server of one's own: started, paused, killed, restarted and thrown away.

    As a context manager it starts on entry; on exit the process and its folder are gone. They
    also go when the object is forgotten or the program ends. After a SIGKILL of the program the
    kernel still ends the server (Linux), and only the folder stays behind.

    Its ports are its own until it is closed: no other server of this class, in whatever process,
    is given one of them while it is killed, so that it can always come back.

    The server binds its client and backend ports to loopback, but its two HTTP ports to every
    address; no setting changes that.

    Args:
        binary: the server program; by default `find_server()` finds it.
        buffer_sync_interval: milliseconds between two fsyncs of the buffer; 0, the server's own
            default, syncs after every slice of an insert.
        log_level: debug, info, warning, error or critical.
        options: changes to `settings.DEFAULTS`, the other lines of the configuration file.

    Raises:
        ServerNotFound: `binary` is not given and there is no server on this machine.
        ValueError: an option that is not among the defaults.
    """

    def __init__(
        self,
        *,
        binary: str | os.PathLike[str] | None = None,
        buffer_sync_interval: int = 0,
        log_level: str = "info",
        options: Mapping[str, str | int] | None = None,
    ) -> None:
        self._program = find_server() if binary is None else Path(binary).absolute()
        self._settings = Settings(buffer_sync_interval, options or {})
        self._ports: Ports | None = None
        self._held: list[Ports] = []  # what the finalizer releases
        self._folder = _new_folder()
        self._config_path = self._folder / "siridb.conf"
        self._log_path = self._folder / "siridb.log"
        self._log_path.touch()
        command: list[str | Path] = [self._program, "-c", self._config_path, "-l", log_level]
        self._child = ChildProcess(command, folder=self._folder, log=self._log_path)
        self._finalizer = weakref.finalize(
            self, _throw_away, self._child, self._folder, self._held, owner=os.getpid()
        )

    @property
    def program(self) -> Path:
        """The server program."""
        return self._program

    @property
    def host(self) -> str:
        """The address the server listens on."""
        return HOST

    @property
    def port(self) -> int:
        """The TCP port for clients."""
        return self._known_ports.client

    @property
    def backend_port(self) -> int:
        """The TCP port for other servers; the one that `list servers` shows."""
        return self._known_ports.backend

    @property
    def http_port(self) -> int:
        """The TCP port of the HTTP interface."""
        return self._known_ports.http

    @property
    def socket_path(self) -> Path:
        """The unix socket for clients."""
        return self._folder / "siridb.sock"

    @property
    def folder(self) -> Path:
        """The temporary folder: configuration, log, socket and databases."""
        return self._folder

    @property
    def log(self) -> str:
        """What the server has logged since its first start."""
        return self._log_path.read_text(errors="replace")

    @property
    def api(self) -> HttpApi:
        """The server's HTTP interface: service requests, queries and inserts."""
        return HttpApi(HOST, self.http_port)

    @property
    def pid(self) -> int:
        """The pid of the running server; RuntimeError if it does not run."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives; a paused one does."""
        return self._child.is_running

    @property
    def cpu_seconds(self) -> float:
        """User and system time used since the last start, in steps of 10 ms."""
        return self._child.cpu_seconds

    @property
    def rss(self) -> int:
        """Resident memory in bytes."""
        return self._child.rss

    def database_folder(self, dbname: str = "dbtest") -> Path:
        """Return the folder of a database."""
        return self._folder / "data" / dbname

    def url(
        self,
        dbname: str = "dbtest",
        *,
        username: str = "iris",
        password: str = "siri",  # noqa: S107 - the password of every new database
    ) -> str:
        """Return the URL of a database over TCP."""
        return f"siridb://{_user(username, password)}@{HOST}:{self.port}/{quote(dbname, safe='')}"

    def socket_url(
        self,
        dbname: str = "dbtest",
        *,
        username: str = "iris",
        password: str = "siri",  # noqa: S107 - as above
    ) -> str:
        """Return the URL of a database over the unix socket."""
        path = f"{quote(dbname, safe='')}?socket={quote(str(self.socket_path))}"
        return f"siridb://{_user(username, password)}@/{path}"

    def start(self, timeout: float = 30) -> Self:
        """Start the server and return it once it answers, all its databases loaded.

        In a cluster it may still have to synchronize: see `SiriDBCluster.wait_until_running`.
        The first start tries other ports, twice, where somebody else was faster.

        Raises:
            ServerStartError: the server ended, or was not ready within `timeout` seconds.
            RuntimeError: it runs already, or it was closed.
        """
        if not self._finalizer.alive:
            raise RuntimeError("this server was closed and its folder is gone")
        if self._ports is not None:
            self._launch(self._ports, timeout)
            return self
        for attempts_left in reversed(range(START_ATTEMPTS)):
            ports = Ports.free()
            self._held[:] = [ports]
            try:
                self._launch(ports, timeout)
            except ServerStartError as error:
                ports.release()
                if not (error.is_address_in_use and attempts_left):
                    raise
            else:
                self._ports = ports
                break
        return self

    def stop(self, timeout: float = 30) -> None:
        """Ask the server to end (SIGTERM), and kill it after `timeout` seconds.

        With a database even an idle server takes 2 seconds: it waits for its optimize thread.
        """
        self.resume()
        self._child.signal(signal.SIGTERM)
        if not self._child.wait(timeout):
            self._child.kill()

    def kill(self) -> None:
        """End the server with SIGKILL; its folder stays, with what had reached the kernel."""
        self._child.kill()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open, nothing is answered."""
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on (SIGCONT)."""
        self._child.signal(signal.SIGCONT)

    def restart(self, timeout: float = 30) -> Self:
        """Stop the server if it runs, and start it on the same ports and folder."""
        self.stop(timeout)
        return self.start(timeout)

    def close(self) -> None:
        """End the server and remove its folder.

        By SIGKILL: nothing is saved that an orderly end would save.
        """
        self._finalizer()

    def create_database(
        self,
        name: str = "dbtest",
        *,
        time_precision: str = "ns",
        buffer_size: int = 1024,
        duration_num: str = "1w",
        duration_log: str = "1d",
        timeout: float = 30,
    ) -> None:
        """Create a database, with the user iris and the password siri, and wait until it runs.

        Both durations are always sent: without them the server dies of the first insert into a
        database with a precision of us or ns.

        Raises:
            HttpApiError: the server refuses.
            TimeoutError: the database does not run within `timeout` seconds.
        """
        self.api.create_database(
            name,
            time_precision=time_precision,
            buffer_size=buffer_size,
            duration_num=duration_num,
            duration_log=duration_log,
            timeout=timeout,
        )
        wait_until(
            lambda: self._is_database_running(name),
            timeout=timeout,
            what=f"database {name!r} is running",
        )

    @property
    def _known_ports(self) -> Ports:
        if self._ports is None:
            raise RuntimeError("this server has no ports before its first start")
        return self._ports

    def _launch(self, ports: Ports, timeout: float) -> None:
        path = self.socket_path
        config = self._settings.text(ports, databases=self._folder / "data", socket_path=path)
        self._config_path.write_text(config)
        launch(self._child, status_port=ports.status, socket_path=path, timeout=timeout)

    def _is_database_running(self, name: str) -> bool:
        try:
            answer = self.api.query(name, "show status")
        except HttpApiError as error:
            if error.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return False
        return bool(answer["data"][0]["value"] == "running")


def _new_folder() -> Path:
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > MAX_TEMP_FOLDER:
        parent = "/tmp"  # noqa: S108 - mkdtemp makes a folder of its own in it
    folder = Path(tempfile.mkdtemp(prefix="siridb-", dir=parent))
    (folder / "data").mkdir()
    return folder


def _throw_away(child: ChildProcess, folder: Path, held: list[Ports], owner: int) -> None:
    if os.getpid() == owner:  # a fork inherits the finalizer, but not the server
        child.kill()
        for ports in held:
            ports.release()
        shutil.rmtree(folder)


def _user(username: str, password: str) -> str:
    return f"{quote(username, safe='')}:{quote(password, safe='')}"
