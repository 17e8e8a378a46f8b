"""Selects of any size, the catalog of a database, a writer's queries, answers as frames.

Only `server_queries` sends; the rest is text in and arrays out, without input or output. It
knows nothing of writing. It imports `connection`, `columns`, `protocol` and `concurrency`.
"""
