"""How tests run; the fixtures are in a file per topic, `fix_*.py`.

A coroutine test runs once in asyncio's event loop and once in uvloop; one marked `one_loop`, which
is long and about what no loop has a part in, in uvloop alone.

The marker `server` says that a test needs the program siridb-server. A test that asks for one by a
fixture gets it here; one that starts a server by itself carries it.
"""

import gc
import inspect
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.fix_loop import LOOPS, run

pytest_plugins = [
    "tests.fix_balancer",
    "tests.fix_broker",
    "tests.fix_connection",
    "tests.fix_server",
    "tests.fix_state",
    "tests.fix_stores",
]

USUAL_HANDLERS: dict[signal.Signals, Any] = {
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
SERVER_FIXTURES = {"server", "own_database"}  # the others of fix_server are made of these


def pytest_configure() -> None:
    # On a busy machine any example may take long.
    slow = [HealthCheck.too_slow]
    settings.register_profile("siridb_fast", deadline=None, suppress_health_check=slow)
    settings.load_profile("siridb_fast")
    # A run in the background, or under nohup, has signals ignored, and so would its programs.
    for number, handler in USUAL_HANDLERS.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("event_loop_factory")
        is_one = metafunc.definition.get_closest_marker("one_loop") is not None
        names = ["uvloop"] if is_one else list(LOOPS)
        metafunc.parametrize("event_loop_factory", [LOOPS[name] for name in names], ids=names)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the tests themselves, a million objects, out of every collection of garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    parameters: dict[str, Any] = pyfuncitem.callspec.params
    run(pyfuncitem.obj(**arguments), parameters["event_loop_factory"])
    return True
