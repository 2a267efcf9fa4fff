"""What compiled modules were compiled from: their own sources, and those of everything that they know types of."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from compiled.finder import PACKAGE


def file_of(name: str) -> Path:
    """The source of a module, relative to the checkout."""
    return Path(*name.split(".")).with_suffix(".py")


def digests(root: Path, modules: Iterable[str]) -> dict[str, str]:
    """SHA-256 by path of the modules' sources and of all that they import, directly or not, of this product."""
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        path = file_of(waiting.pop())
        if str(path) not in found and (root / path).is_file():
            text = (root / path).read_bytes()
            found[str(path)] = hashlib.sha256(text).hexdigest()
            waiting += _imported(ast.parse(text))
    return dict(sorted(found.items()))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            yield node.module
            # `from package import module` names a module, `from module import name` a file that is not there.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
