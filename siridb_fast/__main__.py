"""`python -m siridb_fast`: the command line `siridb-fast`."""

from siridb_fast.cli import main

if __name__ == "__main__":
    main()
