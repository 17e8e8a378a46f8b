"""Seeded data: columns, frames, TSBS's shapes, points over time."""
