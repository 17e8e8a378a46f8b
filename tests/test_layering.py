"""The law of the layers: a module imports only what lies lower; some never touch the outside."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [
    "errors processes pools backoff builtin_values",
    "forking",
    "running spool_lock patience column_groups parquet_pages ipc_messages",
    "_wire _buffer _arrays _grouping delivery naming file_options file_paths csv_lines csv_values",
    "spool_options _qpack _records hosts arrow_columns selects manifest spool_pages",
    "_blocks _package _answer _runs _session config replies csv_blocks spool_file",
    "_points _batch _queue csv_files ipc_files parquet_files spool_recovery",
    "_watchers columns connection files packages spool_opening",
    "_coalescer",
    "cluster catalog inserts casting greeting plain ledger writer_options gate load_options spool",
    "outgoing attachment",
    "_appending carrying tables settling paging comparing safety frames groups spool_reader",
    "_intake database arrow_frames labels layout plain_cells",
    "spool_thread _ticker asking pandas_frames frame_points manifests",
    "doubt stored backlog",
    "dispatch introduction",
    "entrance",
    "engine bulk file_portions",
    "sources",
    "writer",
    "loading",
    "client reference",
    "blocking_client",
    "blocking",
    "__init__ testing",
    "cli",
    "__main__",
]
PACKAGES = {"testing", "cli"}
LEVELS = {module: level for level, modules in enumerate(LAYERS) for module in modules.split()}
SANS_IO = ["_session", "_points", "_runs", "_watchers", "_coalescer", "_intake", "_ticker"]
SANS_IO += ["hosts", "config", "replies", "columns", "delivery", "ledger"]
SANS_IO += ["selects", "paging", "tables", "packages", "outgoing"]
OUTSIDE = {"asyncio", "socket", "time", "select", "selectors", "threading", "uvloop"}
CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+)?c?import\s+\(?([\w., ]*)", re.MULTILINE)


def sources(module: str) -> list[Path]:
    if module in PACKAGES:
        return sorted((ROOT / "siridb_fast" / module).glob("*.py"))
    files = [ROOT / f"siridb_fast/{module}.py"]
    files += [ROOT / f"src_pyx/siridb_fast/{module}.{suffix}" for suffix in ("pyx", "pxd")]
    return [path for path in files if path.exists()]


def python_imports(tree: ast.AST) -> Iterator[str]:
    """Yield the names that are imported at run time: what type checkers alone see is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from python_imports(node)


def imports(path: Path) -> set[str]:
    text = path.read_text()
    if path.suffix == ".py":
        return set(python_imports(ast.parse(text)))
    found = set()
    for package, names in CYTHON_IMPORT.findall(text):
        for name in re.findall(r"[\w.]+", names) or [""]:
            found.add(f"{package}.{name}" if package else name)
    return found


def ours(names: set[str]) -> set[str]:
    parts = [name.split(".") for name in names if name.startswith("siridb_fast.")]
    return {part[1] for part in parts if part[1] in LEVELS}


def test_every_module_has_a_layer() -> None:
    found = {path.stem for path in (ROOT / "siridb_fast").glob("*.py")} | PACKAGES
    found |= {path.stem for path in (ROOT / "src_pyx/siridb_fast").glob("_[a-z]*.p*x*")}
    assert found == LEVELS.keys()


@pytest.mark.parametrize("module", LEVELS)
def test_only_a_lower_layer_is_imported(module: str) -> None:
    used = set().union(*(ours(imports(path)) for path in sources(module))) - {module}
    assert [other for other in sorted(used) if LEVELS[other] >= LEVELS[module]] == []


@pytest.mark.parametrize("module", SANS_IO)
def test_module_without_io_imports_nothing_of_the_outside(module: str) -> None:
    used = set().union(*(imports(path) for path in sources(module)))
    assert {name.split(".")[0] for name in used} & OUTSIDE == set()
