"""`siridb-fast load`: files into a database, with a bar, a summary, and `--resume`."""
