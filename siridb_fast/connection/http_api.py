"""The server's HTTP interface: databases are made by it; queries, inserts and status for tests.

Knows nothing of processes. Every answer other than 200 is raised with the server's own text.
Proxies of the environment are never asked: what is asked for passwords is near.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

__all__ = ["DATABASE_USER", "HttpApi", "HttpApiError", "is_up"]

SERVICE_ACCOUNT = ("sa", "siri")
DATABASE_USER = ("iris", "siri")


class HttpApiError(RuntimeError):
    """The server answered a request with an error.

    Attributes:
        status: the HTTP status, for instance 503 where a pool has no server.
        text: what the server said.
    """

    def __init__(self, path: str, status: int, text: str) -> None:
        super().__init__(f"{path}: the server answered {status}: {text}")
        self.status = status
        self.text = text


class HttpApi:
    """POST requests to one server's `http_api_port`. Each takes `timeout` in seconds.

    Raises from every method:
        HttpApiError: the server said no.
        OSError: no server, or no answer in time.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = f"http://{host}:{port}"

    def service(
        self,
        request: str,
        body: Mapping[str, object],
        *,
        account: tuple[str, str] = SERVICE_ACCOUNT,
        timeout: float = 30,
    ) -> Any:
        """Send a service request (``new-database``, ``new-pool``, …) as a service account."""
        return self._post(f"/{request}", body, account, timeout)

    def create_database(
        self,
        name: str,
        *,
        time_precision: str = "ns",
        buffer_size: int = 1024,
        duration_num: str = "1w",
        duration_log: str = "1d",
        account: tuple[str, str] = SERVICE_ACCOUNT,
        timeout: float = 30,
    ) -> None:
        """Create a database; its first user is iris, with the password siri.

        Both durations, of the shards of numbers and of texts, are always sent: without them the
        server dies of the first insert into a database with a precision of us or ns (SIGFPE).
        """
        request = {
            "dbname": name,
            "time_precision": time_precision,
            "buffer_size": buffer_size,
            "duration_num": duration_num,
            "duration_log": duration_log,
        }
        self.service("new-database", request, account=account, timeout=timeout)

    def query(
        self,
        dbname: str,
        query: str,
        *,
        user: tuple[str, str] = DATABASE_USER,
        timeout: float = 30,
    ) -> dict[str, Any]:
        """Return the answer to a query, for instance ``{"series": [[timestamp, value], …]}``."""
        answer = self._post(f"/query/{quote(dbname, safe='')}", {"q": query}, user, timeout)
        return dict(answer)

    def insert(
        self,
        dbname: str,
        points: Mapping[str, Sequence[tuple[int, float | str]]],
        *,
        user: tuple[str, str] = DATABASE_USER,
        timeout: float = 30,
    ) -> str:
        """Insert points, given as (timestamp, value) by series, and return the answer."""
        answer = self._post(f"/insert/{quote(dbname, safe='')}", points, user, timeout)
        return str(answer["success_msg"])

    def _post(
        self, path: str, body: Mapping[str, Any], user: tuple[str, str], timeout: float
    ) -> Any:
        token = base64.b64encode(":".join(user).encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        request = Request(self._address + path, json.dumps(body).encode(), headers)  # noqa: S310 - always http
        try:
            with _opener().open(request, timeout=timeout) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                text = error.read().decode(errors="replace").strip()
            raise HttpApiError(path, error.code, _message(text)) from error


def is_up(host: str, status_port: int, *, timeout: float = 5) -> bool:
    """Tell whether the server at this `http_status_port` listens and has loaded its databases.

    Not asked is /ready, to which a replica says no for as long as its partner is away.
    """
    try:
        with _opener().open(f"http://{host}:{status_port}/status", timeout=timeout):
            return True
    except HTTPError as error:
        error.close()
        return False
    except (URLError, ConnectionError, TimeoutError):
        return False


def _opener() -> OpenerDirector:
    return build_opener(ProxyHandler({}))


def _message(text: str) -> str:
    """Return the server's `error_msg`, or the text as it came where there is none (401, 404)."""
    try:
        return str(json.loads(text)["error_msg"])
    except (ValueError, TypeError, KeyError):
        return text
