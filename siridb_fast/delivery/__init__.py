"""The life of a sealed package until its fate is known: sent, answered, looked up, reported.

It knows nothing of how points were given or collected. It imports `spool`, `batching`, `query`,
`connection`, `columns`, `protocol` and `concurrency`.
"""
