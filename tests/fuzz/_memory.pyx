"""The memory of large objects, kept and used again while fuzzing.

libasan maps memory afresh for each block of more than 128 KiB, which a session's buffer is: 46 of
the 55 µs that a session takes to make. Here such blocks come from a few that are kept, poisoned
around what is in use, so that a byte too far is found as it is by libasan.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

cdef extern from "Python.h":
    ctypedef enum PyMemAllocatorDomain:
        PYMEM_DOMAIN_OBJ
    ctypedef struct PyMemAllocatorEx:
        void* ctx
        void* (*malloc)(void*, size_t) noexcept nogil
        void* (*calloc)(void*, size_t, size_t) noexcept nogil
        void* (*realloc)(void*, void*, size_t) noexcept nogil
        void (*free)(void*, void*) noexcept nogil
    void PyMem_GetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx* allocator)
    void PyMem_SetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx* allocator)

cdef extern from "runtime.h":
    uint64_t fuzz_allocated
    void __asan_poison_memory_region(const void* memory, size_t size) noexcept nogil
    void __asan_unpoison_memory_region(const void* memory, size_t size) noexcept nogil

cdef enum:
    BLOCKS = 8
    SMALLEST = 100_000
    BLOCK_SIZE = 262_144  # with the poisoned bytes on both sides
    MARGIN = 1_024
    LARGEST = BLOCK_SIZE - 2 * MARGIN

cdef PyMemAllocatorEx plain
cdef unsigned char* blocks
cdef size_t[BLOCKS] sizes  # of the blocks in use; else 0


def keep_large_blocks() -> None:
    """Serve the large objects of Python from blocks that are kept; for good."""
    global blocks
    cdef PyMemAllocatorEx ours
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &plain)
    blocks = <unsigned char*>plain.malloc(plain.ctx, BLOCKS * BLOCK_SIZE)
    if blocks == NULL:
        raise MemoryError
    __asan_poison_memory_region(blocks, BLOCKS * BLOCK_SIZE)
    ours.ctx = NULL
    ours.malloc = _malloc
    ours.calloc = _calloc
    ours.realloc = _realloc
    ours.free = _free
    PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &ours)


cdef void* _malloc(void* ctx, size_t size) noexcept nogil:
    global fuzz_allocated
    cdef int i
    if size >= SMALLEST and size <= LARGEST:
        for i in range(BLOCKS):
            if sizes[i] == 0:
                sizes[i] = size
                fuzz_allocated += size
                __asan_unpoison_memory_region(_block(i), size)
                return _block(i)
    return plain.malloc(plain.ctx, size)


cdef void* _calloc(void* ctx, size_t count, size_t size) noexcept nogil:
    cdef void* memory
    if count and SMALLEST <= size * count <= LARGEST and size <= LARGEST and count <= LARGEST:
        memory = _malloc(ctx, count * size)
        return memory if memory == NULL else memset(memory, 0, count * size)
    return plain.calloc(plain.ctx, count, size)


cdef void* _realloc(void* ctx, void* memory, size_t size) noexcept nogil:
    cdef int i = _index(memory)
    cdef void* moved
    if memory == NULL:
        return _malloc(ctx, size)
    if i < 0:
        return plain.realloc(plain.ctx, memory, size)
    moved = _malloc(ctx, size)
    if moved != NULL:
        memcpy(moved, memory, min(size, sizes[i]))
        _free(ctx, memory)
    return moved


cdef void _free(void* ctx, void* memory) noexcept nogil:
    cdef int i = _index(memory)
    if i < 0:
        plain.free(plain.ctx, memory)
    else:
        __asan_poison_memory_region(memory, sizes[i])
        sizes[i] = 0


cdef inline unsigned char* _block(int i) noexcept nogil:
    return blocks + i * BLOCK_SIZE + MARGIN


cdef inline int _index(void* memory) noexcept nogil:
    cdef size_t offset = <size_t>memory - <size_t>blocks
    return <int>(offset // BLOCK_SIZE) if offset < BLOCKS * BLOCK_SIZE else -1
