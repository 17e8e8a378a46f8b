"""Tests of the gateway: what other protocols bring is in the database."""
