"""The gateway: what other protocols bring goes into a writer (`siridb-fast gateway`)."""
