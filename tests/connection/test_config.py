"""Config: URLs, the environment variable, keyword arguments; a password is never shown."""

import asyncio
import ssl
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siridb_fast import BatchWriter, ConfigError, SiriDBClient
from siridb_fast.connection.config import URL_VARIABLE, Config, is_url, parse_url
from siridb_fast.connection.hosts import Host
from tests.fix_server import Database

SECRET = "s3cr3t-w0rd"  # noqa: S105 - what must never be shown
HOSTS = (Host("h"),)
URLS: list[tuple[str, dict[str, Any]]] = [
    ("siridb://u:p@h/db", {"hosts": HOSTS}),
    ("siridb://u:p@h:1/db", {"hosts": (Host("h", 1),)}),
    ("siridb://u:p@h/db?", {"hosts": HOSTS}),
    ("siridb://%C3%BC%40:%2F%3A%3F%25@h/d%20b", {"username": "ü@", "password": "/:?%",
                                                  "dbname": "d b"}),
    ("siridb://u:a:b@c@h/db", {"password": "a:b@c"}),
    ("siridb://u:@h/db", {"password": ""}),
    ("siridb://u:p+q@h/db", {"password": "p+q"}),
    ("siridb://u:p@a,b:2,c/db", {"hosts": (Host("a"), Host("b", 2), Host("c"))}),
    ("siridb://u:p@a,b/db?weight=3,1&backup=0,1", {"hosts": (Host("a", 9000, 3),
                                                             Host("b", 9000, 1, True))}),
    ("siridb://u:p@[::1]/db", {"hosts": (Host("::1"),)}),
    ("siridb://u:p@[2001:db8::7]:1,127.0.0.1:2/db", {"hosts": (Host("2001:db8::7", 1),
                                                              Host("127.0.0.1", 2))}),
    ("siridb://u:p@/db?socket=/run/s", {"hosts": (Host("/run/s"),)}),
    ("siridb://u:p@/db?socket=%2Frun%2Fa%20b", {"hosts": (Host("/run/a b"),)}),
    ("siridb://u:p@h/db?socket=/s&weight=1,5", {"hosts": (Host("h"), Host("/s", weight=5))}),
    ("siridb://u:p@h/db?keepalive=0&timeout=1.5&inactive_time=2&max_wait_retry=3",
     {"keepalive": False, "timeout": 1.5, "inactive_time": 2.0, "max_wait_retry": 3.0}),
    ("siridb://u:p@h/db?window=4&max_answer=70000&on_doubt=resend",
     {"window": 4, "max_answer": 70_000, "on_doubt": "resend"}),
]  # fmt: skip
BAD_URLS = [
    ("", "siridb://"),
    ("h", "siridb://"),
    (f"http://u:{SECRET}@h/db", "siridb://"),
    (f"u:{SECRET}@h/db", "siridb://"),
    ("siridb://", "user:password@"),
    ("siridb://h/db", "user:password@"),
    ("siridb://u@h/db", "user:password@"),
    (f"siridb://:{SECRET}@h/db", "user:password@"),
    (f"siridb://u:{SECRET}/db", "user:password@"),
    (f"siridb://u:{SECRET}/x@h/db", "user:password@"),
    (f"siridb://u:x@{SECRET}/y@h/db", "URL"),
    (f"siridb://u:x/{SECRET}@h/db", "URL"),
    (f"siridb://u:x@y/{SECRET}@h/db", "URL"),
    (f"siridb://u:x?{SECRET}@h/db", "URL"),
    (f"siridb://u:x#{SECRET}@h/db", "URL"),
    (f"siridb://u:x@y#{SECRET}@h/db", "URL"),
    (f"siridb://u:[{SECRET}@h/db", "URL"),
    (f"siridb://u:{SECRET}@/db", "neither a host nor"),
    (f"siridb://u:{SECRET}@h", "dbname"),
    (f"siridb://u:{SECRET}@h/", "dbname"),
    (f"siridb://u:{SECRET}@h/a/b", "dbname"),
    (f"siridb://u:{SECRET}@h/db#x", "dbname"),
    (f"siridb://u:{SECRET}@h:/db", "port"),
    (f"siridb://u:{SECRET}@h:x/db", "port"),
    (f"siridb://u:{SECRET}@h:0/db", "port"),
    (f"siridb://u:{SECRET}@h:65536/db", "port"),
    (f"siridb://u:{SECRET}@h:-1/db", "port"),
    (f"siridb://u:{SECRET}@h:٣/db", "port"),
    (f"siridb://u:{SECRET}@::1/db", "host"),
    (f"siridb://u:{SECRET}@h,h/db", "twice"),
    (f"siridb://u:{SECRET}@h,h:9000/db", "twice"),
    (f"siridb://u:{SECRET}@a,b/db?weight=3", "weight: expected 2"),
    (f"siridb://u:{SECRET}@h/db?weight=0", "weight"),
    (f"siridb://u:{SECRET}@h/db?weight=10", "weight"),
    (f"siridb://u:{SECRET}@h/db?weight=x", "weight"),
    (f"siridb://u:{SECRET}@a,b/db?backup=1", "backup: expected 2"),
    (f"siridb://u:{SECRET}@h/db?backup=2", "backup"),
    (f"siridb://u:{SECRET}@h/db?socket=s", "socket"),
    (f"siridb://u:{SECRET}@h/db?socket=", "socket"),
    (f"siridb://u:{SECRET}@h/db?timeout", "URL"),
    (f"siridb://u:{SECRET}@h/db?foo=1", "unknown option 'foo'"),
    (f"siridb://u:{SECRET}@h/db?timeout=1&timeout=2", "timeout"),
    *[
        (f"siridb://u:{SECRET}@h/db?{name}={value}", name)
        for name, values in {
            "timeout": ("0", "-1", "x", "nan", "inf", ""),
            "keepalive": ("yes", "2", ""),
            "window": ("0", "4097", "1.5", "x"),
            "max_answer": ("1", "x"),
            "on_doubt": ("maybe", ""),
        }.items()
        for value in values
    ],
]
BAD_OPTIONS: list[tuple[str, Any]] = [
    ("username", None), ("username", b"u"), ("password", 5), ("dbname", None),
    *[(name, value) for name in ("timeout", "inactive_time", "max_wait_retry")
      for value in (0, -1, "1", None, float("nan"), float("inf"))],
    *[("window", value) for value in (0, -1, 4097, 1.5, "8", None)],
    *[("max_answer", value) for value in (0, 65_535, 1e6, "1", None)],
    *[("on_doubt", value) for value in ("maybe", 1)],
    *[("keepalive", value) for value in ("no", None, 2)],
]  # fmt: skip


@pytest.mark.parametrize(("url", "wanted"), URLS)
def test_url_gives_a_configuration(url: str, wanted: dict[str, Any]) -> None:
    config = parse_url(url)
    assert {name: getattr(config, name) for name in wanted} == wanted


def test_url_without_options_gives_the_defaults() -> None:
    given = Config(username="u", password="p", dbname="db", hosts=HOSTS)
    assert parse_url("siridb://u:p@h/db") == given


@pytest.mark.parametrize(("url", "text"), BAD_URLS)
def test_bad_url_is_refused_without_repeating_the_password(url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        parse_url(url)
    error: BaseException | None = caught.value
    assert SECRET not in repr(error) + str(error)
    assert error is not None
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_variable_of_the_environment_is_taken_without_a_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(URL_VARIABLE, f"siridb://u:{SECRET}@h:7/db")
    assert repr(SiriDBClient.from_url()) == "<SiriDBClient 'db' at h:7: new>"
    assert repr(SiriDBClient.from_url("siridb://u:p@g/d")) == "<SiriDBClient 'd' at g:9000: new>"
    monkeypatch.delenv(URL_VARIABLE)
    with pytest.raises(ConfigError, match=f"{URL_VARIABLE} is not set"):
        SiriDBClient.from_url()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("siridb://", True),
        ("siridb:/h", False),
        ("iris", False),
        (None, False),
        (b"siridb://", False),
    ],
)
def test_url_is_told_by_its_scheme(text: object, wanted: bool) -> None:
    assert is_url(text) is wanted


@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS)
def test_bad_option_is_refused_by_name(name: str, value: Any) -> None:
    options = {"username": "u", "password": SECRET, "dbname": "db", name: value}
    with pytest.raises(ConfigError, match=name) as caught:
        SiriDBClient(hostlist=[("h", 1)], **options)
    assert SECRET not in str(caught.value)


def test_text_that_cannot_be_sent_is_refused_without_being_shown() -> None:
    for name in ("username", "password", "dbname"):
        options: dict[str, Any] = {"username": "u", "password": "p", "dbname": "db"}
        options[name] = f"{SECRET}\udcff"
        with pytest.raises(ConfigError, match=name) as caught:
            SiriDBClient(hostlist=[("h", 1)], **options)
        assert SECRET not in repr(caught.value) + repr(caught.value.__context__)


def test_configuration_does_not_show_its_password() -> None:
    config = parse_url(f"siridb://u:{SECRET}@h/db")
    client = SiriDBClient.from_url(f"siridb://u:{SECRET}@h/db")
    assert config.password == SECRET
    assert SECRET not in f"{config!r} {config} {client!r} {client}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate of 127.0.0.1 that is signed by itself; its key is in the same file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    command += f" -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -out {path} -keyout -"
    made = subprocess.run(command.split(), check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + made.stdout)
    return path


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_tls_proxy_is_talked_to(database: Database, certificate: Path) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = database.server.host, database.server.port
        server_reader, server_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(pipe(reader, server_writer), pipe(server_reader, writer))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    proxy = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    url = f"siridb://iris:siri@127.0.0.1:{proxy.sockets[0].getsockname()[1]}/{database.name}"
    times = np.arange(100_000)
    trusting = ssl.create_default_context(cafile=certificate)
    async with SiriDBClient.from_url(url, ssl=trusting) as client:
        await client.insert({"a": (times, times / 7)})
        found = await client.query_arrays("select * from *")
        assert (found["a"][1] == times / 7).all()
    stranger = SiriDBClient.from_url(url, ssl=ssl.create_default_context())
    (error,) = await stranger.connect()
    stranger.close()
    await stranger.wait_closed()
    assert isinstance(error, ssl.SSLCertVerificationError)
    proxy.close()
    await proxy.wait_closed()


async def test_unix_socket_is_talked_to(database: Database) -> None:
    url = database.server.socket_url(database.name)
    path = str(database.server.socket_path)
    for client in (
        SiriDBClient.from_url(url),
        SiriDBClient("iris", "siri", database.name, [(path, 9000)]),
    ):
        async with client:
            assert await client.insert({"a": [[1, 1]]})
            assert path in repr(client)


@pytest.mark.parametrize("wrong", [3, b"siridb://iris:siri@localhost/db", object()])
def test_what_is_no_configuration_is_refused(wrong: object) -> None:
    for make in (BatchWriter, SiriDBClient.from_config):
        with pytest.raises(ConfigError, match="expected a URL or a client, got"):
            make(wrong)  # type: ignore[arg-type]
