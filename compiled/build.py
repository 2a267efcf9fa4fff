"""Compiles the hot path into the environment: `python -m compiled.build [--remove]`.

Without a C compiler it says so and leaves plain Python, which does the same at half the speed (docs/decisions/0017).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from compiled.finder import MANIFEST, SWITCH
from compiled.hot_path import HOT_PATH
from compiled.sources import digests, file_of

ROOT = Path(__file__).parents[1]
SITE = Path(sysconfig.get_path("purelib"))
PRODUCT = "sluice_compiled"
_BUILD = ROOT / "build" / "compiled"
_GROUP = "sluice_hot_path"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile unless that was done already, or remove what was compiled."""
    parser = argparse.ArgumentParser(prog="python -m compiled.build", description=__doc__.partition(":")[0])
    parser.add_argument("--remove", action="store_true", help="go back to plain Python")
    if parser.parse_args(arguments).remove:
        remove(SITE)
        return 0
    if os.environ.get(SWITCH, "") not in ("", "0"):
        return 0
    asked = described(ROOT)
    if asked == _installed(SITE):
        return 0
    missing = _missing()
    if missing:
        remove(SITE)
        print(f"the hot path stays plain Python, at half the speed: {missing}")
        return 0
    print("compiling the hot path, after each change of it (about a minute)", flush=True)
    install(SITE, asked, _compiled())
    return 0


def described(root: Path) -> dict[str, Any]:
    """What says whether a build is the one that the checkout asks for: interpreter, compiler, way and sources."""
    way = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((root / "compiled").glob("*.py"))
    }
    return {"python": sys.version, "mypy": version("mypy"), "way": way, "sources": digests(root, HOT_PATH)}


def install(site: Path, asked: dict[str, Any], library: Path) -> None:
    """Put compiled modules beside whatever is there, then switch over: who runs goes on with the files that it has."""
    product = site / PRODUCT
    product.mkdir(exist_ok=True)
    before = {path for path in product.iterdir() if path.is_dir()}
    number = max((int(path.name) for path in before if path.name.isdigit()), default=0) + 1
    shutil.copytree(library, product / str(number))
    modules = {_name(path, library): f"{number}/{path.relative_to(library)}" for path in library.rglob("*.so")}
    shutil.copyfile(ROOT / "compiled" / "finder.py", product / "__init__.py")
    _replace(product / MANIFEST, json.dumps({**asked, "modules": modules}, indent=1))
    _replace(site / f"{PRODUCT}.pth", f"import {PRODUCT}; {PRODUCT}.install()\n")
    for path in before:
        # A process that runs may still import from the last one.
        if path.name != str(number - 1):
            shutil.rmtree(path)


def remove(site: Path) -> None:
    """Leave plain Python."""
    (site / f"{PRODUCT}.pth").unlink(missing_ok=True)
    shutil.rmtree(site / PRODUCT, ignore_errors=True)


def _compiled() -> Path:
    """Compile in a process of its own, since mypyc and setuptools ask for settings of the whole process."""
    shutil.rmtree(_BUILD, ignore_errors=True)
    library = _BUILD / "lib"
    library.mkdir(parents=True)
    files = [str(file_of(name)) for name in HOT_PATH]
    command = [sys.executable, "-m", "compiled.extension", str(_BUILD), _GROUP, *files]
    with (_BUILD / "log").open("w") as log:
        ended = subprocess.run(command, check=False, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    if ended.returncode:
        print((_BUILD / "log").read_text()[-4000:], file=sys.stderr)
        raise SystemExit(f"the hot path does not compile: see above, or {SWITCH}=1 to do without")
    return library


def _missing() -> str:
    compiler = str(sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "there are no C headers of Python (Python.h; python3-dev on Debian)"
    return ""


def _installed(site: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((site / PRODUCT / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}
    manifest.pop("modules", None)
    return manifest


def _name(path: Path, library: Path) -> str:
    return ".".join((*path.relative_to(library).parent.parts, path.name.partition(".")[0]))


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main())
