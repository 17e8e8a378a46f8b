"""A password that is a function or in a file is had anew at each log-in, and never shown."""

import asyncio
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import siridb_fast
from siridb_fast import AuthenticationError, BatchWriter, ConfigError, SiriDBClient
from siridb_fast.connection.config import Config, parse_url
from siridb_fast.connection.password import Password, PasswordFile, password_of
from tests.commands import run_process
from tests.fix_loop import eventually
from tests.fix_server import Database

SECRET = "s3cr3t-w0rd"  # noqa: S105 - what must never be shown
FIRST = 1_600_000_000_000_000_000


def raises(exc: Exception) -> str:
    raise exc


def put(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


async def later(text: Any) -> Any:
    await asyncio.sleep(0)
    return text


def url_of(database: Database, options: str = "", user: str = "iris") -> str:
    server = database.server
    return f"siridb://{user}@{server.host}:{server.port}/{database.name}{options}"


def change_password(database: Database, password: str) -> None:
    query = f"alter user 'iris' set password '{password}'"
    database.server.api.query(database.name, query)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a file with the password that a database begins with."""
    path = tmp_path / "password"
    path.write_text("siri\n")
    return path


# ---- where it is given


def test_password_is_in_the_url_in_a_file_or_an_argument() -> None:
    assert parse_url("siridb://u:p@h/db").password == "p"  # noqa: S105
    assert parse_url("siridb://u@h/db?password_file=/a%20b").password == PasswordFile("/a b")
    assert parse_url("siridb://u@h/db", password="p") == parse_url("siridb://u:p@h/db")
    assert parse_url("siridb://u@h/db", password=str).password is str


@pytest.mark.parametrize(
    ("url", "password", "text"),
    [
        (f"siridb://u:{SECRET}@h/db?password_file=/p", None, "in the URL and by password_file"),
        (f"siridb://u:{SECRET}@h/db", SECRET, "in the URL and by the argument"),
        ("siridb://u@h/db?password_file=/p", SECRET, "by password_file and by the argument"),
        ("siridb://u@h/db?password_file=", None, "password_file is a path"),
        ("siridb://u@h/db", None, "user:password@"),
        ("siridb://@h/db?password_file=/p", None, "user:password@"),
        ("siridb://h/db?password_file=/p", None, "user:password@"),
        ("siridb://u@h/db", 5, "password is a str, got int"),
        ("siridb://u@h/db", SECRET.encode(), "password is a str, got bytes"),
    ],
)
def test_password_that_is_given_twice_or_not_at_all_is_refused(
    url: str, password: Any, text: str
) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        SiriDBClient.from_url(url, password=password)
    assert SECRET not in str(caught.value)


def test_connection_of_siridb_connector_takes_no_password_file(database: Database) -> None:
    with pytest.raises(ConfigError, match="password in its URL"):
        siridb_fast.SiriDBConnection(url_of(database, "?password_file=/p"))
    with pytest.raises(TypeError):
        siridb_fast.connect("iris", str, "db")  # type: ignore[call-overload]


def test_configuration_with_a_password_file_goes_to_other_processes() -> None:
    config = parse_url("siridb://u@h/db?password_file=/p")
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - our own
    assert "/p" not in repr(config)


# ---- what it gives


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"a b", "a b"), (b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b" a ", " a "),
        (b"", ""), (b"\n", ""), ("ü€".encode(), "ü€"), (b"x" * 4096, "x" * 4096),
    ],
)  # fmt: skip
async def test_file_has_the_password_up_to_one_line_break(
    content: bytes, password: str, file: Path
) -> None:
    put(file, content)
    assert await password_of(PasswordFile(str(file))) == password


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: path.write_bytes(b"x" * 4097), "got over 4096 bytes"),
        (lambda path: path.write_bytes(SECRET.encode() + b"\xff"), "is not UTF-8"),
        (Path.unlink, "No such file"),
        (lambda path: (path.unlink(), path.mkdir()), "no regular file"),
        (make_pipe, "no regular file"),
    ],
)
async def test_file_that_has_no_password_is_an_error_that_names_it(
    make: Callable[[Path], Any], text: str, file: Path
) -> None:
    make(file)
    with pytest.raises(AuthenticationError, match=text) as caught:
        await password_of(PasswordFile(str(file)))
    assert str(file) in str(caught.value)
    error = caught.value
    assert SECRET not in f"{error!r} {error.__cause__!r} {error.__context__!r}"


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (lambda: raises(RuntimeError(SECRET)), "raised RuntimeError"),
        (lambda: raises(OSError(2, SECRET)), "raised FileNotFoundError"),
        (lambda: None, "got NoneType"),
        (SECRET.encode, "got bytes"),
        (lambda: f"{SECRET}\udcff", "lone surrogate"),
        (lambda: later(None), "got NoneType"),
        (lambda: later(SECRET.encode()), "got bytes"),
        (lambda _: SECRET, "raised TypeError"),
    ],
)
async def test_function_that_gives_no_password_is_an_error(
    password: Any, text: str, database: Database
) -> None:
    for target in (url_of(database),):
        client = SiriDBClient.from_url(target, password=password)
        with pytest.raises(AuthenticationError, match=text) as caught:
            await client.open()
        assert SECRET not in str(caught.value)
        client.close()


async def test_function_that_never_returns_ends_with_the_time_to_connect(
    database: Database,
) -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    client = SiriDBClient.from_url(url_of(database, "?timeout=0.2"), password=never)
    with pytest.raises(TimeoutError, match="password"):
        await client.open()
    client.close()


# ---- each log-in


@pytest.mark.parametrize("kind", ["function", "async function", "file"])
async def test_connection_comes_back_with_the_password_of_that_time(
    kind: str, own_database: Database, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def read() -> str:
        return file.read_text().strip()

    passwords: dict[str, Password | None] = {
        "function": read, "async function": lambda: later(read()), "file": None,
    }  # fmt: skip
    options = f"?max_wait_retry=1&password_file={file}" if kind == "file" else "?max_wait_retry=1"
    caplog.set_level(logging.DEBUG)
    url = url_of(own_database, options)
    async with (
        SiriDBClient.from_url(url, password=passwords[kind]) as client,
        client.writer(linger=0.01, durability="acked") as writer,
    ):
        writer.write("a", FIRST, 1)
        assert (await writer.flush()).is_complete
        await asyncio.to_thread(change_password, own_database, SECRET)
        own_database.server.kill()
        await asyncio.to_thread(own_database.server.start)
        await eventually(lambda: "invalid credentials" in caplog.text, 60)
        writer.write("a", FIRST + 1, 2)  # waits
        put(file, SECRET.encode())
        assert (await writer.flush()).is_complete
        await eventually(lambda: client.connected)
        arrays = await client.query_arrays("select * from 'a'")
        assert arrays["a"][1][-1] == 2
    assert SECRET not in caplog.text


async def test_file_that_is_away_for_a_while_is_waited_for(
    own_database: Database, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = url_of(own_database, f"?max_wait_retry=1&password_file={file}")
    async with BatchWriter(url, linger=0.01) as writer:
        Path.unlink(file)
        own_database.server.kill()
        await asyncio.to_thread(own_database.server.start)
        await eventually(lambda: "No such file" in caplog.text, 60)
        writer.write("a", FIRST, 1)
        put(file, b"siri")
        assert (await writer.flush()).is_complete


def test_every_door_takes_a_password_that_is_not_in_the_url(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with siridb_fast.connect(url_of(database), lambda: "siri") as siri:
        siri.insert({"a": [[FIRST, 1]]})
    with siridb_fast.connect(url_of(database), password="siri") as siri:
        siri.insert({"a": [[FIRST + 1, 2]]})
    url = url_of(database, f"?password_file={file}")
    monkeypatch.setenv("SIRIDB_URL", url)
    with siridb_fast.connect() as siri:
        siri.insert({"a": [[FIRST + 2, 3]]})
    monkeypatch.setenv("SIRIDB_URL", url_of(database))
    with siridb_fast.connect(password=lambda: "siri") as siri, siri.writer() as writer:
        writer.write("a", FIRST + 3, 4)
    table = tmp_path / "t.csv"
    table.write_text(f"series,time,value\na,{FIRST + 4},5\n")
    columns = ("--time", "time", "--series", "{series}")
    run_process("load", table, "--url", url, *columns)
    with siridb_fast.connect(url) as siri:
        assert siri.query_arrays("select * from 'a'")["a"][1].tolist() == [1, 2, 3, 4, 5]


async def test_password_is_had_once_for_each_log_in(database: Database) -> None:
    calls = 0

    def password() -> str:
        nonlocal calls
        calls += 1
        return "siri"

    config: Config = parse_url(url_of(database), password=password)
    async with SiriDBClient.from_config(config):
        assert calls == 1
