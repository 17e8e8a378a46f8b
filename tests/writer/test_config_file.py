"""A writer's options in a TOML file: each of them, and what is wrong with one is named."""

from pathlib import Path
from typing import Any

import pytest

from siridb_fast import (
    MILLISECOND,
    BatchWriter,
    BlockingWriter,
    ConfigError,
    DeadLetters,
    SpoolOptions,
)
from siridb_fast.connection.password import PasswordFile
from siridb_fast.writer.config_file import IN_PROGRAM
from siridb_fast.writer.options import WriterKeywords
from tests.fix_server import Database

URL = "siridb://iris@localhost/db?password_file=/run/secret"
BARE_URL = "siridb://iris@localhost/db"
OPTIONS: dict[str, tuple[str, Any]] = {
    "linger": ("0.25", 0.25),
    "max_buffered": ("100_000_000", 100_000_000),
    "package_bytes": ("500_000", 500_000),
    "max_rate": ("1000", 1000),
    "on_full": ("'raise'", "raise"),
    "wait_for_server": ("60", 60),
    "connections": ("3", 3),
    "window": ("4", 4),
    "delivery_timeout": ("30.5", 30.5),
    "on_doubt": ("'verify'", "verify"),
    "on_doubt_fallback": ("'resend'", "resend"),
    "durability": ("'safe'", "safe"),
    "late": ("'compare'", "compare"),
    "on_conflict": ("'refuse'", "refuse"),
    "spool": ("'/var/lib/plant.spool'", Path("/var/lib/plant.spool")),
    "journal": ("'/var/lib/plant.journal'", Path("/var/lib/plant.journal")),
    "sentinel": ("'plant.sentinel'", "plant.sentinel"),
    "on_missing": ("'drop'", "drop"),
    "on_precision_loss": ("'floor'", "floor"),
    "on_type": ("'cast'", "cast"),
    "time_precision": ("'ms'", MILLISECOND),
    "buffer_size": ("8192", 8192),
    "max_idle_series": ("1000", 1000),
    "on_error": ("'letters.ndjson'", None),
}
SPOOL: dict[str, tuple[str, Any]] = {
    "path": ("'/var/lib/plant.spool'", Path("/var/lib/plant.spool")),
    "mode": ("'overflow'", "overflow"),
    "max_bytes": ("100_000_000", 100_000_000),
    "max_age": ("3600", 3600),
    "on_full": ("'drop_oldest'", "drop_oldest"),
    "sync": ("'full'", "full"),
    "max_rate": ("5000.0", 5000.0),
    "journal": ("'/var/lib/plant.journal'", Path("/var/lib/plant.journal")),
    "journal_sync": ("0.002", 0.002),
    "journal_max_bytes": ("100_000_000", 100_000_000),
    "journal_on_full": ("'drop_newest'", "drop_newest"),
}
ODD = ["[1, 2]", "1979-05-27", "{a = 1}"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "writer.toml"


def written(path: Path, text: str, url: str = URL) -> Path:
    path.write_text(f"url = '{url}'\n{text}\n")
    return path


def refusal(path: Path, **options: Any) -> str:
    """Return what is said of a file, which names it."""
    with pytest.raises(ConfigError) as caught:
        BatchWriter.from_config(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert caught.value.__cause__ is None
    return text.removeprefix(f"{path}: ")


# ---- what may be in it


def test_every_option_is_in_the_table() -> None:
    assert OPTIONS.keys() == WriterKeywords.__annotations__.keys() - {*IN_PROGRAM}
    assert SPOOL.keys() == SpoolOptions.__dataclass_fields__.keys()


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "on_error"])
def test_option_is_given_in_the_file(path: Path, name: str) -> None:
    text, value = OPTIONS[name]
    needed = "late = 'compare'\n" if name == "on_conflict" else ""
    writer = BatchWriter.from_config(written(path, f"{needed}{name} = {text}"))
    assert getattr(writer._options, name) == value
    assert getattr(BatchWriter(URL)._options, name) != value  # it is not the default


@pytest.mark.parametrize("name", SPOOL)
def test_option_of_the_spool_is_given_in_a_table(path: Path, name: str) -> None:
    lines = [f"{key} = {SPOOL[key][0]}" for key in {"path", name}]
    writer = BatchWriter.from_config(written(path, "\n".join(["[spool]", *lines])))
    assert isinstance(writer._options.spool, SpoolOptions)
    assert getattr(writer._options.spool, name) == SPOOL[name][1]


def test_all_options_are_given_at_once(path: Path) -> None:
    lines = [f"{name} = {text}" for name, (text, _) in OPTIONS.items()]
    options = BatchWriter.from_config(written(path, "\n".join(lines)))._options
    for name, (_, value) in OPTIONS.items():
        assert name == "on_error" or getattr(options, name) == value


@pytest.mark.parametrize(
    ("text", "keeps_doubts"),
    [
        ("on_error = 'letters.ndjson'", True),
        ("[on_error]\npath = 'letters.ndjson'\nin_doubt = false", False),
    ],
)
def test_dead_letters_are_given_in_the_file(path: Path, text: str, keeps_doubts: bool) -> None:
    letters: Any = BatchWriter.from_config(written(path, text))._options.on_error
    assert isinstance(letters, DeadLetters)
    assert letters.path == path.parent / "letters.ndjson"
    assert (letters._in_doubt is not None) == keeps_doubts


def test_paths_are_relative_to_the_folder_of_the_file(path: Path) -> None:
    text = "password_file = 'secret'\nspool = 'a.spool'"
    writer = BatchWriter.from_config(written(path, text, BARE_URL))
    assert writer._options.spool == path.parent / "a.spool"
    assert writer._config.password == PasswordFile(str(path.parent / "secret"))
    written(path, "[spool]\npath = 'b.spool'")
    spool: Any = BatchWriter.from_config(path)._options.spool
    assert spool.path == path.parent / "b.spool"


def test_options_of_the_call_go_before_those_of_the_file(path: Path) -> None:
    written(path, "linger = 0.25\nconnections = 3\nspool = 5")
    heard: list[Any] = []
    writer = BatchWriter.from_config(path, linger=0.5, on_delivery=heard.append, spool=None)
    options = writer._options
    assert (options.linger, options.connections, options.spool) == (0.5, 3, None)
    assert options.on_delivery == heard.append


def test_url_may_be_that_of_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("linger = 0.25\n")
    monkeypatch.setenv("SIRIDB_URL", "siridb://iris:siri@db1/plant")
    assert BatchWriter.from_config(path)._config.dbname == "plant"
    path.write_text("password_env = 'PLANT_PASSWORD'\n")
    monkeypatch.setenv("SIRIDB_URL", "siridb://iris@db1/plant")
    monkeypatch.setenv("PLANT_PASSWORD", "x")
    assert BatchWriter.from_config(path)._config.password == "x"  # noqa: S105
    monkeypatch.delenv("SIRIDB_URL")
    assert "SIRIDB_URL is not set" in refusal(path)


# ---- what is refused


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("odd", ODD)
def test_value_of_another_type_is_named(path: Path, name: str, odd: str) -> None:
    assert name in refusal(written(path, f"{name} = {odd}"))


@pytest.mark.parametrize("name", SPOOL)
@pytest.mark.parametrize("odd", ODD)
def test_value_of_another_type_in_a_table_is_named(path: Path, name: str, odd: str) -> None:
    lines = [f"{key} = {SPOOL[key][0]}" for key in ("path",) if key != name]
    text = "\n".join(["[spool]", *lines, f"{name} = {odd}"])
    assert f"spool: {name} is" in refusal(written(path, text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lingre = 1", "a writer has no option 'lingre'; there are url, password_file"),
        ("handle_sigterm = true", "a writer has no option 'handle_sigterm'"),
        ("password = 'secret-word'", "a writer has no option 'password'"),
        ("on_delivery = 'print'", "on_delivery is a function: give it to from_config"),
        ("linger = '1'", "linger is 0 to 3600 seconds, got '1'"),
        ("linger = nan", "linger is 0 to 3600 seconds"),
        ("time_precision = 2", "time_precision is one of s, ms, us, ns, got 2"),
        ("wait_for_server = 'in_background'", "needs time_precision="),
        ("[spool]\npath = 'a'\nlingre = 1", "spool has no option 'lingre'; there are path, mode"),
        ("[spool]\nmode = 'overflow'", "spool: path is the path of a file, got None"),
        ("[spool]\npath = 'a'\nmode = 'never'", "spool: mode is 'overflow', or left out; got"),
        ("[spool]\npath = 'a'\nmode = 'always'", 'mode="always" is gone: journal="plant.jo'),
        ("spool = ''", "spool: expected the path of a file"),
        ("on_error = 'letters.csv'", "dead letters: a path ends in one of"),
        ("[on_error]\npath = 'a.ndjson'\nx = 1", "on_error has no option 'x'; there are path"),
        ("[on_error]\npath = 'a.ndjson'\nin_doubt = 1", "in_doubt is true or false, got 1"),
        ("password_env = 'NO_SUCH_VARIABLE'", "the variable 'NO_SUCH_VARIABLE' is not set"),
        ("password_env = 5", "password_env is a text, got int"),
        ("linger =", "expected TOML: "),
    ],
)
def test_what_makes_no_sense_is_named(path: Path, text: str, found: str) -> None:
    assert found in refusal(written(path, text, BARE_URL if "password_env" in text else URL))


def test_file_that_cannot_be_read_is_named(path: Path) -> None:
    assert refusal(path) == "No such file or directory"
    path.write_bytes(b"sentinel = '\xff'\n")
    assert refusal(path) == "expected TOML in UTF-8"


def test_password_is_not_in_the_file_nor_in_an_error(path: Path) -> None:
    full_url = "siridb://iris:secret-word@localhost/db"
    assert refusal(written(path, "", full_url)).startswith("url: a password does not stand in")
    for text in ("", "password_file = 'a'", "linger = 'x'", "password = 'secret-word'"):
        for url in (full_url, full_url + "?x=1", full_url.replace("siridb:", "http:")):
            assert "secret-word" not in refusal(written(path, text, url))
    twice = "password_file = 'a'\npassword_env = 'HOME'"
    assert "password is given twice" in refusal(written(path, twice, BARE_URL))


# ---- and it works


async def test_writer_of_a_file_writes(database: Database, path: Path) -> None:
    (path.parent / "secret").write_text("siri\n")
    url = database.url.replace(":siri@", "@")
    written(path, "password_file = 'secret'\non_error = 'letters.ndjson'", url)
    database.server.api.insert(database.name, {"b": [(1, "text")]})
    writer = BatchWriter.from_config(path)
    await writer.open()
    writer.write("a", 1, 0.5)
    writer.write("b", 2, 0.5)
    report = await writer.close()
    assert (report.points, report.rejected_points) == (1, 1)
    assert len((path.parent / "letters.ndjson").read_text().splitlines()) == 1


def test_blocking_writer_of_a_file_writes(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", "siri")
    written(path, "password_env = 'PLANT_PASSWORD'", database.url.replace(":siri@", "@"))
    with BlockingWriter.from_config(path, handle_sigterm=False, linger=0.05) as writer:
        writer.write("a", 1, 0.5)
        assert writer.flush().points == 1
