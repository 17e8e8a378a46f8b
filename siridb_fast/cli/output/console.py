"""Tables, JSON and texts on stdout; nothing is cut where it is no terminal."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from rich.console import Console
from rich.table import Table

__all__ = ["facts_table", "json_text", "new_console", "print_json"]

UNBOUNDED = 100_000  # columns of a pipe or a file


def new_console(file: TextIO | None = None) -> Console:
    """Return a console of a file, else of stdout; as wide as anything if it is no terminal."""
    is_terminal = None if file is None else file.isatty()
    console = Console(file=file, highlight=False, force_terminal=is_terminal)
    if not console.is_terminal:
        console.width = UNBOUNDED
    return console


def facts_table() -> Table:
    """Return an empty table of names and what is known of each."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def print_json(value: object) -> None:
    """Print any value on stdout."""
    sys.stdout.write(json_text(value) + "\n")
    sys.stdout.flush()


def json_text(value: object) -> str:
    """Return JSON for people: letters as they are, unless it would not be UTF-8."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=2)
    return text
