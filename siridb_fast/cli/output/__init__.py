"""How answers are written: tables of the terminal, files of each format, plots."""
