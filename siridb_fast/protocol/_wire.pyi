from typing import Final

from siridb_fast.protocol._buffer import PayloadBuffer

PayloadBytes = bytes | bytearray | memoryview | PayloadBuffer

HEADER_SIZE: Final = 8
MAX_PAYLOAD: Final = 41_943_040
REQ_QUERY: Final = 0
REQ_INSERT: Final = 1
REQ_AUTH: Final = 2
REQ_PING: Final = 3
REQ_INFO: Final = 4
REQ_LOADDB: Final = 5
REQ_REGISTER_SERVER: Final = 6
REQ_FILE_SERVERS: Final = 7
REQ_FILE_USERS: Final = 8
REQ_FILE_GROUPS: Final = 9
RES_QUERY: Final = 0
RES_INSERT: Final = 1
RES_AUTH_SUCCESS: Final = 2
RES_ACK: Final = 3
RES_INFO: Final = 4
RES_FILE: Final = 5
ERR_MSG: Final = 64
ERR_QUERY: Final = 65
ERR_INSERT: Final = 66
ERR_SERVER: Final = 67
ERR_POOL: Final = 68
ERR_USER_ACCESS: Final = 69
ERR: Final = 70
ERR_NOT_AUTHENTICATED: Final = 71
ERR_AUTH_CREDENTIALS: Final = 72
ERR_AUTH_UNKNOWN_DB: Final = 73
ERR_LOADING_DB: Final = 74
ERR_FILE: Final = 75

def pack_header(length: int, pid: int, kind: int) -> bytes: ...
def parse_header(data: bytes | bytearray | memoryview) -> tuple[int, int, int]: ...
