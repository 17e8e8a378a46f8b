"""A command with an option ``--plot`` that may stand without a value: then it is the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from siridb_fast.cli.output.figure import PICTURES

__all__ = ["IN_TERMINAL", "PlotCommand"]

IN_TERMINAL = "-"


class PlotCommand(TyperCommand):
    """The command, with an option ``--plot`` that may stand without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, a bare ``--plot`` as one into the terminal."""
        return list(super().parse_args(ctx, _with_plot_value(args)))


def _with_plot_value(arguments: Sequence[str]) -> list[str]:
    # "--plot" draws in the terminal, unless the name of a picture follows.
    given: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*given, *arguments[index:]]
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        has_file = Path(following).suffix.lower() in PICTURES
        given.append(
            f"--plot={IN_TERMINAL}" if argument == "--plot" and not has_file else argument
        )
    return given
