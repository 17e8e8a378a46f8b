"""What is measured: one file a question, run by `make bench`."""
