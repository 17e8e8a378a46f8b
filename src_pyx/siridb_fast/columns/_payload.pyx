"""Begin and end the payload of an insert package: ``{name: points, …}``, as an open map.

Columns of arrays write themselves in between (``_points``), lists of points are packed as they
are.
"""

from siridb_fast.protocol._buffer cimport PackageBuffer, room
from siridb_fast.protocol._qpack cimport pack_value
from siridb_fast.protocol._wire cimport MAX_PAYLOAD, QP_MAP_CLOSE, QP_MAP_OPEN

from siridb_fast.errors import PackageTooLargeError


def start_package(size_t capacity=0) -> PackageBuffer:
    """Return a buffer that holds the beginning of an insert package."""
    cdef PackageBuffer buffer = PackageBuffer(capacity)
    restart_package(buffer)
    return buffer


cpdef object restart_package(PackageBuffer buffer):
    """Make a buffer that nobody looks at any more the beginning of the next insert package."""
    buffer.clear()
    room(buffer, 1)[0] = QP_MAP_OPEN
    buffer.size += 1


def append_series(PackageBuffer buffer not None, name, points) -> None:
    """Write a series whose points are Python objects, unchecked, as the reference driver does."""
    pack_value(buffer, name, 0)
    pack_value(buffer, points, 1)


def finish_package(PackageBuffer buffer not None) -> PackageBuffer:
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
