"""Has Python import the compiled form of a module, where all sources are still those that it was compiled from.

`compiled.build` copies this file into the environment as the package `sluice_compiled`, and every Python of that
environment starts with `install()`. Compiled modules reach into each other's memory, so it is all of them or none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec

PACKAGE = "serving"
MANIFEST = "manifest.json"
SWITCH = "SLUICE_PURE_PYTHON"


class CompiledFinder:
    """Looks at the manifest in `folder` when the first module of the product is imported, and only then."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._modules: Mapping[str, str] | None = None

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        """Where the module's compiled form is; None has Python look for its source as if this were not here."""
        del target
        if self._modules is None:
            if path is None or not name.startswith(PACKAGE + "."):
                return None
            self._modules = usable(self._folder, os.path.dirname(os.path.abspath(next(iter(path)))))
        file = self._modules.get(name)
        if file is None:
            return None
        return ModuleSpec(name, ExtensionFileLoader(name, file), origin=file)


def usable(folder: str, root: str) -> Mapping[str, str]:
    """Compiled modules and their files: none unless each source below `root` is the one that was compiled.

    Contents are compared, since a checkout gives old files new times.
    """
    import hashlib
    import json

    try:
        with open(os.path.join(folder, MANIFEST), encoding="utf-8") as file:
            manifest = json.load(file)
        if manifest["python"] != sys.version:
            return {}
        for source, digest in manifest["sources"].items():
            with open(os.path.join(root, source), "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() != digest:
                    return {}
    except (OSError, ValueError, KeyError):
        return {}
    return {name: os.path.join(folder, module) for name, module in manifest["modules"].items()}


def install() -> None:
    """Look for compiled modules first, unless the switch asks for plain Python."""
    if os.environ.get(SWITCH, "") in ("", "0"):
        sys.meta_path.insert(0, CompiledFinder(os.path.dirname(os.path.abspath(__file__))))
