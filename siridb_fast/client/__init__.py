"""`SiriDBClient`, its blocking twins, and the names of siridb-connector, SiriDB's own driver.

It knows nothing of command lines. It imports `loading`, `writer` and what lies below them.
"""
