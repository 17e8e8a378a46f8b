from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer

def take_oldest(coalescer: Coalescer, batch: Batch) -> bool: ...
