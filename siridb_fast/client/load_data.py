"""Loading of frames and files, whose modules are imported when it is first used.

Most programs load nothing, and need not wait for these modules when they start.
"""

from __future__ import annotations

from siridb_fast.connection.config import Target
from siridb_fast.delivery.report import Report
from siridb_fast.loading.options import LoadOptions

__all__ = ["load_data"]


async def load_data(data: object, target: Target, options: LoadOptions) -> Report:
    """Load data as `siridb_fast.load` does, on the loop that runs."""
    from siridb_fast.loading.loader import Loader
    from siridb_fast.loading.sources import portions

    return await Loader(target, options).load(portions(data, options))
