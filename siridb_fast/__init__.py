"""Put time series into SiriDB at the speed of the server itself.

`SiriDBClient` is the reference driver's client, with numpy arrays in and out. `encode_insert`,
`decode_points`, `packb` and `unpackb` are for those who handle the bytes themselves.
`siridb_fast.testing` starts real servers for tests.

A name is imported when it is first used: who encodes bytes waits for no event loop. That may be in
a thread, and when the main thread has come to its end.
"""

import concurrent.futures.thread  # noqa: F401 - can be imported only while the main thread runs
import sys
from importlib import import_module

TYPE_CHECKING = False  # true for type checkers; without an import of typing

if TYPE_CHECKING:
    from siridb_fast.client.blocking import BlockingClient, BlockingDelivery, BlockingWriter
    from siridb_fast.client.client import SiriDBClient
    from siridb_fast.client.connect import connect
    from siridb_fast.client.create_database import create_database
    from siridb_fast.client.load_data import load, verify
    from siridb_fast.client.siridb_connector import (
        SiriDBAsyncConnection,
        SiriDBProtocol,
        async_connect,
        async_server_info,
    )
    from siridb_fast.client.siridb_connector_blocking import SiriDBConnection
    from siridb_fast.client.siridb_connector_reconnecting import SiriDBConn
    from siridb_fast.columns._decode import decode_points
    from siridb_fast.columns.insert_data import encode_insert
    from siridb_fast.columns.time_units import MICROSECOND, MILLISECOND, NANOSECOND, SECOND
    from siridb_fast.concurrency.loops import run
    from siridb_fast.connection.config import Config
    from siridb_fast.connection.stats import ClientStats, HostStats
    from siridb_fast.delivery.dead_letters import DeadLetters
    from siridb_fast.delivery.latency import LatencyStats
    from siridb_fast.delivery.report import Delivered, Delivery, Failure, Report
    from siridb_fast.delivery.stats import LateStats, LookupStats, SpoolStats, Stats
    from siridb_fast.errors import (
        AuthenticationError,
        BufferFullError,
        ColumnError,
        ConfigError,
        ConflictError,
        ConnectionLost,
        DatabaseChangedError,
        DeliveryError,
        FileError,
        ForkedError,
        InsertError,
        PackageTooLargeError,
        PackingOverflowError,
        PointsChangedError,
        PoolError,
        ProtocolError,
        QueryError,
        RequestTimeout,
        SelectLimitError,
        ServerError,
        ServerMessageError,
        SiriDBError,
        SpoolError,
        SpoolFullError,
        SpoolLockedError,
        TableError,
        UnknownDatabaseError,
        UnknownPackageError,
        UnpackError,
        UserAuthError,
        WriterClosedError,
    )
    from siridb_fast.loading.differences import Difference
    from siridb_fast.loading.options import Progress
    from siridb_fast.loading.verification import Verification
    from siridb_fast.protocol._qpack import packb, unpackb
    from siridb_fast.spool.options import SpoolOptions
    from siridb_fast.writer.writer import BatchWriter

__version__ = "0.1.0"

__all__ = [
    "MICROSECOND",
    "MILLISECOND",
    "NANOSECOND",
    "SECOND",
    "AuthenticationError",
    "BatchWriter",
    "BlockingClient",
    "BlockingDelivery",
    "BlockingWriter",
    "BufferFullError",
    "ClientStats",
    "ColumnError",
    "Config",
    "ConfigError",
    "ConflictError",
    "ConnectionLost",
    "DatabaseChangedError",
    "DeadLetters",
    "Delivered",
    "Delivery",
    "DeliveryError",
    "Difference",
    "Failure",
    "FileError",
    "ForkedError",
    "HostStats",
    "InsertError",
    "LateStats",
    "LatencyStats",
    "LookupStats",
    "PackageTooLargeError",
    "PackingOverflowError",
    "PointsChangedError",
    "PoolError",
    "Progress",
    "ProtocolError",
    "QueryError",
    "Report",
    "RequestTimeout",
    "SelectLimitError",
    "ServerError",
    "ServerMessageError",
    "SiriDBAsyncConnection",
    "SiriDBClient",
    "SiriDBConn",
    "SiriDBConnection",
    "SiriDBError",
    "SiriDBProtocol",
    "SpoolError",
    "SpoolFullError",
    "SpoolLockedError",
    "SpoolOptions",
    "SpoolStats",
    "Stats",
    "TableError",
    "UnknownDatabaseError",
    "UnknownPackageError",
    "UnpackError",
    "UserAuthError",
    "Verification",
    "WriterClosedError",
    "async_connect",
    "async_server_info",
    "connect",
    "create_database",
    "decode_points",
    "encode_insert",
    "load",
    "packb",
    "run",
    "unpackb",
    "verify",
]

HOMES = {  # each public name below its module
    "client.blocking": "BlockingClient BlockingDelivery BlockingWriter",
    "client.client": "SiriDBClient",
    "client.connect": "connect",
    "client.create_database": "create_database",
    "client.load_data": "load verify",
    "client.siridb_connector": """
        SiriDBAsyncConnection SiriDBProtocol async_connect async_server_info""",
    "client.siridb_connector_blocking": "SiriDBConnection",
    "client.siridb_connector_reconnecting": "SiriDBConn",
    "columns._decode": "decode_points",
    "columns.insert_data": "encode_insert",
    "columns.time_units": "MICROSECOND MILLISECOND NANOSECOND SECOND",
    "concurrency.loops": "run",
    "connection.config": "Config",
    "connection.stats": "ClientStats HostStats",
    "delivery.dead_letters": "DeadLetters",
    "delivery.latency": "LatencyStats",
    "delivery.report": "Delivered Delivery Failure Report",
    "delivery.stats": "LateStats LookupStats SpoolStats Stats",
    "errors": """
        AuthenticationError BufferFullError ColumnError ConfigError ConflictError
        ConnectionLost DatabaseChangedError DeliveryError FileError ForkedError InsertError
        PackageTooLargeError PackingOverflowError PointsChangedError PoolError
        ProtocolError QueryError RequestTimeout SelectLimitError ServerError
        ServerMessageError SiriDBError SpoolError SpoolFullError SpoolLockedError
        TableError UnknownDatabaseError UnknownPackageError UnpackError UserAuthError
        WriterClosedError""",
    "loading.differences": "Difference",
    "loading.options": "Progress",
    "loading.verification": "Verification",
    "protocol._qpack": "packb unpackb",
    "spool.options": "SpoolOptions",
    "writer.writer": "BatchWriter",
}
MODULES = ("errors", "testing")
HIDDEN = ("__dir__", "__getattr__")

if not TYPE_CHECKING:  # a type checker would take any name

    def __getattr__(name: str) -> object:
        # Asked once for a name, which is then here.
        if name in MODULES:
            return import_module(f"{__name__}.{name}")
        for home, names in HOMES.items():
            if name in names.split():
                found = getattr(import_module(f"{__name__}.{home}"), name)
                return globals().setdefault(name, found)
        error = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(error, name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    # The public names, without the folders that they are in.
    special = [name for name in globals() if name.startswith("__") and name not in HIDDEN]
    return sorted({*__all__, *special, *MODULES})
