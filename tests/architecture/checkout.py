"""What belongs to the project: the files that a fresh clone would have, and what is about to be added to them."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("serving", "deployments", "compiled", "tests", "benchmarks", "loadtests")
TEXT = frozenset({".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".sh", ".cfg", ".ini", ".tpl", ".lua", ""})
GENERATED = (".git", ".venv", "__pycache__", "build", "dist", "node_modules")


@cache
def tracked() -> tuple[Path, ...]:
    """Relative paths, sorted; from git where there is a clone, else from the folder as it is."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
        found = [Path(line) for line in listed.stdout.splitlines()]
    else:
        found = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
    return tuple(sorted(path for path in found if (ROOT / path).is_file() and not set(path.parts) & set(GENERATED)))


def python_files() -> list[Path]:
    """Every Python file of the code base, relative."""
    return [path for path in tracked() if path.suffix == ".py" and path.parts[0] in CODE]


def text_files() -> list[Path]:
    """Every tracked file that people read or write, relative."""
    return [path for path in tracked() if path.suffix in TEXT]


def read(path: Path) -> str:
    """The text of a tracked file; bytes that are no UTF-8 are replaced."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def names_in(path: Path) -> set[str]:
    """Names of all functions in a file of Python."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
