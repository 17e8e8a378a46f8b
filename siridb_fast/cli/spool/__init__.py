"""`siridb-fast spool`: look into a spool, export it, replay it."""
