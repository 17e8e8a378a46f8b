"""One way to look at frames of pandas and Polars, tables of Arrow, and arrays: columns of cells."""
