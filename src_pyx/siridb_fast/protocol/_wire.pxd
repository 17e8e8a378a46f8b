# The bytes of the wire: package headers, qpack type codes, and how one number is written.

from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy


cpdef enum:
    HEADER_SIZE = 8
    MAX_PAYLOAD = 41_943_040  # one byte more, and the server closes the connection


# Requests
cpdef enum:
    REQ_QUERY = 0
    REQ_INSERT = 1
    REQ_AUTH = 2
    REQ_PING = 3
    REQ_INFO = 4
    REQ_LOADDB = 5
    REQ_REGISTER_SERVER = 6
    REQ_FILE_SERVERS = 7
    REQ_FILE_USERS = 8
    REQ_FILE_GROUPS = 9


# Responses
cpdef enum:
    RES_QUERY = 0
    RES_INSERT = 1
    RES_AUTH_SUCCESS = 2
    RES_ACK = 3
    RES_INFO = 4
    RES_FILE = 5
    ERR_MSG = 64
    ERR_QUERY = 65
    ERR_INSERT = 66
    ERR_SERVER = 67
    ERR_POOL = 68
    ERR_USER_ACCESS = 69
    ERR = 70
    ERR_NOT_AUTHENTICATED = 71
    ERR_AUTH_CREDENTIALS = 72
    ERR_AUTH_UNKNOWN_DB = 73
    ERR_LOADING_DB = 74
    ERR_FILE = 75


# qpack type codes
cpdef enum:
    # 0..63 are the integers 0..63, 64..123 the integers -1..-60
    QP_HOOK = 124       # reserved, never sent
    QP_DOUBLE_N1 = 125  # -1.0
    QP_DOUBLE_0 = 126   # 0.0
    QP_DOUBLE_1 = 127   # 1.0
    QP_RAW = 128        # 128..227 are raw bytes of length 0..99
    QP_RAW8 = 228       # raw bytes, length in 1, 2, 4 or 8 bytes
    QP_RAW16 = 229
    QP_RAW32 = 230
    QP_RAW64 = 231
    QP_INT8 = 232
    QP_INT16 = 233
    QP_INT32 = 234
    QP_INT64 = 235
    QP_DOUBLE = 236
    QP_ARRAY0 = 237     # 237..242 are arrays of 0..5 items
    QP_ARRAY2 = 239
    QP_MAP0 = 243       # 243..248 are maps of 0..5 items
    QP_TRUE = 249
    QP_FALSE = 250
    QP_NULL = 251
    QP_ARRAY_OPEN = 252
    QP_MAP_OPEN = 253
    QP_ARRAY_CLOSE = 254
    QP_MAP_CLOSE = 255


# The bytes of one package header, little endian:
#
#   0  uint32  length   of the payload alone
#   4  uint16  pid      package id, echoed by the answer
#   6  uint8   type
#   7  uint8   check    type XOR 255
cdef struct Header:
    uint32_t length
    uint16_t pid
    uint8_t type
    uint8_t check


cdef inline Header get_header(const unsigned char* p) noexcept nogil:
    cdef Header header
    header.length = p[0] | (p[1] << 8) | (p[2] << 16) | (<uint32_t>p[3] << 24)
    header.pid = <uint16_t>(p[4] | (p[5] << 8))
    header.type = p[6]
    header.check = p[7]
    return header


cdef inline void put_header(unsigned char* p, Header header) noexcept nogil:
    p[0] = header.length & 0xff
    p[1] = (header.length >> 8) & 0xff
    p[2] = (header.length >> 16) & 0xff
    p[3] = header.length >> 24
    p[4] = header.pid & 0xff
    p[5] = header.pid >> 8
    p[6] = header.type
    p[7] = header.type ^ 255


# The primitives of qpack: each writes one value at `p` and returns where the next one goes.
# Room is the caller's business.

cdef enum:
    MAX_NUMBER = 9      # bytes of the widest integer or double
    MAX_RAW_HEADER = 9  # bytes before the widest raw value


cdef inline unsigned char* put_int(unsigned char* p, int64_t value) noexcept nogil:
    if -60 <= value < 64:
        p[0] = <uint8_t>(value if value >= 0 else 63 - value)
        return p + 1
    if value == <int8_t>value:
        p[0] = QP_INT8
        p[1] = <uint8_t>value
        return p + 2
    if value == <int16_t>value:
        p[0] = QP_INT16
        memcpy(p + 1, &value, 2)
        return p + 3
    if value == <int32_t>value:
        p[0] = QP_INT32
        memcpy(p + 1, &value, 4)
        return p + 5
    p[0] = QP_INT64
    memcpy(p + 1, &value, 8)
    return p + 9


cdef inline unsigned char* put_double(unsigned char* p, double value) noexcept nogil:
    if value == 0.0:
        p[0] = QP_DOUBLE_0
        return p + 1
    if value == 1.0:
        p[0] = QP_DOUBLE_1
        return p + 1
    if value == -1.0:
        p[0] = QP_DOUBLE_N1
        return p + 1
    p[0] = QP_DOUBLE
    memcpy(p + 1, &value, 8)
    return p + 9


cdef inline unsigned char* put_raw_header(unsigned char* p, size_t length) noexcept nogil:
    if length < 100:
        p[0] = <uint8_t>(QP_RAW + length)
        return p + 1
    if length <= 0xff:
        p[0] = QP_RAW8
        p[1] = <uint8_t>length
        return p + 2
    if length <= 0xffff:
        p[0] = QP_RAW16
        memcpy(p + 1, &length, 2)
        return p + 3
    if length >> 32 == 0:
        p[0] = QP_RAW32
        memcpy(p + 1, &length, 4)
        return p + 5
    p[0] = QP_RAW64
    memcpy(p + 1, &length, 8)
    return p + 9
