"""Servers to test against: a real siridb-server, a cluster of them, and a scripted one.

::

    from siridb_fast.testing import SiriDBServer

    with SiriDBServer() as server:
        server.create_database("dbtest", time_precision="ms")
        print(server.url("dbtest"))  # siridb://iris:siri@127.0.0.1:…/dbtest
        server.kill()
        server.restart()

The real ones run the program that `find_server` finds. Where there is none, on Debian and Ubuntu,
``python -m siridb_fast.testing.install`` gets it without installing anything.

Imports nothing but the standard library and itself.
"""

from siridb_fast.connection.http_api import HttpApi, HttpApiError
from siridb_fast.testing.binary import ServerNotFound, find_server
from siridb_fast.testing.cluster import SiriDBCluster
from siridb_fast.testing.fault_proxy import Fault, FaultProxy
from siridb_fast.testing.launch import ServerStartError
from siridb_fast.testing.polling import wait_until
from siridb_fast.testing.scripted import (
    PeerClosed,
    ScriptedPackage,
    ScriptedPeer,
    ScriptedServer,
)
from siridb_fast.testing.server import SiriDBServer

__all__ = [
    "Fault",
    "FaultProxy",
    "HttpApi",
    "HttpApiError",
    "PeerClosed",
    "ScriptedPackage",
    "ScriptedPeer",
    "ScriptedServer",
    "ServerNotFound",
    "ServerStartError",
    "SiriDBCluster",
    "SiriDBServer",
    "find_server",
    "wait_until",
]
