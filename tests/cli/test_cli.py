"""The command line around its commands: help, usage, errors and exit codes; ping and info."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import siridb_fast
from siridb_fast.cli.app import COMMANDS as COMMANDS_BY_NAME
from siridb_fast.cli.app import command_line, loaded
from siridb_fast.cli.errors import without_password
from siridb_fast.testing import HttpApi
from tests.commands import run_command, run_process
from tests.fix_server import Database

COMMANDS = ["query", "ping", "info", "server", "create-database"]
SECRET = "se-cret.word"  # noqa: S105 - it is looked for in everything that is printed
BAD_URLS = [
    "", "http://iris:{}@localhost/db", "siridb://localhost/db", "siridb://iris:{}@localhost",
    "siridb://iris:{}@localhost:x/db", "siridb://iris:{}@localhost/db?nope=1",
    "siridb://iris:{}@localhost/db?timeout=-1", "siridb://iris:{}@/db",
]  # fmt: skip


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
@pytest.mark.parametrize("width", [40, 80])
def test_help_is_readable(command: list[str], width: int) -> None:
    url = f"siridb://iris:{SECRET}@localhost/db"
    text = run_command(*command, "--help", url=url, COLUMNS=str(width)).stdout
    assert SECRET not in text
    assert max(map(len, text.splitlines())) <= max(width, 50)
    options = text.partition("Options:\n")[2].partition("\n\n")[0].splitlines()
    assert options[-1].strip()
    for line, following in zip(options, [*options[1:], ""], strict=True):
        if line.startswith("  -"):  # the text stands beside it or below
            assert "  " in line.strip() or following.startswith(" " * 10), line


def test_list_of_commands_says_what_the_help_of_each_says() -> None:
    listed = typer.main.get_group(command_line()).commands
    assert listed.keys() == COMMANDS_BY_NAME.keys()
    for name, summary in listed.items():
        command = loaded(name)
        assert (command.name, summary.name) == (name, name)
        assert command.get_short_help_str(200) == summary.get_short_help_str(200)


def test_command_is_found_behind_two_dashes() -> None:
    assert run_command("--", "ping", "--help").stdout == run_command("ping", "--help").stdout


def test_wrong_name_of_a_command_is_told_with_the_likely_one() -> None:
    assert "No such command 'pign'. Did you mean 'ping'?" in run_command("pign", code=2).stderr


@pytest.mark.parametrize(("words", "completed"), [("pi", ["ping"]), ("ping --tim", ["--timeout"])])
def test_shell_completes_names_of_commands_and_their_options(
    words: str, completed: list[str]
) -> None:
    done = run_process(
        _SIRIDB_FAST_COMPLETE="complete_bash",
        COMP_WORDS=f"siridb-fast {words}",
        COMP_CWORD=str(len(words.split())),
    )
    assert done.stdout.split() == completed


def test_help_documents_the_exit_codes() -> None:
    text = " ".join(run_process("--help").stdout.split())
    for code in (
        "0 all",
        "1 the server",
        "2 wrong usage",
        "3 load",
        "spool could not read",
        "130 stopped",
        "143 stopped",
    ):
        assert code in text


def test_version_is_that_of_the_package() -> None:
    assert run_process("--version").stdout == f"siridb-fast {siridb_fast.__version__}\n"


def test_importing_the_package_leaves_the_command_line_out() -> None:
    script = "import sys, siridb_fast; print([m for m in sys.modules if m in ('typer', 'rich')])"
    script += "; print('siridb_fast.cli' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["[]", "False"]


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_missing_extra_is_named(missing: str) -> None:
    script = (
        "import importlib.util as u, sys; found = u.find_spec\n"
        f"u.find_spec = lambda name, *a: None if name == {missing!r} else found(name, *a)\n"
        "from siridb_fast.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == 'siridb-fast needs typer and rich: pip install "siridb_fast[cli]"\n'


@pytest.mark.parametrize("command", [["query", "show"], ["ping"], ["info"]])
@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_url_is_one_line_without_the_password(command: list[str], url: str) -> None:
    done = run_command(*command, "--url", url.format(SECRET), code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert SECRET not in done.stderr


@pytest.mark.parametrize("command", [["query", "show"], ["ping"], ["load", __file__]])
@pytest.mark.parametrize("url", BAD_URLS)
def test_what_is_wrong_with_a_url_is_told_whole(command: list[str], url: str) -> None:
    with pytest.raises(siridb_fast.ConfigError) as caught:
        siridb_fast.SiriDBClient.from_url(url.format(SECRET))
    error = run_command(*command, "--url", url.format(SECRET), code=2).stderr
    assert str(caught.value) in error
    assert "siridb://user:password@host/database" in error


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"a siridb://iris:{SECRET}@b", "a siridb://…@b"),
        (f"a siridb://iris:{SECRET} @ x@b", "a siridb://…@b"),
        (f"a siridb://user:password@host/x siridb://i:{SECRET}@b", None),
        (f"a siridb://i:{SECRET}@b siridb://user:password@host/x", None),
        (f"siridb://user:password@host.{SECRET}@b", "siridb://…@b"),
    ],
)
def test_password_is_hidden_beside_the_form_of_a_url(text: str, wanted: str | None) -> None:
    shown = without_password(text)
    assert SECRET not in shown
    assert wanted is None or shown == wanted


@pytest.mark.parametrize("command", [["query", "show"], ["ping"], ["info"]])
def test_missing_url_is_named_with_both_ways_to_give_it(command: list[str]) -> None:
    error = run_command(*command, code=2).stderr
    assert "--url siridb://" in error
    assert "SIRIDB_URL" in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["ping", f"siridb://iris:{SECRET}@localhost/db"],
        ["ping", "--count", f"siridb://iris:{SECRET}@localhost/db"],
        ["nonsense"],
        ["query"],
        ["ping", "--nonsense"],
        ["ping", "--count", "0"],
        ["ping", "--timeout", "nan"],
        ["info", "--timeout", "-1"],
        ["query", "show", "--format", "xml"],
        ["query", "show", "--limit", "-1"],
        ["query", "show", "--time-precision", "h"],
        ["server", "--buffer-size", "100"],
        ["server", "--time-precision", "h"],
    ],
)
def test_wrong_usage_ends_with_code_2_and_a_hint(arguments: list[str]) -> None:
    done = run_command(*arguments, code=2)
    assert done.stderr.startswith("Error: ")
    assert "--help'" in done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("command", [["query", "show"], ["info"]])
def test_server_that_is_not_there_is_named(command: list[str], unused_port: int) -> None:
    url = f"siridb://iris:{SECRET}@127.0.0.1:{unused_port}/db"
    error = run_command(*command, url=url, code=1).stderr
    assert (
        error.lower() == f"error: no connection to 127.0.0.1:{unused_port}: connection refused\n"
    )


@pytest.mark.parametrize("command", [["query", "show"], ["info"], ["ping"]])
def test_wrong_password_is_not_shown(database: Database, command: list[str]) -> None:
    url = database.server.url(database.name, password=SECRET)
    done = run_command(*command, url=url, code=1)
    assert SECRET not in done.stdout + done.stderr
    assert done.stdout + done.stderr != ""


def test_ping_shows_each_server_up_or_down(database: Database, unused_port: int) -> None:
    server = database.server
    good, bad = f"127.0.0.1:{server.port}", f"127.0.0.1:{unused_port}"
    text = run_process(
        "ping", "-c", "3", url=f"siridb://iris:siri@{good},{bad}/{database.name}"
    ).stdout
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert lines[good][1] == "up"
    low, middle, high = map(float, lines[good][2:5])
    assert 0 < low <= middle <= high
    assert lines[good][5].startswith("2.")
    assert lines[bad][1] == "down:"
    assert (
        run_process("ping", url=f"siridb://iris:siri@{bad}/{database.name}", code=1).stdout.count(
            "down"
        )
        == 1
    )


def test_one_server_of_two_that_is_down_is_a_warning(database: Database, unused_port: int) -> None:
    hosts = f"127.0.0.1:{database.server.port},127.0.0.1:{unused_port}"
    done = run_process("query", "count series", url=f"siridb://iris:siri@{hosts}/{database.name}")
    assert done.stdout == "series\n0\n"
    assert done.stderr.startswith(f"Warning: no connection to 127.0.0.1:{unused_port}: ")


def test_info_is_what_the_database_says(database: Database) -> None:
    with siridb_fast.connect(database.url) as client:
        client.insert({"a": [[1, 0.5], [2, 1.5]], "b": [[1, 1]]})
        client.query("alter database set select_points_limit 5000")
    text = run_process("info", url=database.url).stdout
    facts = json.loads(run_process("info", "--json", url=database.url).stdout)
    assert (facts["database"], facts["user"], facts["rights"]) == (database.name, "iris", "full")
    assert (facts["series"], facts["points"]) == (2, 3)
    assert facts["settings"]["buffer_size"] == 1024
    assert facts["settings"]["select_points_limit"] == 5000
    assert facts["settings"]["time_precision"] == "ns"
    assert [pool["series"] for pool in facts["pools"]] == [2]
    assert facts["addresses"] == [f"127.0.0.1:{database.server.port}"]
    assert [s["backend_port"] for s in facts["servers"]] == [database.server.backend_port]
    assert "port" not in facts["servers"][0]
    assert "backend port" in text
    assert f"address              127.0.0.1:{database.server.port} " in text
    assert "1,024 bytes a series (fast from 65 points" in text
    assert "duration num         1w" in text


def test_info_without_rights_says_so(database: Database) -> None:
    api: HttpApi = database.server.api
    api.query(database.name, f"create user 'guest' set password '{SECRET}'")
    api.query(database.name, "grant insert to user 'guest'")
    url = database.server.url(database.name, username="guest", password=SECRET)
    done = run_command("info", url=url)
    assert done.stdout.count("not allowed") >= 4
    assert SECRET not in done.stdout + done.stderr
    facts = json.loads(run_command("info", "--json", url=url).stdout)
    assert facts["user"] == "guest"
    assert facts["settings"] == facts["series"] == facts["servers"] == "not allowed"


@pytest.mark.parametrize("given", [["--url", "{}"], ["--url={}"], ["-u", "{}"], ["-u{}"]])
def test_line_to_go_on_with_has_no_password(
    database: Database, tmp_path: Path, given: list[str]
) -> None:
    with siridb_fast.connect(database.url) as client:
        client.query(f"create user 'loader' set password '{SECRET}'")
        client.query("grant full to user 'loader'")
    url = database.server.url(database.name, username="loader", password=SECRET)
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("ts,v\n1767225601,1\n")  # of a load that has stored nothing there is no line
    bad.write_text("ts,v\n1767225602,one\n")
    given = [text.format(url) for text in given]
    options = ["--time", "ts", "--unit", "s", "--type", "v=integer", *given]
    done = run_command("load", *options, "--", good, bad, code=2)
    (last,) = (line for line in done.stderr.splitlines() if line.startswith("Go on with"))
    assert SECRET not in done.stdout + done.stderr
    assert last.startswith("Go on with: siridb-fast load --resume ")
    assert last.endswith(f"-- {good} {bad}")
