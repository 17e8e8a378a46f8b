"""A siridb-server without installing anything: `python -m siridb_fast.testing.install`."""
