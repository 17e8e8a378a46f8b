"""The configuration file of a server under test: which settings are ours, which the caller's."""

from collections.abc import Mapping
from pathlib import Path

from siridb_fast.testing.ports import Ports

__all__ = ["DEFAULTS", "HOST", "Settings"]

HOST = "127.0.0.1"

DEFAULTS: Mapping[str, str | int] = {
    "optimize_interval": 3600,
    "heartbeat_interval": 30,
    "max_open_files": 512,
    "enable_shard_compression": 1,
    "enable_shard_auto_duration": 1,
    "ignore_broken_data": 0,
}
"""What the caller may change; addresses, ports and paths belong to the server object."""


class Settings:
    """The settings that stay the same over all starts of a server.

    Raises:
        ValueError: an option that is not among `DEFAULTS`.
    """

    def __init__(self, buffer_sync_interval: int, options: Mapping[str, str | int]) -> None:
        unknown = sorted(options.keys() - DEFAULTS.keys())
        if unknown:
            allowed = ", ".join(DEFAULTS)
            raise ValueError(f"options may set {allowed}; not {', '.join(unknown)}")
        self._chosen = {"buffer_sync_interval": buffer_sync_interval, **DEFAULTS, **options}

    def text(self, ports: Ports, *, databases: Path, socket_path: Path) -> str:
        """Return the configuration file for these ports, database folder and unix socket."""
        settings: dict[str, str | int | Path] = {
            # Other servers of a cluster find this one by its name.
            "server_name": f"{HOST}:{ports.backend}",
            "ip_support": "IPV4ONLY",
            "bind_server_address": HOST,
            "bind_client_address": HOST,
            "listen_client_port": ports.client,
            "http_api_port": ports.http,
            "http_status_port": ports.status,
            "enable_pipe_support": 1,
            "pipe_client_name": socket_path,
            "db_path": databases,
            **self._chosen,
        }
        return "\n".join(["[siridb]", *(f"{key} = {val}" for key, val in settings.items()), ""])
