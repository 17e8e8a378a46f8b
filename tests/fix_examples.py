"""How many examples tests by hypothesis take; knows nothing of what they are about.

`TEST_EXAMPLES` multiplies the number of each: `make test-quick` takes a part of it,
`make test-all` more.
"""

import os

__all__ = ["examples"]

VARIABLE = "TEST_EXAMPLES"


def examples(number: int) -> int:
    """Return how many examples a test takes that usually takes this number."""
    return max(1, round(number * float(os.environ.get(VARIABLE, "1"))))
