"""The file of a gateway: what it says, and what is wrong with it."""

import re
from pathlib import Path
from typing import Any

import pytest

from siridb_fast.delivery.dead_letters import DeadLetters
from siridb_fast.errors import ConfigError
from siridb_fast.gateway.config import Address, GatewayConfig, Secret
from siridb_fast.gateway.config_file import config_from, read_gateway_config
from siridb_fast.gateway.rules import Rule
from tests.commands import run_command

URL = "siridb://iris:siri@localhost:9000/dbtest"
INFLUX = {"listen": "127.0.0.1:8086"}
ROOT = Path(__file__).parents[2]
OPEN = "0.0.0.0:8086"

WHOLE = """
url = "siridb://iris:siri@localhost:9000/dbtest"
acknowledge = "delivered"
series = "{measurement}.{field}"
linger = 0.5
drain_timeout = 7
dead_letters = "letters.ndjson"
on_precision_loss = "floor"
max_body = 2_000_000

[writer]
max_buffered = 16_000_000

[influx]
listen = "127.0.0.1:8086"
token_file = "token"
username = "me"
password_env = "GATEWAY_PASSWORD"
[influx.tcp]
listen = "127.0.0.1:8089"
precision = "ms"
dialect = "questdb"
[influx.udp]
listen = "8090"
[influx.unix]
path = "gateway.sock"
[graphite]
listen = "[::1]:2003"
series = "{path}"
[ndjson.tcp]
listen = "127.0.0.1:8091"
[[rules]]
match = "old*"
rename = "new*"
[[rules]]
match = "*"
type = "float"
"""


def config(**more: Any) -> GatewayConfig:
    return config_from({"url": URL, "influx": INFLUX, **more}, Path("/nowhere"))


def test_a_file_says_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "gateway.toml").write_text(WHOLE)
    monkeypatch.setenv("GATEWAY_PASSWORD", "passw0rd")
    found = read_gateway_config(tmp_path / "gateway.toml")
    assert (found.acknowledge, found.drain_timeout, found.floors_times) == ("delivered", 7.0, True)
    assert found.writer["linger"] == 0.5
    assert found.writer["max_buffered"] == 16_000_000
    assert isinstance(found.writer["on_error"], DeadLetters)
    assert found.bad_lines == tmp_path / "lines-letters.ndjson"
    assert found.limits.max_body == 2_000_000
    assert [door.name for door in found.doors] == [
        "influx", "influx.tcp", "influx.udp", "influx.unix", "graphite.tcp", "ndjson.tcp",
    ]  # fmt: skip
    influx, tcp, udp, unix, graphite, ndjson = found.doors
    assert influx.credentials.token is not None
    assert influx.credentials.token.matches("t0ken")
    assert influx.credentials.password is not None
    assert influx.credentials.password.matches("passw0rd")
    assert (tcp.unit, tcp.dialect) == ("ms", "questdb")
    assert udp.address == Address("127.0.0.1", 8090)
    assert unix.path == tmp_path / "gateway.sock"
    assert (graphite.place, graphite.series) == ("[::1]:2003", "{path}")
    assert ndjson.series == "{series}"
    assert tcp.series == "{measurement}.{field}"
    assert found.rules == (
        Rule(match="old*", rename="new*"),
        Rule(match="*", type="float"),
    )
    assert "t0ken" not in repr(found)
    assert "passw0rd" not in repr(found)


def test_the_file_of_the_docs_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs/gateway.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "token").write_text("t")
    (tmp_path / "gateway.toml").write_text(example)
    monkeypatch.setenv("SIRIDB_PASSWORD", "siri")
    found = read_gateway_config(tmp_path / "gateway.toml")
    assert [door.name for door in found.doors] == ["influx", "influx.tcp", "graphite.tcp"]


def test_every_key_is_in_the_docs() -> None:
    text = (ROOT / "docs/gateway.md").read_text()
    with pytest.raises(ConfigError) as caught:
        config(unknown=1)
    known = str(caught.value).partition("there are ")[2].split(", ")
    assert len(known) > 15
    assert [key for key in known if not re.search(rf"`\[*{key}\b", text)] == []


def test_what_is_not_said_has_its_default() -> None:
    found = config()
    assert found.acknowledge == "accepted"
    assert found.drain_timeout == 20
    assert found.doors[0].series == "{measurement},{tags}:{field}"
    assert found.bad_lines is None


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"acknowledge": "later"}, "acknowledge: expected one of accepted, journaled, delivered"),
        ({"acknowledge": "journaled"}, 'acknowledge: "journaled" needs journal'),
        ({"linger": "1"}, "linger: expected 0 to 3,600, got '1'"),
        ({"drain_timeout": -1}, "drain_timeout: expected 0 to 86,400, got -1"),
        ({"max_body": 5.5}, "max_body: expected an integer from 1,024"),
        ({"color": "red"}, "color: there is no such key; there are url"),
        ({"influx": {"listen": "localhost"}}, "influx.listen: expected"),
        ({"influx": {"listen": "::1:80"}}, "influx.listen: an IPv6 address stands in brackets"),
        ({"influx": {"listen": 8086}}, "influx.listen: expected a text, got int"),
        ({"influx": 5}, "influx: expected a table, got int"),
        ({"influx": {"listen": OPEN}}, "influx.listen: 0.0.0.0:8086 is not only for this machine"),
        ({"influx": {"listen": OPEN}}, "allow_anonymous = true"),
        ({"influx": {**INFLUX, "tcp": {"listen": OPEN}}}, "influx.tcp.listen: 0.0.0.0"),
        ({"influx": {**INFLUX, "unix": {}}}, "influx.unix.path: expected the path of a socket"),
        ({"influx": {**INFLUX, "tcp": {}}}, 'influx.tcp.listen: expected'),
        ({"influx": {**INFLUX, "tls_key": "k"}}, "influx.tls_certificate: expected the path"),
        ({"influx": {**INFLUX, "tls_certificate": "c"}}, "the certificate /nowhere/c"),
        ({"influx": {**INFLUX, "precision": "d"}}, "influx.precision: expected one of n, us"),
        ({"influx": {**INFLUX, "series": "{x"}}, "influx.series: a template has names in braces"),
        ({"influx": {**INFLUX, "series": "x"}}, "a template has a part such as {measurement}"),
        ({"influx": {**INFLUX, "username": "x"}}, "influx.password: username and password come"),
        ({"influx": {**INFLUX, "token": 5}}, "influx.token: expected a text, got int"),
        ({"influx": {**INFLUX, "token": ""}}, "influx.token: it is empty"),
        ({"influx": {**INFLUX, "token": "hush", "token_env": "X"}}, "token_env says"),
        ({"influx": {**INFLUX, "token_env": "NOT_SET"}}, "the variable 'NOT_SET' is not set"),
        ({"influx": {**INFLUX, "token_file": "none"}}, "/nowhere/none: No such"),
        ({"influx": {}}, "there is no door"),
        ({"rules": [{"match": "*"}]}, "rules[1]: a rule has one of rename, drop, allow and type"),
        ({"rules": [{"match": "*", "drop": 1}]}, "rules[1].drop: expected true or false, got int"),
        ({"rules": [{"match": "*", "type": "int"}]}, "rules[1].type: expected one"),
        ({"rules": [{"drop": True}]}, 'rules[1]: match is a pattern such as "old*", got nothing'),
        ({"rules": [{"match": "a", "rename": "*"}]}, "rules[1]: rename '*' has more * than match"),
        ({"rules": [{"match": "a", "rename": "b", "drop": True}]}, "rules[1]: a rule has one of"),
        ({"rules": {"match": "a"}}, "rules: expected a list of tables, got dict"),
        ({"writer": {"max_buffered": 5}}, "max_buffered is an integer from 1,048,576"),
        ({"writer": {"linger": 5}}, "writer.linger: it stands on top of the file"),
        ({"writer": {"on_type": "cast"}}, "writer.on_type: a gateway decides that itself"),
        (
            {"writer": {"spool": {"path": "a", "on_full": "raise"}}},
            "writer.spool: of a gateway on_full is 'wait', 'drop_oldest' or",
        ),
        (
            {"writer": {"spool": {"path": "a", "journal_on_full": "drop_newest"}}},
            "writer.spool: of a gateway on_full is 'wait', 'drop_oldest' or",
        ),
        ({"writer": {"colour": 1}}, "a writer has no option 'colour'"),
        ({"dead_letters": "letters.txt"}, "dead letters: a path ends in one of .ndjson"),
        ({"stdin": "xml"}, "stdin: expected one of influx, graphite, ndjson, got 'xml'"),
        ({"url": "postgres://x"}, "a URL starts with siridb://"),
        ({"password_env": "X"}, "password_env: the variable 'X' is not set"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_key(more: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**more)
    assert text in str(caught.value)
    assert "hush" not in str(caught.value)


def test_an_open_address_is_taken_if_somebody_says_so() -> None:
    for more in ({"allow_anonymous": True}, {"token": "t"}, {"username": "a", "password": "b"}):
        assert config(influx={"listen": OPEN, **more}).doors[0].place == OPEN


def test_the_password_of_the_database_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("siri\n")
    found = config_from(
        {"url": "siridb://iris@localhost/db", "password_file": "password", "influx": INFLUX},
        tmp_path,
    )
    assert found.target.password == "siri"  # noqa: S105


@pytest.mark.parametrize(
    ("text", "reason"),
    [("url = ", "expected TOML: "), ('colour = "red"', "colour: there is no such key")],
)
def test_an_error_names_the_file(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(f'url = "{URL}"\ninflux.listen = "8086"\n{text}\n')
    with pytest.raises(ConfigError, match=f"{path}: .*{reason[:12]}"):
        read_gateway_config(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_gateway_config(tmp_path / "nothing.toml")


def test_a_secret_is_not_shown() -> None:
    secret = Secret("hush")
    assert secret.matches("hush")
    assert not secret.matches("hus")
    assert not secret.matches("h\udcffsh")
    assert "hush" not in repr(secret)


def test_check_says_what_would_run(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'url = "{URL}"\n[influx]\nlisten = "8086"\ntoken = "hush"\n'
        '[[rules]]\nmatch = "a*"\ndrop = true\n'
    )
    shown = run_command("gateway", "--config", path, "--check").stdout
    assert "into 'dbtest' at localhost:9000" in shown
    assert "influx at 127.0.0.1:8086, series {measurement},{tags}:{field}; asks who" in shown
    assert "series 'a*': dropped" in shown
    assert "hush" not in shown
    assert "siri@" not in shown


def test_check_tells_a_mistake() -> None:
    wrong = run_command(
        "gateway", "--url", URL, "--listen-influx", "0.0.0.0:8086", "--check", code=2
    )
    assert "allow_anonymous" in wrong.stderr
    nothing = run_command("gateway", "--url", URL, "--check", code=2)
    assert "there is no door" in nothing.stderr


def test_options_go_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(f'url = "{URL}"\nacknowledge = "accepted"\n[influx]\nlisten = "8086"\n')
    shown = run_command(
        "gateway", "--config", path, "--check", "--acknowledge", "delivered",
        "--listen-graphite", "2003", "--stdin", "ndjson", "--url", "siridb://a:b@host/other",
    ).stdout  # fmt: skip
    assert "into 'other' at host:9000" in shown
    assert "acknowledged once delivered" in shown
    assert "graphite.tcp at 127.0.0.1:2003" in shown
    assert "ndjson.stdin at standard input" in shown
