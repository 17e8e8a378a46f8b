"""What every picture has: a file of a kind that is known, a style, and a frame in the terminal.

Knows nothing of what is drawn. Files are matplotlib's, the terminal is plotext's.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siridb_fast.cli.errors import UsageFault, reason_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "PICTURES",
    "check_picture",
    "print_figure",
    "require",
    "save",
    "style",
    "terminal_figure",
    "terminal_width",
]

PICTURES = (".png", ".svg", ".pdf")
NARROWEST = 40  # columns of a terminal
UNKNOWN = (100, 0)  # columns and lines, if nobody says


def require(package: str) -> None:
    """Refuse to go on without a package of the extra ``plot``.

    Raises:
        UsageFault: Says how to get it.
    """
    if importlib.util.find_spec(package) is None:
        raise UsageFault(
            f'--plot needs {package} here, which is missing: pip install "siridb_fast[plot]"'
        )


def check_picture(path: Path) -> None:
    """Refuse a name that does not say which kind of picture it is, and a folder that is not there.

    Raises:
        UsageFault: matplotlib is missing, or the name is wrong.
    """
    require("matplotlib")
    if path.suffix.lower() not in PICTURES:
        raise UsageFault(f"{path}: a picture ends in {', '.join(PICTURES)}")
    if not path.parent.is_dir():
        raise UsageFault(f"cannot write {path}: there is no folder {path.parent}")


def save(figure: Figure, path: Path) -> None:
    """Write a picture.

    Raises:
        UsageFault: The file cannot be written.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that no font here has
        try:
            figure.savefig(path)
        except OSError as exc:
            raise UsageFault(f"cannot write {path}: {exc.strerror or reason_of(exc)}") from None


def style(axes: Axes, label_size: int) -> None:
    """Give axes a light grid behind what is drawn, and no frame above and at the right."""
    axes.grid(visible=True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=label_size)


def terminal_width() -> int:
    """Return the columns of the terminal."""
    return max(shutil.get_terminal_size(UNKNOWN).columns, NARROWEST)


def terminal_figure(width: int, lines: int) -> Any:
    """Return plotext's figure, empty and of this size."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, lines)
    figure.theme("default")
    figure.canvas("default")
    return figure


def print_figure(figure: Any) -> None:
    """Print plotext's figure on stdout, in colors if that is a terminal."""
    sys.stdout.write(figure.build().string(colorless=not sys.stdout.isatty()).rstrip() + "\n")
    sys.stdout.flush()
