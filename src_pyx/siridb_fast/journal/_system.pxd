# What a journal asks of the system, in a thread without the GIL. There is none for Windows yet.

from cpython.pythread cimport PyThread_type_lock


cdef extern from *:
    """
    #include <errno.h>
    #if defined(_WIN32)
    static Py_ssize_t sf_write(int f, const void* p, Py_ssize_t n, Py_ssize_t at) {
        (void)f; (void)p; (void)n; (void)at; errno = ENOSYS; return -1;
    }
    static int sf_sync(int f) { (void)f; errno = ENOSYS; return -1; }
    static long sf_microseconds(void) { return 0; }
    static void sf_rest(long microseconds) { (void)microseconds; }
    #else
    #include <fcntl.h>
    #include <time.h>
    #include <unistd.h>
    static Py_ssize_t sf_write(int f, const void* p, Py_ssize_t n, Py_ssize_t at) {
        return pwrite(f, p, (size_t)n, (off_t)at);
    }
    static int sf_sync(int f) {
    #if defined(F_FULLFSYNC)
        return fcntl(f, F_FULLFSYNC);
    #elif defined(__linux__)
        return fdatasync(f);
    #else
        return fsync(f);
    #endif
    }
    static void sf_rest(long microseconds) { usleep((useconds_t)microseconds); }
    static long sf_microseconds(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    }
    #endif
    """
    Py_ssize_t sf_write(int file, const void* data, Py_ssize_t size, Py_ssize_t at) nogil
    int sf_sync(int file) nogil
    long sf_microseconds() nogil
    void sf_rest(long microseconds) nogil

cdef extern from "pythread.h":
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long, int) nogil
