"""Package headers and qpack type codes: the constants of the wire, and nothing else.

The codes are those of SiriDB's ``include/siri/net/protocol.h`` and ``include/qpack/qpack.h``; the
header is ``sirinet_pkg_s`` of ``include/siri/net/pkg.h``. All numbers on the wire are little
endian.
"""

from siridb_fast.errors import PackageTooLargeError, ProtocolError


def pack_header(size_t length, int pid, int kind) -> bytes:
    """Return the 8 bytes that go before a payload of ``length`` bytes.

    Raises:
        PackageTooLargeError: The server would close the connection over such a package.
        ValueError: ``pid`` is not in 0..65535, or ``kind`` not in 0..255.
    """
    cdef unsigned char[HEADER_SIZE] raw
    cdef Header header
    if length > MAX_PAYLOAD:
        raise PackageTooLargeError(
            f"a package of {length:,} bytes is over the server's limit of {MAX_PAYLOAD:,}"
        )
    if not (0 <= pid <= 0xffff and 0 <= kind <= 0xff):
        raise ValueError(f"package id {pid} or type {kind} is out of range")
    header.length = <uint32_t>length
    header.pid = <uint16_t>pid
    header.type = <uint8_t>kind
    put_header(raw, header)
    return raw[:HEADER_SIZE]


def parse_header(const unsigned char[::1] data not None) -> tuple[int, int, int]:
    """Return ``(length, pid, type)`` of the header at the start of ``data``.

    Raises:
        ProtocolError: Fewer than 8 bytes, or the check byte is wrong.
    """
    cdef Header header
    if data.shape[0] < HEADER_SIZE:
        raise ProtocolError(f"a header has {HEADER_SIZE} bytes, got {data.shape[0]}")
    header = get_header(&data[0])
    if (header.check ^ header.type) != 255:
        raise ProtocolError(
            f"wrong check byte {header.check} behind package type {header.type}, "
            f"expected {header.type ^ 255}"
        )
    return header.length, header.pid, header.type
