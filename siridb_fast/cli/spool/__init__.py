"""`siridb-fast spool`: inspect a spool, export it, replay it."""
