"""A module imports only lower layers; this is the law."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = (
    {"errors"},
    {"_wire", "_buffer", "_arrays"},
    {"_qpack", "_records", "hosts"},
    {"_package", "_points", "_answer", "_session", "config", "replies"},
    {"columns", "casting", "connection"},
    {"catalog", "cluster", "inserts"},
    {"database"},
    {"client", "reference"},
    {"blocking"},
    {"__init__", "testing"},
)
LAYER = {module: i for i, modules in enumerate(LAYERS) for module in modules}
SANS_IO = {"_session", "_points", "_answer", "_records", "columns", "config", "hosts", "replies"}
CIMPORT = re.compile(r"^(?:from|cimport|import) siridb_fast(?:\.(\w+))?", re.MULTILINE)
SOURCES = {
    path.stem if path.parent.name == "siridb_fast" else "testing": path
    for folder in ("siridb_fast", "src_pyx/siridb_fast")
    for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).glob("*.pyx")]
}


def imports(path: Path) -> set[str]:
    """Modules of the package that are imported when the program runs."""
    if path.suffix == ".pyx":
        texts = [p.read_text() for p in (path, path.with_suffix(".pxd")) if p.exists()]
        return {name for text in texts for name in CIMPORT.findall(text)} - {path.stem}
    tree = ast.parse(path.read_text())
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in typing_only:
            parts = (node.module or "").split(".")
            if parts[0] == "siridb_fast":
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_only_lower_layers_are_imported(module: str) -> None:
    for name in imports(SOURCES[module]) - {module}:
        assert LAYER[name] < LAYER[module], f"{module} imports {name}"


def test_every_module_has_a_layer() -> None:
    assert set(SOURCES) == set(LAYER)


@pytest.mark.parametrize("module", sorted(SANS_IO))
def test_sans_io_modules_know_no_socket_and_no_clock(module: str) -> None:
    text = SOURCES[module].read_text()
    assert not re.search(r"^\s*(?:from|import) (?:asyncio|socket|time)\b", text, re.MULTILINE)
