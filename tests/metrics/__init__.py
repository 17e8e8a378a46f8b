"""Tests of the metrics for Prometheus, and of what is made of them."""
