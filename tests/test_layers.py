"""Imports go down only, and what is heavy is imported where it is used."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "t2t"
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = (
    {"records", "errors", "config", "log", "lines", "journal"},
    {"domain", "domains", "models"},
    {"explore", "intents", "episode", "verify", "train", "report", "store", "interop", "filter"},
    {"scheduling"},
    {"stages"},
    {"pipeline", "doctor", "launch"},
    {"cli"},
)
"""Parts of the package from the bottom up; a part may import its own layer and those below."""

HEAVY = {"torch", "vllm", "transformers", "trl", "peft", "accelerate", "datasets", "sklearn", "pyarrow", "rensa", "ray"}


def level_of(part: str) -> int:
    return next(level for level, parts in enumerate(LAYERS) if part in parts)


def part_of(module: Path) -> str:
    return module.relative_to(PACKAGE).with_suffix("").parts[0]


def read_imports(node: ast.AST, at_top: bool) -> Iterator[str]:
    """Full names of imported modules; `at_top` leaves out those inside functions and ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif at_top and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif at_top and isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from read_imports(other, at_top)
        else:
            yield from read_imports(child, at_top)


def test_every_part_has_a_layer():
    parts = {part_of(module) for module in MODULES} - {"__init__", "__main__"}
    assert parts <= set().union(*LAYERS)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_imports_go_down_only(module: Path):
    part = part_of(module)
    if part in ("__init__", "__main__"):
        return
    for name in read_imports(ast.parse(module.read_text()), at_top=False):
        words = name.split(".")
        if words[0] == "t2t" and len(words) > 1 and (PACKAGE / words[1]).with_suffix("").name in set().union(*LAYERS):
            assert level_of(words[1]) <= level_of(part), f"{part} imports {name}, which lies above it"


LIGHT = [module for module in MODULES if part_of(module) != "train"]
"""Modules that never need a heavy library at the top; in `t2t.train` a class may have to derive from one of torch."""


@pytest.mark.parametrize("module", LIGHT, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_heavy_libraries_are_imported_where_they_are_used(module: Path):
    names = {name.split(".")[0] for name in read_imports(ast.parse(module.read_text()), at_top=True)}
    assert not names & HEAVY


def test_everything_but_training_loads_without_heavy_libraries():
    names = [".".join(module.relative_to(ROOT).with_suffix("").parts) for module in LIGHT]
    code = f"""import importlib, sys
for name in {[name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]!r}:
    importlib.import_module(name)
print(*sorted({HEAVY!r} & sys.modules.keys()))"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == ([], "")


def test_public_names_exist():
    import t2t

    assert all(hasattr(t2t, name) for name in t2t.__all__)
