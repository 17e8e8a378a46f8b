"""What `dir()` and `help()` show users: all that they may call, with its text, and no more."""

import dataclasses
import inspect
from typing import Any

import pytest

import siridb_fast
from siridb_fast import (
    BatchWriter,
    BlockingClient,
    BlockingDelivery,
    BlockingWriter,
    Delivery,
    SiriDBClient,
)
from siridb_fast.writer._point_intake import SeriesHandle
from siridb_fast.writer._ticker import Ticker

SURFACE = {
    "BatchWriter": """
        close drain flush from_config open persisted series stats ticker time_precision
        write write_arrays write_many write_rows write_tick""",
    "BlockingClient": """
        close config connected from_config insert insert_packed is_closed load
        query query_arrays query_arrow query_frame stats verify writer""",
    "BlockingDelivery": "is_done wait",
    "BlockingWriter": """
        close drain flush from_config persisted series stats ticker time_precision
        write write_arrays write_many write_rows write_tick""",
    "ClientStats": "connected connections hosts reconnects",
    "Config": """
        dbname hosts inactive_time keepalive keepalive_interval max_answer max_wait_retry
        on_doubt password ssl timeout username window""",
    "DeadLetters": "close flush left_out lost path waiting written",
    "Delivered": "bytes host latency points seconds series",
    "Delivery": "is_done",
    "Difference": "kind series stored timestamp value",
    "Failure": """
        arrays error fate has_points points series time_precision timestamps values""",
    "HostStats": "connected connections host reconnects suspended",
    "LatencyStats": "bounds packages seconds",
    "LateStats": "already_stored beside compared refused waiting",
    "LookupStats": "missing partly_stored running stored unknown",
    "Progress": "bytes points rows seconds total_rows",
    "Report": """
        already_stored bytes changed changed_points cut expired expired_series in_doubt
        in_doubt_points is_complete missing new_series packages points rejected rejected_points
        require_complete rows seconds series spooled unnamed""",
    "SeriesHandle": "append name",
    "SiriDBAsyncConnection": "close connect connected insert query query_arrays",
    "SiriDBClient": """
        close config connect connected from_config from_url insert insert_packed is_closed load
        open query query_arrays query_arrow query_frame stats verify wait_closed writer""",
    "SiriDBConn": """
        MAX_RECONNECT_TIMEOUT MAX_RECONNECT_WAIT_TIME MAX_WRITE_RETRY RECONNECT_ATTEMPT
        close connect insert is_connected query query_arrays wait_closed""",
    "SiriDBConnection": "close insert query query_arrays query_arrow query_frame writer",
    "SiriDBProtocol": """
        connection_lost connection_made on_authenticated on_connection_lost on_connection_made
        pause_writing resume_writing send_package""",
    "SpoolOptions": """
        file_sync journal journal_max_bytes journal_on_full journal_sync max_age max_bytes
        max_rate mode on_full path sync""",
    "SpoolStats": "bytes oldest_age packages points room",
    "Stats": """
        buffered buffered_bytes bytes changed connected connections delivered dropped dropped_by
        ever_spooled fast_path hosts in_doubt in_flight is_open journal late latency lookups
        max_buffered not_yet_safe oldest_age packages packages_in_flight reconnects rejected
        rejected_by retries room series slow_path spool spooled typed_series written""",
    "Ticker": "names write write_block",
    "Verification": """
        by_series changed differences doubled expired is_complete missing points repaired rows
        series time_precision""",
}
OPENED_BY_CONSTRUCTOR = {"connect", "from_url", "open", "wait_closed"}  # or within `close`
TWINS = [(BlockingWriter, BatchWriter), (BlockingClient, SiriDBClient)]
WRITE_PARAMETERS = ["series", "timestamp", "value"]
OF_ERRORS = "points_inserted retriable"

PUBLIC = {name: getattr(siridb_fast, name) for name in siridb_fast.__all__}
CLASSES = {name: thing for name, thing in PUBLIC.items() if isinstance(thing, type)}
CLASSES |= {"SeriesHandle": SeriesHandle, "Ticker": Ticker}  # a writer gives these
ERRORS = [name for name, thing in CLASSES.items() if issubclass(thing, BaseException)]


def shown(thing: type) -> set[str]:
    builtin = {name for base in (Exception, OSError) for name in dir(base)}
    hidden = builtin if issubclass(thing, BaseException) else set()
    return {name for name in dir(thing) if not name.startswith("_")} - hidden


def own_text(owner: type, name: str) -> str | None:
    text = inspect.getattr_static(owner, name).__doc__
    return text if isinstance(text, str) else None


def test_every_public_class_is_in_the_table() -> None:
    assert CLASSES.keys() - {*ERRORS} == SURFACE.keys()


@pytest.mark.parametrize("name", SURFACE)
def test_class_shows_what_users_may_call_and_nothing_else(name: str) -> None:
    assert shown(CLASSES[name]) == set(SURFACE[name].split())


@pytest.mark.parametrize("name", ERRORS)
def test_error_shows_what_every_error_has(name: str) -> None:
    assert shown(CLASSES[name]) == set(OF_ERRORS.split())


@pytest.mark.parametrize("name", SURFACE)
def test_what_is_shown_has_a_text_of_its_own(name: str) -> None:
    owner: Any = CLASSES[name]
    # The text of a class is about its fields and constants.
    fields = dataclasses.fields(owner) if dataclasses.is_dataclass(owner) else ()
    names = shown(owner) - {field.name for field in fields}
    names = {one for one in names if not one.isupper()}
    assert [one for one in sorted(names) if not own_text(owner, one)] == []


@pytest.mark.parametrize("name", SURFACE)
def test_method_has_a_signature(name: str) -> None:
    owner: Any = CLASSES[name]
    for method in filter(callable, (getattr(owner, one) for one in sorted(shown(owner)))):
        assert inspect.signature(method)


@pytest.mark.parametrize(("blocking", "twin"), TWINS)
def test_blocking_class_has_all_that_its_twin_has(blocking: type, twin: type) -> None:
    assert shown(blocking) == shown(twin) - OPENED_BY_CONSTRUCTOR


@pytest.mark.parametrize(("blocking", "twin"), TWINS)
def test_blocking_method_takes_what_its_twin_takes(blocking: Any, twin: Any) -> None:
    for name in sorted(shown(blocking) - {"from_config", "writer"}):  # they have options more
        if callable(getattr(blocking, name)):
            own, other = (inspect.signature(getattr(one, name)) for one in (blocking, twin))
            assert list(own.parameters) == list(other.parameters), name
            for parameter in own.parameters.values():
                assert parameter.default == other.parameters[parameter.name].default, name


@pytest.mark.parametrize("make", ["__init__", "from_config"])
def test_blocking_writer_is_made_of_what_its_twin_is_made_of(make: str) -> None:
    own, other = (dict(inspect.signature(getattr(one, make)).parameters) for one in TWINS[0])
    assert own.pop("handle_sigterm").default is True
    assert [*own] == [*other]
    assert [one.default for one in own.values()] == [one.default for one in other.values()]


def test_blocking_delivery_has_all_that_its_twin_has() -> None:
    assert shown(BlockingDelivery) == shown(Delivery) | {"wait"}  # in place of `await`


@pytest.mark.parametrize("owner", [BatchWriter, BlockingWriter])
def test_write_says_what_it_takes(owner: Any) -> None:
    assert list(inspect.signature(owner.write).parameters) == ["self", *WRITE_PARAMETERS]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_has_a_text_of_its_own(name: str) -> None:
    thing = PUBLIC[name]
    if isinstance(thing, type):
        assert vars(thing)["__doc__"]
    elif not isinstance(thing, int):  # SECOND … NANOSECOND
        assert thing.__doc__


@pytest.mark.parametrize("thing", [BatchWriter, Ticker, SeriesHandle])
def test_compiled_class_shows_no_machinery(thing: type) -> None:
    assert [name for name in dir(thing) if "pyx" in name or "cython" in name] == []
