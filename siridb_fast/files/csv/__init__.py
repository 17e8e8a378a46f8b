"""CSV by pyarrow's reader, with the number of the line that each row, and each fault, is in."""
