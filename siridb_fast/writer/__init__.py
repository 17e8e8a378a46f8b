"""`BatchWriter`: what is written comes in, waits for room, gets its type, and goes to delivery.

It knows nothing of files and frames. It imports whatever lies below it: `delivery`, `batching`,
`query`, `connection`, `columns`, `protocol` and `concurrency`.
"""
