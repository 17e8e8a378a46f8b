"""`siridb-fast query`: an answer as a table, CSV, JSON, Parquet or a picture."""
