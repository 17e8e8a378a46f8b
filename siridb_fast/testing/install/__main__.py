"""Run as `python -m siridb_fast.testing.install`."""

import sys

from siridb_fast.testing.install.unpack import main

if __name__ == "__main__":
    sys.exit(main())
