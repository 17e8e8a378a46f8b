"""CSV by the reader of pyarrow, with the number of the line that each row, and each fault, is in."""
