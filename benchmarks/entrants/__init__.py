"""Who takes part: our ways to write, the reference driver, other clients, and what they write."""
