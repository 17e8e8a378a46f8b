"""Measurements beside the reference driver; `make bench` runs them, README.md explains them."""
