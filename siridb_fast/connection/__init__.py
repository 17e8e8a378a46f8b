"""A URL, to connections to its hosts: chosen by weight, kept alive, reconnected.

One request goes out here, with failover to another host. It knows nothing of points, series or
packages of inserts. It imports `protocol` and `concurrency`.
"""
