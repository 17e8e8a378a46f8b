"""A fuzzer of all that reads bytes from a server; `make fuzz` runs it, README.md tells more."""
