"""A null server throws everything away: what is measured against it is the client alone.

A process of its own that speaks just enough of the protocol for any client: it lets everybody in,
answers pings and the queries of a connecting client as a database in nanoseconds would that holds
nothing, and acknowledges each insert as soon as its last byte is there. The bytes of an insert are
never read; over TCP they are not even copied. So a series whose type is asked for again is taken
to have been inserted meanwhile, as floats. `NullServer` starts and ends the process.

Rules: one blocking thread for each connection; the process ends when its standard input does, so
that it never outlives who started it.
"""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Self

from siridb_fast import packb, unpackb
from siridb_fast.protocol._wire import (
    HEADER_SIZE,
    REQ_AUTH,
    REQ_INSERT,
    REQ_PING,
    REQ_QUERY,
    RES_ACK,
    RES_AUTH_SUCCESS,
    RES_INSERT,
    RES_QUERY,
    pack_header,
    parse_header,
)

__all__ = ["HOST", "NullServer"]

HOST = "127.0.0.1"
START_TIMEOUT = 20.0
END_TIMEOUT = 5.0
HEAD_BYTES = 65_536  # are read at once where a header is expected: many small packages
SKIP_BYTES = 1_048_576
ACKNOWLEDGED = packb({"success_msg": "Successfully inserted 1 point(s)."})
NAME = re.compile(r'"((?:[^"]|"")*)"')
UUID, STARTED = str(uuid.uuid4()), time.monotonic()


class NullServer:
    """The process, as a context manager: it listens to TCP and to a unix socket at once."""

    host = HOST

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="null-server-")
        self._process: subprocess.Popen[str] | None = None
        self.socket_path = Path(self._folder.name) / "server.sock"
        self.port = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "benchmarks.baselines.null_server", self.socket_path],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.port = int(self._ready_line())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The pid of the process; RuntimeError if it was not started."""
        if self._process is None:
            raise RuntimeError("the null server does not run")
        return self._process.pid

    @property
    def cpu_seconds(self) -> float:
        """User and system time used so far, in steps of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def url(self, dbname: str = "dbtest") -> str:
        """Return the URL of any database over TCP."""
        return f"siridb://iris:siri@{HOST}:{self.port}/{dbname}"

    def close(self) -> None:
        """End the process within seconds, and remove its socket."""
        process, self._process = self._process, None
        if process is not None:
            try:
                process.communicate(timeout=END_TIMEOUT)  # closes its input
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate(timeout=END_TIMEOUT)
        self._folder.cleanup()

    def _ready_line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], START_TIMEOUT)[0]:
            raise TimeoutError(f"the null server was not ready within {START_TIMEOUT:g} s")
        return self._process.stdout.readline()


def main(socket_path: str) -> None:
    """Serve until standard input ends; print the TCP port once all is ready."""
    tcp = socket.create_server((HOST, 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(socket_path)
    unix.listen()
    known: set[str] = set()
    for listener in (tcp, unix):
        threading.Thread(target=_accept, args=(listener, known), daemon=True).start()
    print(tcp.getsockname()[1], flush=True)
    sys.stdin.read()


def _accept(listener: socket.socket, known: set[str]) -> None:
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_serve, args=(sock, known), daemon=True).start()


def _serve(sock: socket.socket, known: set[str]) -> None:
    try:
        with sock:
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Connection(sock, known).serve()
    except ConnectionError:
        pass  # it left without a word


class _Connection:
    """One connection, and the one buffer that all its bytes go to.

    ``known`` are the series whose types were asked for, over any connection.
    """

    def __init__(self, sock: socket.socket, known: set[str]) -> None:
        self._sock = sock
        self._known = known
        self._buffer = memoryview(bytearray(SKIP_BYTES))
        self._skip_flags = socket.MSG_WAITALL
        if sock.family == socket.AF_INET:
            self._skip_flags |= socket.MSG_TRUNC  # TCP: drop the bytes inside the kernel

    def serve(self) -> None:
        """Answer until the other side closes."""
        partial = 0  # bytes of a package that is not complete
        while count := self._sock.recv_into(self._buffer[partial:], HEAD_BYTES):
            partial = self._answer_all(partial + count)

    def _answer_all(self, end: int) -> int:
        # Answer the packages in the buffer; move what is left over to its start.
        start = 0
        answers: list[bytes] = []
        while end - start >= HEADER_SIZE:
            head = start + HEADER_SIZE
            length, pid, type_ = parse_header(self._buffer[start:head])
            if head + length > end:
                if type_ != REQ_INSERT:
                    break
                self._send(answers)
                self._skip(head + length - end)
                self._send([self._answer(pid, type_, b"")])
                return 0
            answers.append(self._answer(pid, type_, self._buffer[head : head + length]))
            start = head + length
        self._send(answers)
        self._buffer[: end - start] = bytes(self._buffer[start:end])
        return end - start

    def _skip(self, count: int) -> None:
        while count:
            skipped = self._sock.recv_into(self._buffer, min(count, SKIP_BYTES), self._skip_flags)
            if not skipped:
                raise ConnectionResetError("closed in the middle of a package")
            count -= skipped

    def _send(self, answers: list[bytes]) -> None:
        if answers:
            self._sock.sendall(b"".join(answers))

    def _answer(self, pid: int, type_: int, payload: memoryview | bytes) -> bytes:
        if type_ == REQ_INSERT:
            return pack_header(len(ACKNOWLEDGED), pid, RES_INSERT) + ACKNOWLEDGED
        if type_ == REQ_QUERY:
            body = packb(_answer_of(unpackb(bytes(payload), "utf-8")[0], self._known))
            return pack_header(len(body), pid, RES_QUERY) + body
        types = {REQ_AUTH: RES_AUTH_SUCCESS, REQ_PING: RES_ACK}
        return pack_header(0, pid, types[type_]) if type_ in types else b""


def _answer_of(query: str, known: set[str]) -> dict[str, Any]:
    what, _, names = query.partition(" ")
    if what == "show":
        shown = _shown()
        return {"data": [{"name": name, "value": shown[name]} for name in names.split(", ")]}
    if names.startswith("servers"):
        return {"columns": ["uuid"], "servers": [[UUID]]}
    return _listed(NAME.findall(query), known) if what == "list" else {}


def _listed(names: list[str], known: set[str]) -> dict[str, Any]:
    series = [[name.replace('""', '"'), "float"] for name in names if name in known]
    known.update(names)
    return {"columns": ["name", "type"], "series": series}


def _shown() -> dict[str, Any]:
    # What a client of ours asks of a database, or of who is behind a connection.
    return {
        "time_precision": "ns",
        "buffer_size": 1024,
        "expiration_num": None,
        "expiration_log": None,
        "uuid": UUID,
        "uptime": int(time.monotonic() - STARTED),
        "received_points": 0,
        "pool": 0,
    }


if __name__ == "__main__":
    main(sys.argv[1])
