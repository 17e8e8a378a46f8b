"""Seeded data: columns, frames, TSBS's shapes, arrivals over time."""
