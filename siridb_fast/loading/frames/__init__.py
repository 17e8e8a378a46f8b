"""Frames of pandas and Polars, tables of Arrow, and arrays, all seen as columns of cells."""
