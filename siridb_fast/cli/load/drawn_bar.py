"""What is drawn of a load while it runs: a bar on stderr. Imports rich.

Knows nothing of how points are read or sent.
"""

from __future__ import annotations

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["new_bar"]


class Amount(ProgressColumn):
    """Points, bytes and rates."""

    def render(self, task: Task) -> Text:
        """Return what stands behind the bar."""
        seconds = task.fields["seconds"]
        points = task.fields["points"]
        rate = points / seconds if seconds else 0.0
        return Text(f"{points:,} points  {rate / 1e6:.2f} M/s  {decimal(task.fields['bytes'])}")


def new_bar(total: int) -> tuple[Progress, TaskID]:
    """Return a bar of so many bytes that is shown if stderr is a terminal, and its only task."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(),
        Amount(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[bad_lines]}", style="yellow"),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=max(1, total), points=0, bytes=0, seconds=0.0, bad_lines="")
    return bar, task
