"""Who may write over HTTP: a token, or a name and a password, in any of the ways of InfluxDB.

Where nobody is asked, what a client sends all the same is passed over.
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from aiohttp import web

from siridb_fast.gateway.config import Credentials

__all__ = ["is_allowed"]


def is_allowed(request: web.Request, credentials: Credentials) -> bool:
    """Tell whether whoever makes a request is let in."""
    if not credentials.are_asked:
        return True
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    scheme, given = scheme.lower(), given.strip()
    if scheme in ("token", "bearer"):
        name, colon, password = given.partition(":")  # as clients of InfluxDB 1.8 do it
        return _is_token(given, credentials) or (
            bool(colon) and _is_user(name, password, credentials)
        )
    if scheme == "basic":
        name, _, password = _decoded(given).partition(":")
        return _is_user(name, password, credentials) or _is_token(password, credentials)
    name, password = request.query.get("u", ""), request.query.get("p", "")
    return _is_user(name, password, credentials) or _is_token(password, credentials)


def _decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _is_token(given: str, credentials: Credentials) -> bool:
    return credentials.token is not None and credentials.token.matches(given)


def _is_user(name: str, password: str, credentials: Credentials) -> bool:
    if credentials.password is None:
        return False
    is_password = credentials.password.matches(password)
    return name == credentials.username and is_password
