"""What a reply of the server means: a value, or one of our errors.

Knows the package types and qpack; knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from siridb_fast.errors import (
    AuthenticationError,
    InsertError,
    PoolError,
    QueryError,
    SelectLimitError,
    ServerError,
    ServerMessageError,
    SiriDBError,
    UnknownDatabaseError,
    UnknownPackageError,
    UserAuthError,
)
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import unpackb

__all__ = ["value_of"]

SELECT_LIMIT_TEXT = "maximum number of selected points"
UNPACKED: Final = frozenset({_wire.RES_QUERY, _wire.RES_INSERT, _wire.RES_INFO})
ANSWERS: Final[dict[int | None, int]] = {
    _wire.REQ_QUERY: _wire.RES_QUERY,
    _wire.REQ_INSERT: _wire.RES_INSERT,
    _wire.REQ_AUTH: _wire.RES_AUTH_SUCCESS,
    _wire.REQ_PING: _wire.RES_ACK,
}
EMPTY: Final[dict[int, object]] = {_wire.RES_AUTH_SUCCESS: True, _wire.RES_ACK: None}


def value_of(
    type_: int, body: bytes, *, request: int | None = None, is_raw: bool = False
) -> object:
    """Return what a reply brings, as the reference driver does; raise what it refuses.

    Args:
        type_: The package type.
        body: The payload.
        request: The package type of the request, whose answer may be of one type only.
        is_raw: Return the payload of a query's or insert's answer as it is.

    Raises:
        SiriDBError: The error that the package type stands for, with the server's text.
        UnpackError: The payload is not qpack.
    """
    if type_ < _wire.ERR_MSG and ANSWERS.get(request, type_) != type_:
        raise UnknownPackageError(
            f"the server answered a package of type {request} with one of type {type_}"
        )
    if type_ in UNPACKED:
        return body if is_raw else unpackb(body, "utf-8", True)
    if type_ == _wire.RES_FILE:
        return body
    if type_ in EMPTY:
        return EMPTY[type_]
    raise _error(type_, body)


def _error(type_: int, body: bytes) -> SiriDBError:
    if type_ == _wire.ERR_QUERY:
        text = _text(body)
        return (SelectLimitError if SELECT_LIMIT_TEXT in text else QueryError)(text)
    if type_ in WITH_TEXT:
        return WITH_TEXT[type_](_text(body))
    if type_ in WITHOUT_TEXT:
        error, text = WITHOUT_TEXT[type_]
        return error(text)
    return UnknownPackageError(f"the server sent a package of the unknown type {type_}")


def _text(body: bytes) -> str:
    if not body:
        return "the server gave no reason"
    answer = unpackb(body, "utf-8", True)
    return str(answer.get("error_msg")) if isinstance(answer, dict) else repr(answer)


WITH_TEXT: Final[dict[int, Callable[[str], SiriDBError]]] = {
    _wire.ERR_MSG: ServerMessageError,
    _wire.ERR_INSERT: InsertError,
    _wire.ERR_SERVER: ServerError,
    _wire.ERR_POOL: PoolError,
    _wire.ERR_USER_ACCESS: UserAuthError,
}
WITHOUT_TEXT: Final[dict[int, tuple[Callable[[str], SiriDBError], str]]] = {
    _wire.ERR: (ServerMessageError, "the server met an unexpected error; its log says more"),
    _wire.ERR_NOT_AUTHENTICATED: (AuthenticationError, "this connection is not authenticated"),
    _wire.ERR_AUTH_CREDENTIALS: (AuthenticationError, "invalid credentials"),
    _wire.ERR_AUTH_UNKNOWN_DB: (UnknownDatabaseError, "unknown database"),
    _wire.ERR_LOADING_DB: (ServerMessageError, "the server could not load the database"),
    _wire.ERR_FILE: (ServerMessageError, "the server could not give the file"),
}
