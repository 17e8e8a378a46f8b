"""Parsers of the text protocols that carry points. They do no input or output."""
