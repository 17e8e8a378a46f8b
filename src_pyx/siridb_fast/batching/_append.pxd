cdef Py_ssize_t room_of_texts(list texts) except -1
