"""The documents for developers name only files and targets that exist."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/metrics.md"]
DOCUMENTS += ["docs/gateway.md", "benchmarks/README.md"]
PATH = re.compile(r"`((?:siridb_fast|src_pyx|tests|benchmarks|docs)/[\w./-]*)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
TARGET = re.compile(r"(?:`|^)make ([a-z][a-z-]+)", re.MULTILINE)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_files_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    named = PATH.findall(text) + [str(Path(document).parent / link) for link in LINK.findall(text)]
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_tests_exist(document: str) -> None:
    there = {
        path.name for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    }
    named = re.findall(r"`(test_\w+\.py)`", (ROOT / document).read_text())
    assert [name for name in named if name not in there] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_named_targets_of_make_exist(document: str) -> None:
    named = TARGET.findall((ROOT / document).read_text())
    assert named
    assert set(named) <= TARGETS


def test_drawing_of_states_is_that_of_the_table() -> None:
    script = runpy.run_path(str(ROOT / "docs/draw_states.py"))
    page = script["PAGE"].read_text()
    assert script["drawn"](page) == page, "run python docs/draw_states.py"
