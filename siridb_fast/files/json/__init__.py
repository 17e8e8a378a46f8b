"""Files of JSON: an object a line, or an array of objects."""
