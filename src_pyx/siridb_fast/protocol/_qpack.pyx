"""qpack, whole: any value to bytes (`packb`) and back (`unpackb`).

Byte for byte what the ``qpack`` package packs, plus numpy scalars. The decoder takes bytes from a
peer: every length is checked against the end before it is used, nesting is bounded, and what is
not qpack raises `UnpackError` with its offset. Arrays and maps without a close end with the
payload, because SiriDB's answers are such maps. Arrays of points have their own way: see
``_points``.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_AsTuple, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1, PyUnicode_DecodeUTF8
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from siridb_fast.protocol._buffer cimport PayloadBuffer, room
from siridb_fast.protocol._wire cimport (
    MAX_NUMBER, MAX_RAW_HEADER, QP_ARRAY0, QP_ARRAY_CLOSE, QP_ARRAY_OPEN, QP_DOUBLE, QP_DOUBLE_0,
    QP_FALSE, QP_HOOK, QP_INT8, QP_INT16, QP_INT32, QP_INT64, QP_MAP0, QP_MAP_CLOSE, QP_MAP_OPEN,
    QP_NULL, QP_RAW, QP_RAW8, QP_RAW64, QP_TRUE, put_double, put_int, put_raw_header,
)

from siridb_fast.protocol.builtin_values import builtin_of
from siridb_fast.errors import PackingOverflowError, UnpackError


cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1


cdef enum Decode:
    RAW
    UTF8
    LATIN1


cdef struct Reader:
    const unsigned char* start
    const unsigned char* p     # the next byte to read
    const unsigned char* end   # p never passes it
    Decode decode              # what raw values become
    bint keep_undecodable      # leave bytes that do not decode as they are
    bint use_tuples            # tuples in place of lists


def packb(value) -> bytes:
    """Return ``value`` as qpack.

    Takes None, bool, int, float, str, bytes, list, tuple, dict and numpy scalars, nested up to 512
    deep. The bytes are those that the ``qpack`` package gives: integers and lengths in their
    smallest form, -1.0, 0.0 and 1.0 in one byte, more than five items as open and close.

    Raises:
        PackingOverflowError: An integer outside 64 bits; also an `OverflowError`.
        TypeError: A type that qpack does not have.
        ValueError: Nested too deep.
    """
    cdef PayloadBuffer buffer = PayloadBuffer.__new__(PayloadBuffer)
    pack_value(buffer, value, 0)
    return buffer.to_bytes()


def unpackb(data, decode=None, ignore_decode_errors=False, use_tuples=False):
    """Return the value that the qpack in ``data`` stands for.

    Args:
        data: Any contiguous bytes-like object; it holds exactly one value.
        decode: What raw values become: None for bytes, ``"utf-8"`` or ``"latin-1"`` for str.
        ignore_decode_errors: Leave a raw value that does not decode as bytes.
        use_tuples: Give arrays as tuples.

    Raises:
        UnpackError: The bytes are not qpack, end too early, go on after the value, or nest deeper
            than 512; also a `ValueError`. No input takes more than 128 bytes of memory per byte.
        LookupError: An encoding that is not offered.
    """
    cdef Py_buffer view
    cdef Reader reader
    cdef object value
    reader.decode = _decoder(decode)
    reader.keep_undecodable = ignore_decode_errors
    reader.use_tuples = use_tuples
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        reader.start = reader.p = <const unsigned char*>view.buf
        reader.end = reader.p + view.len
        value = _read_value(&reader, 0)
        if reader.p != reader.end:
            raise _fault(&reader, f"{reader.end - reader.p} bytes after the value")
        return value
    except UnicodeDecodeError as exc:
        raise _fault(&reader, f"the raw value that ends here is not text: {exc}") from None
    except TypeError as exc:
        raise _fault(&reader, f"the map entry that ends here has no valid key: {exc}") from None
    finally:
        PyBuffer_Release(&view)


# ---- packing


cdef int pack_value(PayloadBuffer buffer, object value, int depth) except -1:
    cdef unsigned char* p
    cdef type kind = type(value)
    if kind is float:
        p = room(buffer, MAX_NUMBER)
        buffer.size += put_double(p, <double>value) - p
    elif kind is int:
        _pack_int(buffer, value)
    elif kind is str:
        _pack_str(buffer, value)
    elif kind is list or kind is tuple:
        _pack_sequence(buffer, value, depth)
    elif kind is dict:
        _pack_dict(buffer, value, depth)
    elif value is None:
        _pack_byte(buffer, QP_NULL)
    elif kind is bool:
        _pack_byte(buffer, QP_TRUE if value else QP_FALSE)
    elif kind is bytes:
        pack_raw(buffer, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    else:
        pack_value(buffer, builtin_of(value), depth)
    return 0


cdef inline int _pack_byte(PayloadBuffer buffer, unsigned char byte) except -1:
    room(buffer, 1)[0] = byte
    buffer.size += 1
    return 0


cdef int pack_raw(PayloadBuffer buffer, const char* raw, size_t length) except -1:
    cdef unsigned char* p = room(buffer, MAX_RAW_HEADER + length)
    cdef unsigned char* body = put_raw_header(p, length)
    memcpy(body, raw, length)
    buffer.size += (body - p) + length
    return 0


cdef int _pack_int(PayloadBuffer buffer, object value) except -1:
    cdef int overflow = 0
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    cdef unsigned char* p
    if overflow:
        raise PackingOverflowError(
            f"qpack has signed integers of up to 64 bits, got one of {value.bit_length()} bits"
        )
    p = room(buffer, MAX_NUMBER)
    buffer.size += put_int(p, number) - p
    return 0


cdef int _pack_str(PayloadBuffer buffer, object value) except -1:
    cdef Py_ssize_t length
    cdef const char* raw = PyUnicode_AsUTF8AndSize(value, &length)
    return pack_raw(buffer, raw, length)


cdef int _pack_sequence(PayloadBuffer buffer, object value, int depth) except -1:
    cdef Py_ssize_t length
    if type(value) is list:
        length = PyList_GET_SIZE(value)
    else:
        length = PyTuple_GET_SIZE(value)
    _check_depth(depth)
    _pack_byte(buffer, QP_ARRAY0 + length if length < 6 else QP_ARRAY_OPEN)
    if type(value) is list:
        for item in <list>value:
            pack_value(buffer, item, depth + 1)
    else:
        for item in <tuple>value:
            pack_value(buffer, item, depth + 1)
    if length >= 6:
        _pack_byte(buffer, QP_ARRAY_CLOSE)
    return 0


cdef int _pack_dict(PayloadBuffer buffer, dict value, int depth) except -1:
    cdef Py_ssize_t length = len(value)
    _check_depth(depth)
    _pack_byte(buffer, QP_MAP0 + length if length < 6 else QP_MAP_OPEN)
    for key, item in value.items():
        pack_value(buffer, key, depth + 1)
        pack_value(buffer, item, depth + 1)
    if length >= 6:
        _pack_byte(buffer, QP_MAP_CLOSE)
    return 0


cdef int _check_depth(int depth) except -1:
    if depth >= MAX_DEPTH:
        raise ValueError(f"arrays and maps are nested deeper than {MAX_DEPTH}")
    return 0


# ---- unpacking


cdef object _read_value(Reader* reader, int depth):
    cdef unsigned char code
    if reader.p >= reader.end:
        raise _fault(reader, "the bytes end where a value is expected")
    code = reader.p[0]
    reader.p += 1
    if code < 64:
        return <int>code
    if code < QP_HOOK:
        return 63 - <int>code
    if code >= QP_RAW and code < QP_RAW8:
        return _read_raw(reader, code - QP_RAW)
    if code < QP_RAW and code > QP_HOOK:
        return <double>(<int>code - QP_DOUBLE_0)
    if code <= QP_RAW64 and code >= QP_RAW8:
        return _read_raw(reader, _read_length(reader, 1 << (code - QP_RAW8)))
    if code <= QP_DOUBLE and code >= QP_INT8:
        return _read_number(reader, code)
    if code < QP_MAP0 and code >= QP_ARRAY0:
        return _read_array(reader, code - QP_ARRAY0, depth)
    if code < QP_TRUE and code >= QP_MAP0:
        return _read_map(reader, code - QP_MAP0, depth)
    if code == QP_TRUE:
        return True
    if code == QP_FALSE:
        return False
    if code == QP_NULL:
        return None
    if code == QP_ARRAY_OPEN:
        return _read_open_array(reader, depth)
    if code == QP_MAP_OPEN:
        return _read_open_map(reader, depth)
    reader.p -= 1
    if code == QP_HOOK:
        raise _fault(reader, f"type code {QP_HOOK} is reserved")
    raise _fault(reader, "a close without an open array or map")


cdef object _read_number(Reader* reader, unsigned char code):
    cdef int8_t i8
    cdef int16_t i16
    cdef int32_t i32
    cdef int64_t i64
    cdef double number
    if code == QP_DOUBLE:
        memcpy(&number, _take(reader, 8), 8)
        return number
    if code == QP_INT64:
        memcpy(&i64, _take(reader, 8), 8)
        return i64
    if code == QP_INT32:
        memcpy(&i32, _take(reader, 4), 4)
        return i32
    if code == QP_INT16:
        memcpy(&i16, _take(reader, 2), 2)
        return i16
    memcpy(&i8, _take(reader, 1), 1)
    return i8


cdef object _read_raw(Reader* reader, uint64_t length):
    cdef const char* raw = <const char*>_take(reader, length)
    if reader.decode == RAW:
        return PyBytes_FromStringAndSize(raw, length)
    if reader.keep_undecodable:
        return _text_or_bytes(raw, length, reader.decode)
    return _text(raw, length, reader.decode)


cdef inline object _text(const char* raw, Py_ssize_t length, Decode encoding):
    if encoding == UTF8:
        return PyUnicode_DecodeUTF8(raw, length, NULL)
    return PyUnicode_DecodeLatin1(raw, length, NULL)


cdef object _text_or_bytes(const char* raw, Py_ssize_t length, Decode encoding):
    try:
        return _text(raw, length, encoding)
    except UnicodeDecodeError:
        return PyBytes_FromStringAndSize(raw, length)


cdef object _read_array(Reader* reader, int length, int depth):
    cdef list items = PyList_New(length)
    cdef int i
    _check_nesting(reader, depth)
    for i in range(length):
        item = _read_value(reader, depth + 1)
        Py_INCREF(item)
        PyList_SET_ITEM(items, i, item)
    return PyList_AsTuple(items) if reader.use_tuples else items


cdef object _read_open_array(Reader* reader, int depth):
    cdef list items = []
    _check_nesting(reader, depth)
    while not _at_close(reader, QP_ARRAY_CLOSE):
        items.append(_read_value(reader, depth + 1))
    return PyList_AsTuple(items) if reader.use_tuples else items


cdef object _read_map(Reader* reader, int length, int depth):
    cdef dict items = {}
    _check_nesting(reader, depth)
    for _ in range(length):
        _read_entry(reader, items, depth)
    return items


cdef object _read_open_map(Reader* reader, int depth):
    cdef dict items = {}
    _check_nesting(reader, depth)
    while not _at_close(reader, QP_MAP_CLOSE):
        _read_entry(reader, items, depth)
    return items


cdef inline int _read_entry(Reader* reader, dict items, int depth) except -1:
    key = _read_value(reader, depth + 1)
    items[key] = _read_value(reader, depth + 1)
    return 0


cdef inline bint _at_close(Reader* reader, unsigned char close) noexcept:
    if reader.p >= reader.end:
        return True
    if reader.p[0] == close:
        reader.p += 1
        return True
    return False


cdef uint64_t _read_length(Reader* reader, int width) except? 0:
    cdef uint64_t length = 0
    memcpy(&length, _take(reader, width), width)  # little endian, like every host this runs on
    return length


cdef inline const unsigned char* _take(Reader* reader, uint64_t length) except NULL:
    cdef const unsigned char* p = reader.p
    cdef uint64_t left = reader.end - p
    if length > left:
        _raise_short(reader, length)
    reader.p += length
    return p


cdef int _raise_short(Reader* reader, uint64_t length) except -1:
    # apart, so that the way without a fault is short enough to be inlined
    raise _fault(
        reader, f"{length} bytes are announced, {reader.end - reader.p} are left"
    )


cdef inline int _check_nesting(Reader* reader, int depth) except -1:
    if depth >= MAX_DEPTH:
        raise _fault(reader, f"arrays and maps are nested deeper than {MAX_DEPTH}")
    return 0


cdef object _fault(Reader* reader, str text):
    return UnpackError(text, reader.p - reader.start)


cdef Decode _decoder(object encoding) except *:
    if encoding is None:
        return RAW
    if encoding == "utf-8" or encoding == "utf8":
        return UTF8
    if encoding == "latin-1" or encoding == "latin1":
        return LATIN1
    raise LookupError(f"decode is None, 'utf-8' or 'latin-1', got {encoding!r}")
