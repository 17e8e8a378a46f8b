"""Points in memory until a package is sealed: the run of each series, and which run is due.

Without input or output; the clock is an argument. It knows nothing of connections, and nothing of
what becomes of a sealed batch. It imports `columns` and `protocol`.
"""
