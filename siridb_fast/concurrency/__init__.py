"""Event loops, worker threads, forks and waiting: what any asyncio library could use.

It knows nothing of SiriDB. It imports `siridb_fast.errors` alone.
"""
