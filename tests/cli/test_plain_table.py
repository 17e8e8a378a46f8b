"""What a load prints to a pipe is what rich would print, without rich."""

import io
import sys
from collections.abc import Callable

import pytest

from siridb_fast.cli.load import output
from siridb_fast.cli.output.plain_table import plain_table

FIGURES: output.Figures = [("files", 1), ("rows", 10_000_000), ("points/s", "4,221,300"), ("", "")]
ODD: output.Figures = [("[red]sensor :smile:", "[bold]1"), ("  float", "a")]


def printed(show: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what something writes to a pipe of UTF-8."""
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    monkeypatch.setattr(sys, "stdout", pipe)
    show()
    pipe.seek(0)
    return pipe.read()


@pytest.fixture(autouse=True)
def said_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("columns", [None, "20", "80"])
@pytest.mark.parametrize("title", ["Loaded", "Would load (nothing was sent)"])
@pytest.mark.parametrize(
    "figures",
    [
        FIGURES,
        FIGURES[:1],
        ODD,
        [("  float", "häuser 1")],
        [("  float", "温度")],
        [("  float", "sensor " * 20)],
        [("control", "a\tb\x1b[31m")],
    ],
    ids=["usual", "narrow", "markup", "letters", "wide letters", "long", "escaped"],
)
def test_table_in_a_pipe_is_that_of_rich(
    title: str,
    figures: output.Figures,
    columns: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    ours = printed(lambda: output.print_figures(title, figures), monkeypatch)
    monkeypatch.setattr(output, "plain_table", lambda *_: None)
    assert ours == printed(lambda: output.print_figures(title, figures), monkeypatch)


def test_table_for_a_pipe_needs_no_rich() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    text = "a         \n┌───┬────┐\n│ b │ 12 │\n└───┴────┘\n"
    assert plain_table("a", [("b", "12")], file) == text


@pytest.mark.parametrize("name", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_what_is_said_to_be_a_terminal_is_for_rich(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert plain_table("a", [("b", "12")], file) is None


def test_pipe_that_has_no_such_lines_is_for_rich() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert plain_table("a", [("b", "12")], file) is None
