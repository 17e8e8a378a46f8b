"""Begin and end the payload of an insert package: ``{name: points, …}``, as an open map.

Columns of arrays write themselves in between (``_points``), lists of points are packed as they
are.
"""

from siridb_fast.protocol._buffer cimport PayloadBuffer, room
from siridb_fast.protocol._qpack cimport pack_value
from siridb_fast.protocol._wire cimport MAX_PAYLOAD, QP_MAP_CLOSE, QP_MAP_OPEN

from siridb_fast.errors import PackageTooLargeError


def start_payload(size_t capacity=0) -> PayloadBuffer:
    """Return a buffer that holds the beginning of an insert package."""
    cdef PayloadBuffer buffer = PayloadBuffer(capacity)
    restart_payload(buffer)
    return buffer


cpdef object restart_payload(PayloadBuffer buffer):
    """Make a buffer that has no view the beginning of the next insert package."""
    buffer.clear()
    room(buffer, 1)[0] = QP_MAP_OPEN
    buffer.size += 1


def append_series(PayloadBuffer buffer not None, name, points) -> None:
    """Write a series whose points are Python objects, unchecked, as the reference driver does."""
    pack_value(buffer, name, 0)
    pack_value(buffer, points, 1)


def finish_payload(PayloadBuffer buffer not None) -> PayloadBuffer:
    """Close and seal an insert package.

    Raises:
        PackageTooLargeError: The server would close the connection over it.
    """
    room(buffer, 1)[0] = QP_MAP_CLOSE
    buffer.size += 1
    if buffer.size > MAX_PAYLOAD:
        raise PackageTooLargeError(
            f"the package has {buffer.size:,} bytes, the server takes {MAX_PAYLOAD:,}"
        )
    return buffer.seal()
