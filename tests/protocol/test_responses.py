"""What the server's responses mean: a value, or the error that each refusal is."""

import pytest

from siridb_fast import errors, packb
from siridb_fast.protocol.responses import value_of

TEXT = packb({"error_msg": "no, because"})
REFUSALS: list[tuple[int, bytes, type[Exception], type[Exception], str]] = [
    (64, TEXT, errors.ServerMessageError, RuntimeError, "no, because"),
    (65, TEXT, errors.QueryError, errors.SiriDBError, "no, because"),
    (66, TEXT, errors.InsertError, errors.SiriDBError, "no, because"),
    (67, TEXT, errors.ServerError, errors.SiriDBError, "no, because"),
    (68, TEXT, errors.PoolError, errors.SiriDBError, "no, because"),
    (69, TEXT, errors.UserAuthError, errors.AuthenticationError, "no, because"),
    (70, b"", errors.ServerMessageError, RuntimeError, "unexpected error"),
    (71, b"", errors.AuthenticationError, errors.SiriDBError, "not authenticated"),
    (72, b"", errors.AuthenticationError, errors.SiriDBError, "invalid credentials"),
    (73, b"", errors.UnknownDatabaseError, IndexError, "unknown database"),
    (73, b"", errors.UnknownDatabaseError, errors.AuthenticationError, "unknown database"),
    (74, b"", errors.ServerMessageError, RuntimeError, "load the database"),
    (75, b"", errors.ServerMessageError, RuntimeError, "give the file"),
    (99, b"", errors.UnknownPackageError, TypeError, "unknown type 99"),
    (66, b"\xfe", errors.UnpackError, ValueError, "close"),
    (66, packb([1]), errors.InsertError, errors.SiriDBError, r"\[1\]"),
]


@pytest.mark.parametrize(("kind", "body", "error", "builtin", "text"), REFUSALS)
def test_each_refusal_is_its_own_error_and_the_builtin_it_promises(
    kind: int, body: bytes, error: type[Exception], builtin: type[Exception], text: str
) -> None:
    with pytest.raises(builtin, match=text) as caught:
        value_of(kind, body)
    assert type(caught.value) is error


def test_the_point_limit_has_an_error_of_its_own() -> None:
    said = "Query has reached the maximum number of selected points (1000000)."
    with pytest.raises(errors.SelectLimitError, match="1000000") as caught:
        value_of(65, packb({"error_msg": said}))
    assert isinstance(caught.value, errors.QueryError)


def test_what_answers_bring() -> None:
    assert value_of(0, packb({"a": ["b"]})) == {"a": ["b"]}
    assert value_of(0, b"\xfe", is_raw=True) == b"\xfe"
    assert value_of(0, packb([b"\xff"])) == [b"\xff"]
    assert (value_of(2, b""), value_of(3, b""), value_of(5, b"raw")) == (True, None, b"raw")
