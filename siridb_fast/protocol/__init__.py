"""SiriDB's wire protocol: package headers, qpack, a session's package ids, responses, pools.

Bytes in, values out, without input or output: no socket, no event loop, no clock. It knows
nothing of columns, connections or writers. It imports `siridb_fast.errors` alone.
"""
