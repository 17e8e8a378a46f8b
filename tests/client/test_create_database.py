"""`create_database`: every precision takes points; what makes no sense is not even sent."""

from typing import Any

import pytest

import siridb_fast
from siridb_fast import AuthenticationError, ConfigError, ServerMessageError
from siridb_fast.testing import SiriDBServer

SECRET = "s3cr3t-w0rd"  # noqa: S105 - what must never be shown


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_made_database_takes_numbers_and_texts(server: SiriDBServer, unit: Any) -> None:
    name = f"made-{unit}"
    siridb_fast.create_database(name, http_port=server.http_port, time_precision=unit)
    with siridb_fast.connect(server.url(name)) as siri:
        siri.insert({"a": [[k, k / 2] for k in range(300)], "t": [[1, "x"]]})
        shown = siri.query("show time_precision, buffer_size")["data"]
    assert [item["value"] for item in shown] == [unit, 1024]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"time_precision": "m"}, "time_precision is 's', 'ms', 'us' or 'ns', got 'm'"),
        ({"time_precision": 3}, "got 3"),
        ({"buffer_size": 1000}, "a multiple of 512 bytes, got 1000"),
        ({"buffer_size": 0}, "got 0"),
        ({"buffer_size": 512.0}, "got 512.0"),
        ({"buffer_size": "1024"}, "got '1024'"),
    ],
)
def test_argument_that_makes_no_sense_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        siridb_fast.create_database("x", http_port=1, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [("twice", {}), ("", {}), ("no spaces", {}), ("n" * 30, {}), ("d", {"duration_num": "long"})],
)
def test_refusal_has_the_words_of_the_server(
    server: SiriDBServer, name: str, options: dict[str, Any]
) -> None:
    if name == "twice":
        siridb_fast.create_database(name, http_port=server.http_port)
    with pytest.raises(ServerMessageError, match=f"refuses the database '{name}': .+"):
        siridb_fast.create_database(name, http_port=server.http_port, **options)


def test_wrong_account_is_an_error_without_its_password(server: SiriDBServer) -> None:
    for account in ("sa", "nobody"):
        with pytest.raises(AuthenticationError, match=account) as caught:
            siridb_fast.create_database(
                "x", http_port=server.http_port, account=account, password=SECRET
            )
        assert SECRET not in repr(caught.value) + repr(caught.value.__cause__)


def test_server_without_a_http_interface_is_named(server: SiriDBServer) -> None:
    with pytest.raises(OSError, match="http_api_port"):
        siridb_fast.create_database("x", http_port=1)
    with pytest.raises((OSError, ServerMessageError)):  # what is there speaks no HTTP
        siridb_fast.create_database("x", http_port=server.port, timeout=2)
