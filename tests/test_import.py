"""What an import brings along: public names come when they are used, all else stays as it was."""

import ast
import inspect
import os
import pickle
import pkgutil
import pydoc
import subprocess
import sys
import textwrap
from importlib import import_module

import pytest

import siridb_fast

EVENT_LOOPS = "asyncio uvloop ssl socket"
FOR_FEW = "sqlite3 urllib.request http http.client email zipfile"
FRAMES = "pandas pyarrow polars matplotlib plotext typer rich pydantic"
COMMAND = """
import contextlib, os, sys
from siridb_fast.cli import main
sys.argv = ["siridb-fast", {!r}]
with contextlib.redirect_stdout(open(os.devnull, "w")), contextlib.suppress(SystemExit): main()
"""
# What a program writes, and what it has no use for.
UNUSED = {
    "import siridb_fast": f"numpy {EVENT_LOOPS} {FOR_FEW} {FRAMES}",
    "import numpy, siridb_fast": f"{EVENT_LOOPS} {FOR_FEW} {FRAMES}",
    "from siridb_fast import errors, ColumnError": f"numpy {EVENT_LOOPS} {FOR_FEW} {FRAMES}",
    "from siridb_fast import encode_insert, packb": f"{EVENT_LOOPS} {FOR_FEW} {FRAMES}",
    "from siridb_fast import BatchWriter": f"{FOR_FEW} {FRAMES}",
    COMMAND.format("--help"): f"numpy {EVENT_LOOPS} {FOR_FEW}",
    COMMAND.format("--version"): f"numpy {EVENT_LOOPS} {FOR_FEW}",
}

# Of the folders of a writer, what is for others: new databases, the command `spool`, loads.
AROUND_A_WRITER = {
    "siridb_fast.connection.http_api",
    "siridb_fast.delivery.dead_letters",
    "siridb_fast.delivery.letter",
    "siridb_fast.delivery.letter_lines",
    "siridb_fast.delivery.letter_tables",
    "siridb_fast.spool.reader",
    "siridb_fast.writer.config_file",
    "siridb_fast.writer.gateway_writer",
    "siridb_fast.writer.load_writer",
}
SPOOLED = {
    "siridb_fast.delivery.disk_errors",
    "siridb_fast.delivery.disk_queue",
    "siridb_fast.delivery.journal_recovery",
    "siridb_fast.delivery.recall",
    "siridb_fast.journal._appender",
    "siridb_fast.journal._frames",
    "siridb_fast.journal._records",
    "siridb_fast.journal.file",
    "siridb_fast.journal.remains",
    "siridb_fast.writer.journaling",
    "siridb_fast.writer.writer_spool",
}

PUBLIC = sorted(siridb_fast.__all__)


def imported(code: str) -> set[str]:
    """Return the names of the modules that a new process has after this."""
    script = f"{code}\nimport sys; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def modules_of(folder: str) -> set[str]:
    """Return the names of the modules in a folder of the package."""
    name = f"siridb_fast.{folder}"
    return {f"{name}.{found.name}" for found in pkgutil.iter_modules(import_module(name).__path__)}


@pytest.mark.parametrize("code", UNUSED)
def test_import_brings_nothing_that_is_not_used(code: str) -> None:
    assert imported(code) & set(UNUSED[code].split()) == set()


def test_csv_files_of_numbers_are_read_without_pandas() -> None:
    # pyarrow imports it for each constant: 0.3 seconds, and 46 MB. Texts become objects by it.
    code = """
        from pathlib import Path
        from siridb_fast import SiriDBError
        from siridb_fast.loading.file_source import FileSource
        from siridb_fast.loading.frame_reader import FrameReader
        from siridb_fast.loading.options import LoadOptions
        read = 0
        for path in Path("tests/files/cases").glob("*.csv"):
            options = LoadOptions()
            try:
                source = FileSource([path], options)
                for portion in source:
                    if "string" not in map(str, portion.batch.schema.types):
                        read += portion.read(FrameReader(options, 0)).rows
            except SiriDBError:
                pass  # most are to be read with options
        assert read > 50
    """
    assert "pandas" not in imported(textwrap.dedent(code))


def test_package_alone_is_one_module() -> None:
    names = imported("import siridb_fast")
    assert [name for name in names if name.startswith("siridb_fast")] == ["siridb_fast"]


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_list_of_commands_loads_no_command(option: str) -> None:
    folders = {name.split(".")[1] for name in imported(COMMAND.format(option)) if "_fast." in name}
    assert folders == {"cli", "errors"}


def test_names_may_be_used_first_when_the_main_thread_has_ended() -> None:
    code = """
        import siridb_fast, threading

        def use():
            threading.main_thread().join()
            for name in siridb_fast.__all__:
                getattr(siridb_fast, name)
            from siridb_fast.writer import engine, writer_spool  # which an open writer needs
            print("used", flush=True)

        threading.Thread(target=use).start()
    """
    done = subprocess.run(
        [sys.executable, "-c", inspect.cleandoc(code)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == "used\n"


def test_open_writer_has_imported_all_that_it_may_need() -> None:
    # Another version may be installed while it runs.
    writer = imported("from siridb_fast.writer import engine, writer")
    with_spool = imported("from siridb_fast.writer import engine, writer, writer_spool")
    folders = ("batching", "connection", "delivery", "journal", "spool", "writer")
    needed = {name for folder in folders for name in modules_of(folder)} - AROUND_A_WRITER
    assert needed - with_spool == set()
    assert {name for name in needed - writer if ".spool" not in name} == SPOOLED


def test_star_import_gives_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from siridb_fast import *", names)  # noqa: S102 - allowed at the top only
    assert {name for name in names if name[0] != "_"} == set(PUBLIC)


def test_every_public_name_has_one_module() -> None:
    listed = [name for names in siridb_fast.HOMES.values() for name in names.split()]
    assert sorted(listed) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_that_of_its_module(name: str) -> None:
    home = next(home for home, names in siridb_fast.HOMES.items() if name in names.split())
    module = import_module(f"siridb_fast.{home}")
    assert getattr(siridb_fast, name) is getattr(module, name)
    assert vars(siridb_fast)[name] is getattr(module, name)  # the second time without a search


def test_type_checkers_see_each_name_where_a_program_gets_it_from() -> None:
    found = [
        (f"{node.module}".removeprefix("siridb_fast."), name.name)
        for node in ast.walk(ast.parse(inspect.getsource(siridb_fast)))
        if isinstance(node, ast.ImportFrom) and node.module != "importlib"
        for name in node.names
    ]
    given = [(home, name) for home, names in siridb_fast.HOMES.items() for name in names.split()]
    assert sorted(found) == sorted(given)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'siridb_fast' has no attribute 'Writer'"):
        siridb_fast.Writer  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Writer' from 'siridb_fast'"):
        from siridb_fast import Writer  # type: ignore[attr-defined]  # noqa: F401


def test_dir_and_members_are_the_public_names() -> None:
    shown = {name for name in dir(siridb_fast) if name[0] != "_"}
    assert shown == {*PUBLIC, "errors", "testing"}
    members = dict(inspect.getmembers(siridb_fast))
    assert members.keys() >= shown
    assert members["BatchWriter"] is siridb_fast.BatchWriter


@pytest.mark.parametrize("module", ["errors", "testing"])
def test_module_of_the_package_is_an_attribute(module: str) -> None:
    assert f"siridb_fast.{module}" in imported(f"import siridb_fast; siridb_fast.{module}")


def test_help_shows_every_public_name() -> None:
    text = pydoc.plain(pydoc.render_doc(siridb_fast))
    assert [name for name in PUBLIC if name not in text] == []


def test_what_is_pickled_is_read_by_a_process_that_has_imported_nothing() -> None:
    error = siridb_fast.ColumnError("a column", index=3)
    options = siridb_fast.SpoolOptions("a.spool")
    pickled = pickle.dumps([error, options, siridb_fast.load])
    script = f"import pickle; print(pickle.loads({pickled!r}))"
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True
    )
    assert "ColumnError" in done.stdout
    assert "a.spool" in done.stdout
    assert "function load" in done.stdout
