"""Parquet, Arrow IPC and CSV files, to record batches in bounded memory.

It knows nothing of SiriDB: no series, no points, no server. It imports `concurrency` and
`siridb_fast.errors` alone.
"""
